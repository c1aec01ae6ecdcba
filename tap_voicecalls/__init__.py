"""Singer tap for contact-centre calls: Talkdesk Explore and Zendesk Talk."""

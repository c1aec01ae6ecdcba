"""Singer tap for contact-center calls: Talkdesk Explore and Zendesk Talk."""

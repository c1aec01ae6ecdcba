"""Talkdesk Explore: the Calls report, one report job per window."""

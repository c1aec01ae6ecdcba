"""Talkdesk Explore: the Calls report, one report job for each window of time."""

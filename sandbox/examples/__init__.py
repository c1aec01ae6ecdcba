"""Example rows of each stream.

Copied unchanged from the vendors' documentation, except for Zendesk's phone numbers: there, the
fields are those of a published response, and their values are invented.
"""

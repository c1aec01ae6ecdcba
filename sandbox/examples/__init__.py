"""Example rows copied unchanged from the vendors' documentation."""

"""HTTP clients of the vendors' APIs."""

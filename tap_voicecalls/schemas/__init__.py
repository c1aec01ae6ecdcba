"""One JSON schema a stream."""

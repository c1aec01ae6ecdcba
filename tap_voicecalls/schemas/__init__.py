"""The JSON schema of each stream."""

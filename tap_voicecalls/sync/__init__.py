"""From vendor rows to Singer messages."""

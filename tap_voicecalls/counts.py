"""Counts for people."""

from __future__ import annotations


def format_count(count: int, noun: str) -> str:
    """Format a count with its noun: `1 row`, `1,234 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

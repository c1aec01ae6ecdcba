"""The part of a file that is written by `make docs`, between two lines that stay."""

from __future__ import annotations


def between(text: str, begin: str, end: str, lines: str) -> str:
    """Puts lines in place of those between two others.

    Args:
        text: The whole file.
        begin: The line before.
        end: The line behind.
        lines: What is to stand between them.

    Raises:
        ValueError: The lines before and behind are not there, each once and in this order.
    """
    before, found_begin, rest = text.partition(f"{begin}\n")
    _, found_end, behind = rest.partition(f"{end}\n")
    if not (found_begin and found_end) or f"{begin}\n" in rest or f"{end}\n" in before + behind:
        raise ValueError(f"the lines {begin!r} and {end!r} have to be there once, in this order")
    return f"{before}{begin}\n{lines}{end}\n{behind}"

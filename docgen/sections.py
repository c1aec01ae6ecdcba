"""Replace the generated section of a file."""

from __future__ import annotations


def replace_section(text: str, begin: str, end: str, content: str) -> str:
    """Replace the lines between two marker lines.

    Args:
        text: The content of the file.
        begin: The marker line before the section.
        end: The marker line after the section.
        content: The new lines of the section.

    Raises:
        ValueError: The markers are not each present once, in this order.
    """
    before, found_begin, rest = text.partition(f"{begin}\n")
    _, found_end, after = rest.partition(f"{end}\n")
    if not (found_begin and found_end) or f"{begin}\n" in rest or f"{end}\n" in before + after:
        raise ValueError(f"the file must have the lines {begin!r} and {end!r} once, in this order")
    return f"{before}{begin}\n{content}{end}\n{after}"

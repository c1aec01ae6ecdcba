"""Writes the documents: `make docs`."""

from __future__ import annotations

import logging

from docgen import PROJECT, documents


def main() -> None:
    """Writes what is not as the tap wants it, and names it."""
    # The tap warns that it has no settings; the documents need none.
    logging.disable(logging.WARNING)
    for name, text in documents().items():
        path = PROJECT / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{name} is written anew")  # noqa: T201 - it is what was asked for


if __name__ == "__main__":
    main()

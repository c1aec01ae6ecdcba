"""Generate the documentation: `make docs`."""

from __future__ import annotations

import logging

from docgen import PROJECT, generated_files


def main() -> None:
    """Update the files that are out of date, and print their names."""
    # Without settings, the tap logs a warning.
    logging.disable(logging.WARNING)
    for name, text in generated_files().items():
        path = PROJECT / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"updated {name}")  # noqa: T201 - program output


if __name__ == "__main__":
    main()

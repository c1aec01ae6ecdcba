"""The table of settings in `README.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docgen.marks import between

if TYPE_CHECKING:
    from docgen.about import About, Setting

BEGIN = "<!-- settings, made by `make docs` -->"
END = "<!-- end of settings -->"


def readme(text: str, about: About) -> str:
    """README.md with the table of the tap's own settings."""
    rows = [row(setting) for setting in about.settings if setting.is_own]
    head = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    # GitHub takes a table for one only behind a blank line.
    return between(text, BEGIN, END, "\n" + "\n".join([*head, *rows]) + "\n\n")


def row(setting: Setting) -> str:
    """A setting's row."""
    if setting.is_required:
        default = "required"
    else:
        default = "" if setting.default is None else f"`{setting.default}`"
    cells = (f"`{setting.name}`", type_of(setting), default, setting.description)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def type_of(setting: Setting) -> str:
    """A setting's type in words."""
    if setting.is_secret:
        return "secret"
    match setting.type, setting.format:
        case "string", "date-time":
            return "time"
        case "string", "uri":
            return "URL"
        case "string", _:
            return "text"
        case "integer", _:
            return f"integer{_bounds(setting)}"
        case its_type, _:
            return its_type


def _bounds(setting: Setting) -> str:
    least, most = setting.schema.get("minimum"), setting.schema.get("maximum")
    if least is None:
        return "" if most is None else f", {most} or less"
    return f", {least} or more" if most is None else f", {least} to {most}"

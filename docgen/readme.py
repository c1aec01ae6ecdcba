"""The table of settings in `README.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docgen.sections import replace_section

if TYPE_CHECKING:
    from docgen.about import About, Setting

BEGIN = "<!-- settings, made by `make docs` -->"
END = "<!-- end of settings -->"


def readme(text: str, about: About) -> str:
    """Return README.md with the table of the tap's own settings."""
    rows = [table_row(setting) for setting in about.settings if setting.is_own]
    header = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    # GitHub renders a table only after a blank line.
    return replace_section(text, BEGIN, END, "\n" + "\n".join([*header, *rows]) + "\n\n")


def table_row(setting: Setting) -> str:
    """Return the table row of a setting."""
    if setting.is_required:
        default = "required"
    else:
        default = "" if setting.default is None else f"`{setting.default}`"
    cells = (f"`{setting.name}`", type_name(setting), default, setting.description)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def type_name(setting: Setting) -> str:
    """Return the type of a setting for users."""
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
            return f"integer{_range(setting)}"
        case json_type, _:
            return json_type


def _range(setting: Setting) -> str:
    minimum, maximum = setting.schema.get("minimum"), setting.schema.get("maximum")
    if minimum is None:
        return "" if maximum is None else f", {maximum} or less"
    return f", {minimum} or more" if maximum is None else f", {minimum} to {maximum}"

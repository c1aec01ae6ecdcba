"""The optional settings in `.env.example`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docgen.sections import replace_section

if TYPE_CHECKING:
    from docgen.about import About

BEGIN = "# Everything else has a default or an alternative above; made by `make docs`."
END = "# PostgreSQL, for target-postgres"


def env_example(text: str, about: About) -> str:
    """Return `.env.example` with the tap's settings that it does not already assign."""
    assigned = {line.partition("=")[0] for line in text.splitlines()}
    lines = [
        f"# {setting.variable}={'' if setting.default is None else setting.default}\n"
        for setting in about.settings
        if setting.is_own and setting.variable not in assigned
    ]
    return replace_section(text, BEGIN, END, "".join(lines) + "\n")

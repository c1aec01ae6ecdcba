"""The settings in `.env.example` that few need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docgen.marks import between

if TYPE_CHECKING:
    from docgen.about import About

BEGIN = "# Everything else has a default or an alternative above; made by `make docs`."
END = "# PostgreSQL, for target-postgres"


def env_example(text: str, about: About) -> str:
    """`.env.example` with every setting of the tap's own that is not there to be filled in."""
    to_fill_in = {line.partition("=")[0] for line in text.splitlines()}
    lines = [
        f"# {setting.variable}={'' if setting.default is None else setting.default}\n"
        for setting in about.settings
        if setting.is_own and setting.variable not in to_fill_in
    ]
    return between(text, BEGIN, END, "".join(lines) + "\n")

"""What Meltano has to know of the tap, in `meltano.yml`."""

from __future__ import annotations

from io import StringIO
from textwrap import indent
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from docgen.marks import between
from tap_voicecalls.tap import SETTING_GROUPS

if TYPE_CHECKING:
    from docgen.about import About, Setting

BEGIN = "      # What the tap tells of itself, made by `make docs`:"
END = "      # End of what `make docs` makes."


def meltano_yml(text: str, about: About) -> str:
    """`meltano.yml` with the tap's capabilities and settings."""
    definition = {
        "capabilities": about.capabilities,
        "settings_group_validation": [_in_one_line(group) for group in SETTING_GROUPS],
        "settings": [setting_definition(setting) for setting in about.settings],
    }
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 10_000  # a description is one line
    written = StringIO()
    yaml.dump(definition, written)
    return between(text, BEGIN, END, indent(written.getvalue(), " " * 6))


def setting_definition(setting: Setting) -> dict[str, Any]:
    """A setting as Meltano and its Hub define it."""
    definition: dict[str, Any] = {
        "name": setting.name,
        "label": setting.title,
        "kind": "date_iso8601" if setting.format == "date-time" else setting.type,
    }
    if setting.is_secret:
        definition["sensitive"] = True
    if setting.default is not None:
        definition["value"] = setting.default
    return definition | {"description": setting.description}


def _in_one_line(names: tuple[str, ...]) -> CommentedSeq:
    line = CommentedSeq(names)
    line.fa.set_flow_style()
    return line

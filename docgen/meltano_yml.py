"""The capabilities and settings of the tap in `meltano.yml`."""

from __future__ import annotations

from io import StringIO
from textwrap import indent
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from docgen.sections import replace_section
from tap_voicecalls.tap import SETTING_GROUPS

if TYPE_CHECKING:
    from docgen.about import About, Setting

BEGIN = "      # What the tap tells of itself, made by `make docs`:"
END = "      # End of what `make docs` makes."


def meltano_yml(text: str, about: About) -> str:
    """Return `meltano.yml` with the tap's capabilities and settings."""
    definition = {
        "capabilities": about.capabilities,
        "settings_group_validation": [_flow_style(group) for group in SETTING_GROUPS],
        "settings": [setting_definition(setting) for setting in about.settings],
    }
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 10_000  # no line breaks within descriptions
    output = StringIO()
    yaml.dump(definition, output)
    return replace_section(text, BEGIN, END, indent(output.getvalue(), " " * 6))


def setting_definition(setting: Setting) -> dict[str, Any]:
    """Return a setting in the format of Meltano and Meltano Hub."""
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


def _flow_style(names: tuple[str, ...]) -> CommentedSeq:
    sequence = CommentedSeq(names)
    sequence.fa.set_flow_style()
    return sequence

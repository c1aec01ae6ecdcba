"""The tap's definition for Meltano Hub: `hub/tap-voicecalls.yml`."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from docgen.meltano_yml import setting_definition
from tap_voicecalls.tap import SETTING_GROUPS

if TYPE_CHECKING:
    from docgen.about import About

#: There is no public repository yet, and this leads nowhere: put its URL here, and its owner as
#: the variant, before the definition goes to the Hub.
REPOSITORY = "https://repository.invalid/tap-voicecalls"
VARIANT = "unpublished"

HEAD = f"""\
# Made by `make docs`. It belongs into github.com/meltano/hub, as
# _data/meltano/extractors/tap-voicecalls/{VARIANT}.yml, once docgen/hub.py has the repository.
"""


def hub(about: About) -> str:
    """The definition, in the order that the Hub asks for: that of the alphabet."""
    definition = {
        "name": about.name,
        "variant": VARIANT,
        "namespace": about.name.replace("-", "_"),
        "label": "Talkdesk Explore and Zendesk Talk",
        "description": about.description,
        "repo": REPOSITORY,
        "pip_url": f"git+{REPOSITORY}.git",
        "executable": about.name,
        "capabilities": about.capabilities,
        "keywords": ["api", "calls", "meltano_sdk", "talkdesk", "zendesk"],
        "maintenance_status": "beta",
        "quality": "unknown",
        "supported_python_versions": about.python_versions,
        "settings_group_validation": [sorted(group) for group in SETTING_GROUPS],
        "settings": [
            dict(sorted(setting_definition(setting).items()))
            for setting in sorted(about.settings, key=lambda setting: setting.name)
        ],
    }
    yaml = YAML()
    yaml.width = 10_000
    written = StringIO(HEAD)
    written.seek(0, 2)
    yaml.dump(dict(sorted(definition.items())), written)
    return written.getvalue()

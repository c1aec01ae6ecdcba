"""The output of the tap's `--about`."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from tap_voicecalls.registry import SETTINGS
from tap_voicecalls.tap import TapVoiceCalls


@dataclass(frozen=True)
class Setting:
    """A setting of the tap.

    Attributes:
        schema: Its JSON schema.
        is_required: Whether it is required.
        is_own: Whether the tap defines it, not the Singer SDK.
    """

    name: str
    schema: dict[str, Any]
    is_required: bool
    is_own: bool

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.schema["title"])

    @property
    def description(self) -> str:
        """Its description."""
        return str(self.schema["description"])

    @property
    def type(self) -> str:
        """Its JSON type other than null."""
        (json_type,) = (name for name in self.schema["type"] if name != "null")
        return str(json_type)

    @property
    def format(self) -> str | None:
        """The JSON schema format of a string."""
        return self.schema.get("format")

    @property
    def is_secret(self) -> bool:
        """Whether its value must not be displayed."""
        return bool(self.schema.get("secret"))

    @property
    def default(self) -> Any:  # noqa: ANN401 - any JSON
        """Its default value, or None."""
        return self.schema.get("default")

    @property
    def default_text(self) -> str:
        """Its default as users write it, or an empty string."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return "" if self.default is None else str(self.default)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"TAP_VOICECALLS_{self.name.upper()}"


@dataclass(frozen=True)
class About:
    """The output of `--about`.

    Attributes:
        settings: The tap's own settings, followed by those of the Singer SDK.
        schema: The JSON schema of all settings.
    """

    name: str
    description: str
    capabilities: list[str]
    python_versions: list[str]
    settings: list[Setting]
    schema: dict[str, Any]


def about() -> About:
    """Run `--about` and return its output."""
    with redirect_stdout(StringIO()) as output:
        TapVoiceCalls.print_about("json")
    info = json.loads(output.getvalue())
    schema = info["settings"]
    own = {setting.name for setting in SETTINGS}
    return About(
        name=info["name"],
        description=info["description"],
        capabilities=sorted(info["capabilities"]),
        python_versions=info["supported_python_versions"],
        settings=[
            Setting(name, setting_schema, name in schema["required"], name in own)
            for name, setting_schema in schema["properties"].items()
        ],
        schema=schema,
    )

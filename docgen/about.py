"""What the tap tells of itself with `--about`."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from tap_voicecalls.tap import SETTINGS, TapVoiceCalls


@dataclass(frozen=True)
class Setting:
    """A setting of the tap's.

    Attributes:
        schema: Its JSON schema.
        is_required: Whether it has to be set.
        is_own: Whether it is the tap's own, and not the Singer SDK's.
    """

    name: str
    schema: dict[str, Any]
    is_required: bool
    is_own: bool

    @property
    def title(self) -> str:
        """Its name in words."""
        return str(self.schema["title"])

    @property
    def description(self) -> str:
        """What it means, in messages."""
        return str(self.schema["description"])

    @property
    def type(self) -> str:
        """Its type in JSON, if it is not null."""
        (its_type,) = (each for each in self.schema["type"] if each != "null")
        return str(its_type)

    @property
    def format(self) -> str | None:
        """Which texts it takes."""
        return self.schema.get("format")

    @property
    def is_secret(self) -> bool:
        """Whether nobody may see it."""
        return bool(self.schema.get("secret"))

    @property
    def default(self) -> Any:  # noqa: ANN401 - of its type
        """What it is where it is not set; None for nothing."""
        return self.schema.get("default")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"TAP_VOICECALLS_{self.name.upper()}"


@dataclass(frozen=True)
class About:
    """What `--about` tells.

    Attributes:
        settings: The tap's own settings, and behind them those of the Singer SDK.
        schema: The settings as they are told: a JSON schema.
    """

    name: str
    description: str
    capabilities: list[str]
    python_versions: list[str]
    settings: list[Setting]
    schema: dict[str, Any]


def about() -> About:
    """Asks the tap."""
    with redirect_stdout(StringIO()) as output:
        TapVoiceCalls.print_about("json")
    told = json.loads(output.getvalue())
    schema = told["settings"]
    own = {setting.name for setting in SETTINGS}
    return About(
        name=told["name"],
        description=told["description"],
        capabilities=sorted(told["capabilities"]),
        python_versions=told["supported_python_versions"],
        settings=[
            Setting(name, its_schema, name in schema["required"], name in own)
            for name, its_schema in schema["properties"].items()
        ],
        schema=schema,
    )

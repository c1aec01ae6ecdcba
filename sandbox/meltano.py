"""The project's Meltano, run against the sandbox with a state of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.database import Database
    from sandbox.server import Sandbox

PROJECT = Path(__file__).parents[1]


class Meltano:
    """Meltano with the environment `sandbox` of the project's `meltano.yml`."""

    def __init__(self, sandbox: Sandbox, database: Database, folder: Path) -> None:
        """Points Meltano at running servers.

        Args:
            sandbox: Both vendors.
            database: Where `target-postgres` writes to.
            folder: Where Meltano keeps its state, apart from that of the project.
        """
        settings = sandbox.config
        self._environment = {
            **_without_settings(os.environ),
            **{f"TAP_VOICECALLS_{name.upper()}": str(settings[name]) for name in settings},
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.sqlalchemy_url,
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
        }

    def __call__(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of Meltano's to its end.

        Args:
            arguments: The command, such as `run`, and its arguments.
            settings: Environment variables to add.
        """
        return subprocess.run(  # noqa: S603 - our own Meltano
            [Path(sys.executable).parent / "meltano", "--environment=sandbox", *arguments],
            cwd=PROJECT,
            env=self._environment | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which no plugin is configured yet."""
    ours = ("TAP_VOICECALLS_", "TARGET_", "MELTANO_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}

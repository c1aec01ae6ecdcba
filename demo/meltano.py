"""Runs the project's Meltano against the sandbox, with separate state and working files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.database import Database

PROJECT = Path(__file__).parents[1]


class Vendors(Protocol):
    """Running vendors, such as the sandbox."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The tap settings to sync them."""


class Meltano:
    """Meltano in the `sandbox` environment of a `meltano.yml`."""

    def __init__(
        self, vendors: Vendors, database: Database, folder: Path, *, project: Path = PROJECT
    ) -> None:
        """Configure Meltano for running servers.

        Args:
            vendors: The vendors to extract from.
            database: The database that `target-postgres` loads into.
            folder: The folder for Meltano's state database and working files. With folders of
                their own, several instances can run at once.
            project: The project folder, or a copy of it.
        """
        self._project = project
        # Settings in the environment or in `.env` could point to real accounts.
        prefixes = ("TAP_VOICECALLS_", "TARGET_", "DBT_", "MELTANO_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(prefixes)},
            **{
                f"TAP_VOICECALLS_{name.upper()}": str(value)
                for name, value in vendors.config.items()
            },
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.sqlalchemy_url,
            "DBT_POSTGRES_HOST": database.socket_dir,
            "DBT_TARGET_PATH": str(folder / "dbt" / "target"),
            "DBT_LOG_PATH": str(folder / "dbt" / "logs"),
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "MELTANO_SYS_DIR_ROOT": str(_system_folder(folder, project)),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Meltano command and return its exit code and output.

        Args:
            arguments: The command, such as `run`, and its arguments.
            environment: Additional environment variables.
        """
        command = [
            str(Path(sys.executable).with_name("meltano")),
            "--environment=sandbox",
            f"--env-file={os.devnull}",
            *arguments,
        ]
        with subprocess.Popen(  # noqa: S603 - the project's Meltano
            command,
            cwd=self._project,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate()
            except BaseException:
                # The tap and the target are child processes and would outlive Meltano.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _system_folder(folder: Path, project: Path) -> Path:
    """Create a replacement for `.meltano` with links to the plugins installed there."""
    system_folder = folder / ".meltano"
    system_folder.mkdir(exist_ok=True)
    for plugins in ("extractors", "loaders", "utilities"):
        installed, link = project / ".meltano" / plugins, system_folder / plugins
        if installed.exists() and not link.exists():
            link.symlink_to(installed)
    return system_folder

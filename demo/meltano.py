"""The project's Meltano, run against the sandbox with a state of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.database import Database
    from sandbox.server import Sandbox

PROJECT = Path(__file__).parents[1]


class Meltano:
    """Meltano with the environment `sandbox` of a `meltano.yml`."""

    def __init__(
        self, sandbox: Sandbox, database: Database, folder: Path, *, project: Path = PROJECT
    ) -> None:
        """Points Meltano at running servers.

        Args:
            sandbox: Both vendors.
            database: Where `target-postgres` writes to.
            folder: Where Meltano keeps its state, apart from that of the project.
            project: The project's folder, or a copy of it.
        """
        self._project = project
        # What this machine has configured, here or in `.env`, is not for the sandbox.
        ours = ("TAP_VOICECALLS_", "TARGET_", "MELTANO_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            **{f"TAP_VOICECALLS_{name.upper()}": str(it) for name, it in sandbox.config.items()},
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.sqlalchemy_url,
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def __call__(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of Meltano's to its end.

        Args:
            arguments: The command, such as `run`, and its arguments.
            settings: Environment variables to add.
        """
        command = [
            str(Path(sys.executable).with_name("meltano")),
            "--environment=sandbox",
            f"--env-file={os.devnull}",
            *arguments,
        ]
        with subprocess.Popen(  # noqa: S603 - our own Meltano
            command,
            cwd=self._project,
            env=self._environment | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate()
            except BaseException:
                # The plugins are processes of their own, and would outlive a killed Meltano.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

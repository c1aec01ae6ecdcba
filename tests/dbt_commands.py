"""dbt with both adapters, in a virtual environment of its own, which is kept between runs.

`python -m tests.dbt_commands` installs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.meltano import PROJECT
from tests.targets import FOLDER, install_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = PROJECT / "dbt"
#: The project of a user of the package.
CONSUMER = PACKAGE / "integration_tests"

PACKAGES = (
    "dbt-core==1.11.16",
    "dbt-postgres==1.11.0",
    "dbt-duckdb==1.11.1",
    "duckdb==2.0.1",
)
#: dbt-core 1.11 requires a version of mashumaro that fails on Python 3.14.
IS_SUPPORTED = sys.version_info < (3, 14)


@dataclass(frozen=True)
class Result:
    """The result of a dbt command.

    Attributes:
        success: Whether the command succeeded.
        error: Why it could not run, if it could not.
        nodes: The status and the message of each model, test and source, by its unique id.
    """

    success: bool
    error: str | None
    nodes: dict[str, dict[str, str | None]]

    @property
    def failures(self) -> dict[str, str | None]:
        """The messages of the nodes that failed, or only warned."""
        return {
            name: node["message"]
            for name, node in self.nodes.items()
            if node["status"] not in {"success", "pass"}
        }


class Dbt:
    """A running dbt, in the project of a user of the package."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over a process of `tests/dbt_runner.py`."""
        self._process = process

    def __call__(self, *arguments: str, **variables: Any) -> Result:
        """Run a command.

        Args:
            arguments: The command, such as `build`, and its arguments.
            variables: The variables of the package.
        """
        command = [*arguments, "--vars", json.dumps(variables)] if variables else [*arguments]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(command)}\n")
        self._process.stdin.flush()
        return Result(**json.loads(self._process.stdout.readline()))

    def build(self, *arguments: str, **variables: Any) -> Result:
        """Build and test the models, and check that everything succeeded or warned.

        Args:
            arguments: Other arguments of `dbt build`.
            variables: The variables of the package.
        """
        result = self("build", *arguments, **variables)
        assert result.success, (result.error, result.failures)
        return result


@contextmanager
def start_dbt(folder: Path, environment: dict[str, str]) -> Iterator[Dbt]:
    """Start dbt, and stop it when the context exits.

    Args:
        folder: The folder for dbt's own files.
        environment: The variables of `dbt/profiles.yml`, DBT_TARGET, and other settings of dbt.
    """
    python = install()
    settings = {
        "DBT_PROJECT_DIR": str(CONSUMER),
        "DBT_PROFILES_DIR": str(PACKAGE),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    with (
        (folder / "dbt.log").open("w") as log,
        subprocess.Popen(  # noqa: S603 - the dbt installed above
            [python, "-I", PROJECT / "tests" / "dbt_runner.py"],
            env=os.environ | settings | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        dbt = Dbt(process)
        assert dbt("deps").success
        yield dbt


def install() -> Path:
    """Install dbt unless it is up to date, and return the path of its Python."""
    if not IS_SUPPORTED:
        pytest.skip("dbt does not support this Python")
    return install_packages(FOLDER / "dbt", PACKAGES) / "bin" / "python"


if __name__ == "__main__" and IS_SUPPORTED:
    install()

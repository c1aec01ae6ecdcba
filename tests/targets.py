"""Singer targets of others, each in an environment of its own, kept between runs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parents[1] / ".targets"

#: Each target as its newest release on the index; by the name of its distribution.
TARGETS = {
    "meltanolabs-target-postgres": "meltanolabs-target-postgres==0.8.1",
    # It pins psycopg2-binary 2.9.5, whose wheels end with Python 3.11.
    "pipelinewise-target-postgres": "pipelinewise-target-postgres==2.1.2; python_version < '3.12'",
    # The wheels of the DuckDB that it needs end with Python 3.13; see below.
    "target-duckdb": "target-duckdb==0.8.0; python_version < '3.14'",
    "target-jsonl": "target-jsonl==0.1.4",
    "meltanolabs-target-csv": "meltanolabs-target-csv==0.5.0",
    # Of 2019. Later ones are only in its repository.
    "target-sqlite": "target-sqlite==0.2.0",
}
#: What a target needs beside it, and does not say.
BESIDE = {
    # From 1.3 on, DuckDB takes the first row of each batch for a header, and it is lost.
    "target-duckdb": "duckdb==1.2.2",
}
#: What a target's Python is to run at its start.
AT_START = {
    # It and its SQLAlchemy 1.2 look for this name where it was before Python 3.10.
    "target-sqlite": "import collections.abc; "
    "collections.MutableMapping = collections.abc.MutableMapping",
}

#: What the targets' environment has to say.
ENVIRONMENT = {
    # Else meltanolabs-target-postgres stores times in the zone of the server.
    "PGTZ": "UTC",
}


def executable(distribution: str) -> Path:
    """Installs a target, unless it is already there as it should be.

    Where it can't be installed on this Python, the test is skipped.

    Args:
        distribution: One of `TARGETS`.

    Returns:
        The path of its command.
    """
    requirement = TARGETS[distribution]
    marker = Requirement(requirement).marker
    if marker is not None and not marker.evaluate():
        pytest.skip(f"{requirement} can't be installed on Python {platform.python_version()}")
    packages = [requirement, *filter(None, [BESIDE.get(distribution)])]
    at_start = AT_START.get(distribution, "")
    folder = FOLDER / distribution
    installed = folder / "installed"
    wanted = "\n".join([*packages, at_start, sys.version])
    if not installed.exists() or installed.read_text() != wanted:
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--python", str(folder / "bin/python"), *packages)
        site_packages = sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)})
        Path(site_packages, "at_start.pth").write_text(at_start)
        installed.write_text(wanted)
    return folder / "bin" / distribution[distribution.index("target-") :]


@dataclass(frozen=True)
class Load:
    """How `tap-voicecalls | target` ended.

    Attributes:
        codes: The exit codes of both.
        logs: What both wrote to stderr.
        states: What the target wrote to stdout, a state a line.
    """

    codes: tuple[int, int]
    logs: tuple[str, str]
    states: list[dict[str, Any]]


def load(
    distribution: str,
    folder: Path,
    *,
    tap: Mapping[str, Any],
    target: Mapping[str, Any],
    state: Mapping[str, Any],
) -> Load:
    """Pipes the tap into a target.

    Args:
        distribution: The target.
        folder: Where the files of this run go.
        tap: The tap's settings.
        target: The target's settings.
        state: The state to begin with.
    """
    files = {"tap": tap, "target": target, "state": state}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    tap_command = str(Path(sys.executable).with_name("tap-voicecalls"))
    target_command = str(executable(distribution))
    logs = folder / "tap.log", folder / "target.log"
    environment = os.environ | ENVIRONMENT | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with (
        logs[0].open("w") as tap_log,
        logs[1].open("w") as target_log,
        subprocess.Popen(  # noqa: S603 - our own tap
            [tap_command, "--config", "tap.json", "--state", "state.json"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=tap_log,
        ) as tap_run,
        subprocess.Popen(  # noqa: S603 - a target from the index
            [target_command, "--config", "target.json"],
            cwd=folder,
            env=environment,
            stdin=tap_run.stdout,
            stdout=subprocess.PIPE,
            stderr=target_log,
            text=True,
        ) as target_run,
    ):
        assert tap_run.stdout is not None
        tap_run.stdout.close()  # or the tap would not see that the target went away
        states, _ = target_run.communicate()
    return Load(
        (tap_run.returncode, target_run.returncode),
        (logs[0].read_text(), logs[1].read_text()),
        [json.loads(line) for line in states.splitlines()],
    )


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, *arguments, "--quiet"], check=True)  # noqa: S603 - our own uv

"""Third-party Singer targets, each in its own virtual environment, which is kept between runs.

`python -m tests.targets` installs all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FOLDER = Path(__file__).parents[1] / ".targets"

#: The latest release of each target on the package index, by distribution name.
TARGETS = {
    "meltanolabs-target-postgres": "meltanolabs-target-postgres==0.8.1",
    # It pins psycopg2-binary 2.9.5, which has no wheels for Python 3.12 and later.
    "pipelinewise-target-postgres": "pipelinewise-target-postgres==2.1.2; python_version < '3.12'",
    # The DuckDB version below has no wheels for Python 3.14 and later.
    "target-duckdb": "target-duckdb==0.8.0; python_version < '3.14'",
    "target-jsonl": "target-jsonl==0.1.4",
    "meltanolabs-target-csv": "meltanolabs-target-csv==0.5.0",
    # Released in 2019. Later versions are only in its repository.
    "target-sqlite": "target-sqlite==0.2.0",
}
#: Constraints that a target does not declare.
CONSTRAINTS = {
    # DuckDB 1.3 and later takes the first row of each batch for a header and drops it.
    "target-duckdb": "duckdb==1.2.2",
}
#: Code that a target's Python runs on startup.
STARTUP_CODE = {
    # The target and its SQLAlchemy 1.2 use this alias, which was removed in Python 3.10.
    "target-sqlite": "import collections.abc; "
    "collections.MutableMapping = collections.abc.MutableMapping",
}

#: Environment variables for the targets.
TARGET_ENVIRONMENT = {
    # Otherwise, meltanolabs-target-postgres stores timestamps in the server's time zone.
    "PGTZ": "UTC",
}


def is_supported(distribution: str) -> bool:
    """Return whether a target can be installed on this Python."""
    marker = Requirement(TARGETS[distribution]).marker
    return marker is None or marker.evaluate()


def target_command(distribution: str) -> Path:
    """Return the path of a target's executable, and install the target if necessary.

    If this Python does not support the target, skip the test.

    Args:
        distribution: One of `TARGETS`.
    """
    if not is_supported(distribution):
        pytest.skip(f"{TARGETS[distribution]} does not support Python {platform.python_version()}")
    return install(distribution)


def install(distribution: str) -> Path:
    """Install a target unless it is up to date, and return the path of its executable."""
    packages = [TARGETS[distribution], *filter(None, [CONSTRAINTS.get(distribution)])]
    environment = install_packages(
        FOLDER / distribution, packages, STARTUP_CODE.get(distribution, "")
    )
    return environment / "bin" / distribution[distribution.index("target-") :]


def install_packages(folder: Path, packages: Sequence[str], startup_code: str = "") -> Path:
    """Create a virtual environment unless it is up to date, and return its folder.

    Args:
        folder: The folder of the virtual environment.
        packages: The requirements to install.
        startup_code: Code that its Python runs on startup.
    """
    stamp = folder / "installed"
    expected = "\n".join([*packages, startup_code, sys.version])
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not stamp.exists() or stamp.read_text() != expected:
            print(f"Installing {' and '.join(packages)}", flush=True)  # noqa: T201 - progress
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(folder / "bin/python"), *packages)
            site_packages = sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)})
            Path(site_packages, "startup.pth").write_text(startup_code)
            stamp.write_text(expected)
    return folder


@dataclass(frozen=True)
class Load:
    """The result of `tap-voicecalls | target`.

    Attributes:
        exit_codes: The exit codes of the tap and the target.
        logs: The stderr of the tap and the target.
        states: The states that the target wrote to stdout, one per line.
    """

    exit_codes: tuple[int, int]
    logs: tuple[str, str]
    states: list[dict[str, Any]]


def load(
    distribution: str,
    folder: Path,
    *,
    tap: Mapping[str, Any],
    target: Mapping[str, Any],
    state: Mapping[str, Any],
    catalog: Mapping[str, Any],
) -> Load:
    """Pipe the tap into a target.

    Args:
        distribution: The target, one of `TARGETS`.
        folder: The working directory of the run.
        tap: The config of the tap.
        target: The config of the target.
        state: The initial state.
        catalog: The catalog.
    """
    files = {"config": tap, "target": target, "state": state, "catalog": catalog}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    tap_command = str(Path(sys.executable).with_name("tap-voicecalls"))
    target_path = str(target_command(distribution))
    logs = folder / "tap.log", folder / "target.log"
    environment = (
        os.environ | TARGET_ENVIRONMENT | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    )
    with (
        logs[0].open("w") as tap_log,
        logs[1].open("w") as target_log,
        subprocess.Popen(  # noqa: S603 - the tap
            [tap_command, *(f"--{name}={name}.json" for name in ("config", "state", "catalog"))],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=tap_log,
        ) as tap_run,
        subprocess.Popen(  # noqa: S603 - an installed target
            [target_path, "--config", "target.json"],
            cwd=folder,
            env=environment,
            stdin=tap_run.stdout,
            stdout=subprocess.PIPE,
            stderr=target_log,
            text=True,
        ) as target_run,
    ):
        assert tap_run.stdout is not None
        tap_run.stdout.close()  # otherwise the tap would not notice a closed pipe
        states, _ = target_run.communicate()
    return Load(
        (tap_run.returncode, target_run.returncode),
        (logs[0].read_text(), logs[1].read_text()),
        [json.loads(line) for line in states.splitlines()],
    )


def kill_after_states(
    distribution: str,
    folder: Path,
    *,
    messages: Iterable[Mapping[str, Any]],
    target: Mapping[str, Any],
    count: int,
) -> list[dict[str, Any]]:
    """Feed messages to a target, and kill it once it has written a number of states.

    Args:
        distribution: The target, one of `TARGETS`.
        folder: The working directory of the run.
        messages: The Singer messages.
        target: The config of the target.
        count: The number of states; a target that writes fewer ends by itself.

    Returns:
        The states that the target wrote.
    """
    (folder / "target.json").write_text(json.dumps(target))
    (folder / "messages.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in messages))
    with (
        (folder / "messages.jsonl").open() as source,
        (folder / "target.log").open("w") as log,
        subprocess.Popen(  # noqa: S603 - an installed target
            [target_command(distribution), "--config", "target.json"],
            cwd=folder,
            env=os.environ | TARGET_ENVIRONMENT,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as run,
    ):
        assert run.stdout is not None
        states = list(islice(run.stdout, count))
        run.kill()
        states += run.stdout  # written before the kill
    return [json.loads(line) for line in states]


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, *arguments, "--quiet"], check=True)  # noqa: S603 - the project's uv


def main() -> None:
    """Install all targets that support this Python."""
    for distribution in filter(is_supported, TARGETS):
        install(distribution)


if __name__ == "__main__":
    main()

"""Singer targets of others, each in an environment of its own, kept between runs."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.requirements import Requirement

FOLDER = Path(__file__).parents[1] / ".targets"

#: Each target as its newest release on the index; by the name of its distribution.
TARGETS = {
    "meltanolabs-target-postgres": "meltanolabs-target-postgres==0.8.1",
    # It pins psycopg2-binary 2.9.5, whose wheels end with Python 3.11.
    "pipelinewise-target-postgres": "pipelinewise-target-postgres==2.1.2; python_version < '3.12'",
    "target-duckdb": "target-duckdb==0.8.0",
    "target-jsonl": "target-jsonl==0.1.4",
    "meltanolabs-target-csv": "meltanolabs-target-csv==0.5.0",
    # Of 2019. Those since then are only in its repository, and are not asked for here.
    "target-sqlite": "target-sqlite==0.2.0",
}
#: What to run at the start of a target's Python: target-sqlite and its SQLAlchemy 1.2 look for this
#: name where it was before Python 3.10.
AT_START = {
    "target-sqlite": "import collections.abc; "
    "collections.MutableMapping = collections.abc.MutableMapping",
}


def is_installable(distribution: str) -> bool:
    """Whether a target can be installed on this Python."""
    marker = Requirement(TARGETS[distribution]).marker
    return marker is None or marker.evaluate()


def executable(distribution: str) -> Path:
    """Installs a target, unless it is already there as it should be.

    Args:
        distribution: One of `TARGETS`.

    Returns:
        The path of its command.
    """
    folder = FOLDER / distribution
    wanted = "\n".join([TARGETS[distribution], AT_START.get(distribution, ""), sys.version])
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != wanted:
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--python", str(folder / "bin/python"), TARGETS[distribution])
        site_packages = sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)})
        Path(site_packages, "at_start.pth").write_text(AT_START.get(distribution, ""))
        installed.write_text(wanted)
    return folder / "bin" / distribution[distribution.index("target-") :]


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, *arguments, "--quiet"], check=True)  # noqa: S603 - our own uv

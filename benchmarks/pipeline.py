"""The cost of a whole pipeline into PostgreSQL: `meltano run` as shipped, compared with dlt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from benchmarks.goals import at_most
from benchmarks.server import DAYS, serve
from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox.zendesk import Zendesk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.goals import Outcome
    from demo.database import Database

STREAMS = ("zendesk_calls", "zendesk_legs", "talkdesk_calls")
ROWS = 100_000
HOURLY_ROWS = 50
#: The maximum CPU time of the pipeline compared with dlt's.
CPU_RATIO = 1.3
#: The maximum wall time of an hourly run compared with dlt's, which is one process, not four.
HOURLY_RATIO = 7

DLT = "dlt[postgres]==1.31.0"
DLT_FOLDER = PROJECT / ".targets" / "dlt"
_SCHEMAS = ("tap_voicecalls", "dlt_voicecalls")


@dataclass(frozen=True)
class Vendors:
    """The served vendors.

    Attributes:
        config: The tap settings to sync them.
    """

    config: dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        cpu: CPU time of all processes, including PostgreSQL, in seconds.
        wall: Wall time in seconds.
    """

    cpu: float
    wall: float


def compared_with_dlt(folder: Path) -> Iterator[Outcome]:
    """Measure a first load, an update of all rows, and an hourly run, each compared with dlt.

    One round only: the runs are long enough that other load on the machine affects both alike.
    """
    python = _install_dlt()
    with database() as postgres:
        # The first run on a machine also compiles Python's modules.
        _run_both(folder / "warm-up", postgres, python, rows=HOURLY_ROWS, days_ago=3 * DAYS)
        _drop_tables(postgres)
        for what, days_ago in {"first load": 2 * DAYS, "update of all rows": DAYS}.items():
            meltano, dlt = _run_both(
                folder / "pipeline", postgres, python, rows=ROWS, days_ago=days_ago
            )
            yield at_most(
                f"CPU, meltano run, {what}, {ROWS:,} rows of each stream, compared with dlt",
                *(CPU_RATIO, meltano.cpu, dlt.cpu, "s"),
            )
        meltano, dlt = _run_both(
            folder / "pipeline", postgres, python, rows=HOURLY_ROWS, days_ago=0, expected=ROWS
        )
    yield at_most(
        f"time, meltano run, {HOURLY_ROWS} changed rows of each stream, compared with dlt",
        *(HOURLY_RATIO, meltano.wall, dlt.wall, "s"),
    )


def _run_both(  # noqa: PLR0913
    folder: Path,
    postgres: Database,
    python: Path,
    *,
    rows: int,
    days_ago: int,
    expected: int | None = None,
) -> tuple[Cost, Cost]:
    """Load a history of calls with Meltano and with dlt, and check the tables.

    Args:
        folder: The folder for what both remember between runs.
        postgres: The database to load into.
        python: The Python with dlt.
        rows: The rows of each stream, with the same keys in every history.
        days_ago: The days that the history ended before now.
        expected: The rows that each table then has; by default `rows`.
    """
    folder.mkdir(exist_ok=True)
    with serve(**dict.fromkeys(STREAMS, rows), days_ago=days_ago) as served:
        config = served | {"zendesk_requests_per_minute": 100_000}
        meltano = Meltano(Vendors(config), postgres, folder)
        costs = (
            measure(postgres, lambda: run_meltano(meltano)),
            measure(postgres, lambda: _run_dlt(python, folder, postgres, config)),
        )
    for schema in _SCHEMAS:
        for stream in STREAMS:
            _check_table(postgres, schema, stream, expected or rows, rows, config["start_date"])
    return costs


def measure(postgres: Database, action: Callable[[], None]) -> Cost:
    """Measure what an action costs, with its child processes and PostgreSQL."""
    server = _server_cpu(postgres)
    children, started_at = os.times(), time.monotonic()
    action()
    wall, after = time.monotonic() - started_at, os.times()
    cpu = after.children_user + after.children_system
    cpu -= children.children_user + children.children_system
    return Cost(cpu + _server_cpu(postgres) - server, wall)


def _server_cpu(postgres: Database) -> float:
    """Return the CPU time of PostgreSQL, including connections that are closed."""
    pid_file = Path(postgres.socket_dir, "postmaster.pid")
    server = psutil.Process(int(pid_file.read_text().partition("\n")[0]))
    backends = [process.cpu_times() for process in server.children()]
    return sum(server.cpu_times()[:4]) + sum(each.user + each.system for each in backends)


def run_meltano(meltano: Meltano, *options: str, **environment: str) -> None:
    """Run the pipeline.

    Args:
        meltano: The project.
        options: Options of `meltano run`.
        environment: Additional environment variables.

    Raises:
        RuntimeError: It failed.
    """
    # Empty: set, they would slow all four processes down.
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONUNBUFFERED": ""}
    run = meltano("run", *options, "tap-voicecalls", "target-postgres", **environment)
    if run.returncode:
        log = (run.stdout + run.stderr).splitlines()
        problems = [line for line in log if "[warning" in line or "[error" in line]
        raise RuntimeError("\n".join(["meltano failed:", *problems]))


def _run_dlt(python: Path, folder: Path, postgres: Database, config: dict[str, Any]) -> None:
    config_file = folder / "dlt.json"
    url = f"postgresql://postgres:unused@{quote(postgres.socket_dir, safe='')}/postgres"
    config_file.write_text(
        json.dumps(config | {"database_url": url, "zendesk_access_token": Zendesk.access_token})
    )
    script = Path(__file__).with_name("dlt_pipeline.py")
    run = subprocess.run(  # noqa: S603 - the script next to this module
        [python, script, config_file, folder / "pipelines", *STREAMS],
        check=False,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "DLT_DATA_DIR": str(folder),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        },
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise RuntimeError(f"dlt failed:\n{(run.stdout + run.stderr)[-2000:]}")


def _check_table(  # noqa: PLR0913, PLR0917
    postgres: Database, schema: str, stream: str, count: int, changed: int, start: str
) -> None:
    """Check that a table has all rows, and the values of those that changed.

    Raises:
        RuntimeError: It does not, so the cost of the run means nothing.
    """
    column = "end_at" if stream.startswith("talkdesk") else "updated_at"
    query = sql.SQL("select count(*), count(*) filter (where {} >= {}) from {}").format(
        sql.Identifier(column), sql.Literal(start), sql.Identifier(schema, stream)
    )
    with psycopg.connect(postgres.conninfo) as connection:
        found = connection.execute(query).fetchone()
    if found is None or found[0] != count or found[1] < changed * 0.99:
        raise RuntimeError(f"{schema}.{stream} has {found} rows, not {count} with {changed} new.")


def _drop_tables(postgres: Database) -> None:
    with psycopg.connect(postgres.conninfo) as connection:
        for schema in _SCHEMAS:
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))


def _install_dlt() -> Path:
    """Install dlt in an environment of its own, and return its Python."""
    python, stamp = DLT_FOLDER / "bin" / "python", DLT_FOLDER / "installed"
    expected = f"{DLT}\n{sys.version}"
    if not stamp.exists() or stamp.read_text() != expected:
        uv = str(Path(sys.executable).with_name("uv"))
        for command in (
            ("venv", "--clear", f"--python={sys.executable}", str(DLT_FOLDER)),
            ("pip", "install", f"--python={python}", DLT),
        ):
            subprocess.run((uv, *command, "--quiet"), check=True)  # noqa: S603 - the project's uv
        stamp.write_text(expected)
    return python

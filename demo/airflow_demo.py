"""Load two years on Apache Airflow in parts, then run the hourly job: `make airflow-demo`."""

from __future__ import annotations

import signal
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from demo.__main__ import (
    CALLS_PER_DAY,
    ROW_COUNTS,
    STOP_SIGNALS,
    fetch,
    print_line,
    print_table,
    stop,
)
from demo.airflow import FINISHED, wait_until
from demo.airflow_project import start_airflow
from demo.database import database
from sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.airflow import Airflow
    from demo.database import Database

BACKFILL, HOURLY = "voicecalls_backfill", "voicecalls_hourly"
DAYS, PART_DAYS, RECENT_DAYS = 730, 182, 4


def main() -> None:
    """Start the servers and workers, run both DAGs, print what they loaded, stop everything.

    Raises:
        SystemExit: A step failed; the message holds the reason.
    """
    for signum in STOP_SIGNALS:
        signal.signal(signum, stop)
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=DAYS)
    with (
        TemporaryDirectory(prefix="voicecalls-", ignore_cleanup_errors=True) as folder,
        Sandbox(calls=400, days=DAYS - 1, page_size=1000) as sandbox,
        database() as postgres,
        start_airflow(
            sandbox,
            postgres,
            Path(folder),
            start_date=today - timedelta(days=RECENT_DAYS),
            isolated=False,
        ) as (airflow, _),
    ):
        print_line("Apache Airflow with two workers, both fake vendors and PostgreSQL are running.")
        print_line(f"Grid of the backfill: {airflow.url}/dags/{BACKFILL}")
        run = airflow.trigger(BACKFILL, **{"from": f"{start:%Y-%m-%d}", "part_days": PART_DAYS})
        print_run(airflow, BACKFILL, run)
        print_counts(postgres, "-infinity")

        changed = sandbox.change_calls(20)
        print_line(f"\n{sum(changed.values())} rows are updated or added in the sandbox.")
        since = fetch(postgres, "select now() at time zone 'utc'")[0][0]
        print_line(f"Grid of the hourly job: {airflow.url}/dags/{HOURLY}")
        print_run(airflow, HOURLY, airflow.first_run(HOURLY))
        check_counts(print_counts(postgres, since), sandbox, start)

        print_line("\nCalls per day in PostgreSQL:")
        print_table(("day", "talkdesk", "zendesk"), fetch(postgres, CALLS_PER_DAY))


def print_run(airflow: Airflow, dag: str, run: str) -> None:
    """Wait for a run, and print where each task ran.

    Raises:
        SystemExit: The run failed; the message has the last line of each task that failed.
    """
    wait_until(lambda: airflow.state(dag, run) in FINISHED, 3600)
    tasks = sorted(airflow.tasks(dag, run), key=lambda task: task["start_date"] or "")
    rows = [
        (
            task["task_id"],
            task["rendered_map_index"] or "",
            task["hostname"] or "",
            task["state"] or "",
            f"{task['duration'] or 0:.0f} s",
        )
        for task in tasks
    ]
    print_table(("task", "part", "host", "state", "duration"), rows)
    if airflow.state(dag, run) == "failed":
        failed = [task for task in tasks if task["state"] == "failed"]
        sys.exit("\n".join(f"{task['task_id']}: {airflow.error(task)}" for task in failed))


def print_counts(postgres: Database, since: object) -> Sequence[Sequence[object]]:
    """Print how many rows each table has, and how many were loaded since a point in time."""
    counts = fetch(postgres, ROW_COUNTS, since=since)
    print_table(("table", "rows", "loaded by this run"), counts)
    return counts


def check_counts(counts: Sequence[Sequence[object]], sandbox: Sandbox, start: datetime) -> None:
    """Compare the tables with the vendors' rows.

    Raises:
        SystemExit: Rows are missing.
    """
    fields = {"talkdesk_calls": "end_at"}
    for table, count, _ in counts:
        rows = sandbox.rows[str(table)].values()
        field = fields.get(str(table), "updated_at")
        expected = sum((row[field] or "") >= f"{start:%Y-%m-%d}" for row in rows)
        if count != expected:
            sys.exit(f"{table} has {count} rows, but the vendor has {expected}.")


if __name__ == "__main__":
    main()

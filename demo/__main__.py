"""Sync both vendors into PostgreSQL, first in full and then incrementally: `make demo`."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg

from demo.database import database
from demo.meltano import Meltano
from sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import LiteralString

    from demo.database import Database

RUN = ("run", "tap-voicecalls", "target-postgres")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

ROW_COUNTS: LiteralString = """
    select 'talkdesk_calls', count(*), count(*) filter (where _sdc_batched_at >= %(since)s)
    from tap_voicecalls.talkdesk_calls
    union all
    select 'zendesk_calls', count(*), count(*) filter (where _sdc_batched_at >= %(since)s)
    from tap_voicecalls.zendesk_calls
    union all
    select 'zendesk_legs', count(*), count(*) filter (where _sdc_batched_at >= %(since)s)
    from tap_voicecalls.zendesk_legs
"""
CALLS_PER_DAY: LiteralString = """
    with calls as (
        select start_at::date as day, 'talkdesk' as vendor from tap_voicecalls.talkdesk_calls
        union all
        select created_at::date, 'zendesk' from tap_voicecalls.zendesk_calls
    )
    select day, count(*) filter (where vendor = 'talkdesk'),
        count(*) filter (where vendor = 'zendesk')
    from calls group by day order by day desc limit 7
"""


def main() -> None:
    """Start the servers, run the pipeline twice, print what each run loaded, stop the servers.

    Raises:
        SystemExit: A step failed; the message holds the reason.
    """
    for signum in STOP_SIGNALS:
        signal.signal(signum, stop)
    with (
        TemporaryDirectory(prefix="voicecalls-") as folder,
        Sandbox(calls=400, days=30, page_size=1000) as sandbox,
        database() as postgres,
    ):
        print_line("Fake Zendesk Talk and Talkdesk Explore APIs and a PostgreSQL are running.")
        meltano = Meltano(sandbox, postgres, Path(folder))
        run_pipeline(meltano, "first run: full sync since 2019")
        counts = fetch(postgres, ROW_COUNTS, since="-infinity")
        print_table(("table", "rows", "loaded by this run"), counts)

        changed = sandbox.change_calls(20)
        print_line(f"\n{sum(changed.values())} rows are updated or added in the sandbox.")
        since = fetch(postgres, "select now() at time zone 'utc'")[0][0]
        run_pipeline(meltano, "second run: incremental sync with lookback")
        counts = fetch(postgres, ROW_COUNTS, since=since)
        print_table(("table", "rows", "loaded by this run"), counts)
        check_counts(counts, sandbox, changed)

        print_line("\nCalls per day in PostgreSQL:")
        print_table(("day", "talkdesk", "zendesk"), fetch(postgres, CALLS_PER_DAY))


def stop(signum: int, _: object) -> None:
    """Exit on a signal, once everything that the demo started has been stopped.

    Raises:
        SystemExit: Always.
    """
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + signum)


def run_pipeline(meltano: Meltano, title: str) -> None:
    """Run the pipeline once.

    Raises:
        SystemExit: Meltano failed; the message holds its output.
    """
    print_line(f"\nmeltano --environment=sandbox {' '.join(RUN)}   ({title})")
    started_at = time.monotonic()
    run = meltano(*RUN)
    if run.returncode:
        sys.exit(f"{run.stdout}{run.stderr}\nmeltano failed with exit code {run.returncode}.")
    print_line(f"done in {time.monotonic() - started_at:.0f} s")


def check_counts(
    counts: Sequence[Sequence[Any]], sandbox: Sandbox, changed: dict[str, int]
) -> None:
    """Compare the tables after the second run with the vendors' rows.

    Args:
        counts: The rows of `ROW_COUNTS`.
        sandbox: The vendors.
        changed: The number of changed rows of each stream.

    Raises:
        SystemExit: Rows are missing, or the second run was not incremental.
    """
    for table, count, loaded in counts:
        expected = sandbox.truth[table]
        if count != expected:
            sys.exit(f"{table} has {count} rows, but the vendor has {expected}.")
        if not changed[table] <= loaded < count / 2:
            sys.exit(
                f"The second run loaded {loaded} of {count} rows of {table}, "
                f"but {changed[table]} had changed."
            )


def fetch(postgres: Database, query: LiteralString, **values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(postgres.conninfo) as connection:
        return connection.execute(query, values).fetchall()


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows in aligned columns."""
    lines = [tuple(map(str, line)) for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print_line("  " + "   ".join(cells))


def print_line(line: str) -> None:
    """Print a line without buffering."""
    print(line, flush=True)  # noqa: T201 - program output


if __name__ == "__main__":
    main()

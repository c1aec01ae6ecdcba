"""From two vendors to rows in PostgreSQL, twice: `make demo`."""

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
STOP = (signal.SIGINT, signal.SIGTERM)

ROWS: LiteralString = """
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
    """Starts everything, runs Meltano twice, tells what came, stops everything.

    Raises:
        SystemExit: Something failed; the reason is told.
    """
    for signum in STOP:
        signal.signal(signum, stop)
    with (
        TemporaryDirectory(prefix="voicecalls-") as folder,
        Sandbox(calls=400, days=30, page_size=1000) as sandbox,
        database() as postgres,
    ):
        say("Zendesk Talk and Talkdesk Explore are on loopback, PostgreSQL beside them.")
        meltano = Meltano(sandbox, postgres, Path(folder))
        run(meltano, "first run: everything since 2019")
        show(("table", "rows", "brought by this run"), read(postgres, ROWS, since="-infinity"))

        changed = sandbox.change_calls(20)
        say(f"\nIn the sandbox, {sum(changed.values())} rows change or come in anew.")
        since = read(postgres, "select now() at time zone 'utc'")[0][0]
        run(meltano, "second run: what is new, and what may still have changed")
        rows = read(postgres, ROWS, since=since)
        show(("table", "rows", "brought by this run"), rows)
        check(rows, sandbox, changed)

        say("\nCalls a day, read back from PostgreSQL:")
        show(("day", "talkdesk", "zendesk"), read(postgres, CALLS_PER_DAY))


def stop(signum: int, _: object) -> None:
    """Ends the demo on a signal, once everything that it started has been stopped.

    Raises:
        SystemExit: Always.
    """
    for each in STOP:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + signum)


def run(meltano: Meltano, title: str) -> None:
    """Runs the pipeline once.

    Raises:
        SystemExit: It failed; Meltano's own words tell why.
    """
    say(f"\nmeltano --environment=sandbox {' '.join(RUN)}   ({title})")
    started = time.monotonic()
    done = meltano(*RUN)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nmeltano ended with exit code {done.returncode}.")
    say(f"done in {time.monotonic() - started:.0f} s")


def check(rows: Sequence[Sequence[Any]], sandbox: Sandbox, changed: dict[str, int]) -> None:
    """Compares the tables with what the vendors hold.

    Raises:
        SystemExit: They differ.
    """
    truth = {
        "talkdesk_calls": len(sandbox.talkdesk.calls),
        "zendesk_calls": len(sandbox.zendesk.calls),
        "zendesk_legs": len(sandbox.zendesk.legs),
    }
    for table, count, brought in rows:
        if count != truth[table]:
            sys.exit(f"{table} has {count} rows, but the vendor has {truth[table]}.")
        if not changed[table] <= brought < count / 2:
            sys.exit(f"The second run brought {brought} rows of {table}, not about the changed.")


def read(postgres: Database, query: LiteralString, **values: object) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with psycopg.connect(postgres.conninfo) as connection:
        return connection.execute(query, values).fetchall()


def show(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table."""
    lines = [tuple(map(str, line)) for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  " + "   ".join(cells))


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)  # noqa: T201 - it is what the demo is for


if __name__ == "__main__":
    main()

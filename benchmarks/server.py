"""Both vendors in a process of their own, so that what they cost is not counted as the tap's."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sandbox import Sandbox
from sandbox.history import HistoryMaker, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How far back the calls reach: within the month that one report job of Talkdesk's may cover, and
#: as easily cut into 24 windows.
DAYS = 24
#: How far before now they end: behind every lookback of an hour or less.
QUIET = timedelta(hours=2)


@contextmanager
def serving(**options: float) -> Iterator[dict[str, Any]]:
    """Serves both vendors for as long as the context lasts.

    Args:
        options: The options of `python -m benchmarks.server`, by name.

    Yields:
        Settings of the tap that read the calls: from `start_date` up to `end_date`.
    """
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "benchmarks.server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("The sandbox did not start.")
        yield json.loads(line)
        # Leaving closes its stdin, which ends it.


def main() -> None:
    """Serves calls that are spread evenly over the time, until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--zendesk-calls", type=int, default=0)
    parser.add_argument("--talkdesk-calls", type=int, default=0)
    parser.add_argument("--page-size", type=int, default=1000, help="rows of a Zendesk page")
    parser.add_argument("--requests-per-minute", type=int, help="Zendesk's quota; without: none")
    parser.add_argument("--job-seconds", type=float, default=0, help="how long a report job takes")
    options = parser.parse_args()

    now = datetime.now(timezone.utc).replace(microsecond=0)
    end = now - QUIET
    start = end - timedelta(days=DAYS)
    maker = HistoryMaker(seed=1)
    sandbox = Sandbox(
        calls=0,
        page_size=options.page_size,
        zendesk_requests_per_minute=options.requests_per_minute,
        job_seconds=options.job_seconds,
    )
    for moment in _spread(options.zendesk_calls, start, end):
        sandbox.zendesk.put_call(maker.zendesk_call(moment) | {"updated_at": utc(moment)})
    # An hour less: a call belongs to the time in which it ends.
    for moment in _spread(options.talkdesk_calls, start, end - timedelta(hours=1)):
        sandbox.talkdesk.put_call(maker.talkdesk_call(moment))
    with sandbox:
        span = {"start_date": utc(start), "end_date": utc(end)}
        print(json.dumps(sandbox.config | span), flush=True)  # noqa: T201 - its output
        sys.stdin.read()


def _spread(count: int, start: datetime, end: datetime) -> Iterator[datetime]:
    for index in range(count):
        yield start + (end - start) * index / count


if __name__ == "__main__":
    main()

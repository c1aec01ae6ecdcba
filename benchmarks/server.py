"""The fake vendors in a separate process, so that their CPU time is not measured."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sandbox import Fault, Sandbox
from sandbox.history import HistoryGenerator, format_utc
from sandbox.zendesk import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.history import Row

#: The length of the history: less than the month that a Talkdesk report job can cover, and easy to
#: split into windows.
DAYS = 24
#: The end of the history before the current time, longer than any lookback of up to an hour.
GAP = timedelta(hours=2)


@contextmanager
def serve(**options: float) -> Iterator[dict[str, Any]]:
    """Serve both vendors until the context exits.

    Args:
        options: The options of `python -m benchmarks.server`, by name.

    Yields:
        Tap settings to sync the calls, with `start_date` and `end_date`.
    """
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with subprocess.Popen(  # noqa: S603 - this module
        [sys.executable, "-m", "benchmarks.server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("The sandbox failed to start.")
        yield json.loads(line)
        # On exit, `Popen` closes stdin, which stops the process.


def main() -> None:
    """Serve evenly spread calls until stdin is closed. Each history has the same IDs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--zendesk-calls", type=int, default=0)
    parser.add_argument("--zendesk-legs", type=int, default=0)
    parser.add_argument("--talkdesk-calls", type=int, default=0)
    parser.add_argument("--page-size", type=int, default=1000, help="rows per Zendesk page")
    parser.add_argument(
        "--unknown-fields",
        type=int,
        default=0,
        help="fields per Zendesk call that are not in the schema",
    )
    parser.add_argument(
        "--requests-per-minute", type=int, help="Zendesk's rate limit; default none"
    )
    parser.add_argument(
        "--days-ago", type=int, default=0, help="days that the history ended before now"
    )
    parser.add_argument("--job-seconds", type=float, default=0, help="duration of a report job")
    parser.add_argument("--page-seconds", type=float, default=0, help="latency of a Zendesk page")
    options = parser.parse_args()

    now = datetime.now(timezone.utc).replace(microsecond=0)
    end = now - GAP - timedelta(days=options.days_ago)
    start = end - timedelta(days=DAYS)
    unknown = {f"unknown_field_{number}": "value" for number in range(options.unknown_fields)}
    sandbox = Sandbox(
        calls=0,
        page_size=options.page_size,
        zendesk_requests_per_minute=options.requests_per_minute,
        job_seconds=options.job_seconds,
    )
    if options.page_seconds:
        fault = Fault.hang(f"{PATH}/*", seconds=options.page_seconds, times=None)
        sandbox.faults.add(fault)
    generator = HistoryGenerator(seed=1)
    for at in _evenly_spaced(options.zendesk_calls, start, end):
        call = generator.zendesk_call(at) | {"updated_at": format_utc(at)} | unknown
        sandbox.zendesk.put_call(call)
    for leg in _legs(options.zendesk_legs, start, end):
        sandbox.zendesk.put_leg(leg)
    generator = HistoryGenerator(seed=1)
    # Talkdesk's reports select calls by their end, which is within the hour after their start.
    for at in _evenly_spaced(options.talkdesk_calls, start, end - timedelta(hours=1)):
        sandbox.talkdesk.put_call(generator.talkdesk_call(at))
    with sandbox:
        date_range = {"start_date": format_utc(start), "end_date": format_utc(end)}
        print(json.dumps(sandbox.config | date_range), flush=True)  # noqa: T201 - program output
        sys.stdin.read()


def _legs(count: int, start: datetime, end: datetime) -> Iterator[Row]:
    """Generate legs, of calls that are not part of the history."""
    generator = HistoryGenerator(seed=1)
    for at in _evenly_spaced(count, start, end):
        leg = generator.zendesk_legs(generator.zendesk_call(at))[-1]
        yield leg | {"updated_at": format_utc(at)}


def _evenly_spaced(count: int, start: datetime, end: datetime) -> Iterator[datetime]:
    for index in range(count):
        yield start + (end - start) * index / count


if __name__ == "__main__":
    main()

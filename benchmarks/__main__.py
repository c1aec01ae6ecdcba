"""Measure the tap against its performance goals: `make bench`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import both_vendors, pipeline, talkdesk, zendesk
from benchmarks.goals import format_table
from benchmarks.hourly import hourly_run
from benchmarks.start import startup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.goals import Outcome


def main() -> int:
    """Print a table of goals. Return 1 if a goal is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs per median; default 3")
    parser.add_argument(
        "--skip-rate-limit", action="store_true", help="skip the rows that wait for 2 minutes"
    )
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in _outcomes(
            Path(folder), options.runs, with_rate_limit=not options.skip_rate_limit
        ):
            print(f"measured: {outcome.name}", file=sys.stderr)  # noqa: T201 - progress
            outcomes.append(outcome)
    print(format_table(outcomes))  # noqa: T201 - program output
    return 0 if all(outcome.met for outcome in outcomes) else 1


def _outcomes(folder: Path, runs: int, *, with_rate_limit: bool) -> Iterator[Outcome]:
    yield from zendesk.cpu(folder, runs)
    yield zendesk.cpu_with_unknown_field(folder, runs)
    yield from talkdesk.cpu_and_memory(folder, runs)
    yield startup(runs)
    yield from hourly_run(folder / "hourly", runs)
    if with_rate_limit:
        yield zendesk.rate_limit(folder)
        yield zendesk.shared_quota(folder)
    yield talkdesk.slow_jobs(folder, runs)
    yield both_vendors.slower_vendor(folder, runs)
    yield both_vendors.blocked_target(folder)
    yield from pipeline.compared_with_dlt(folder)


if __name__ == "__main__":
    sys.exit(main())

"""Measures the tap against its goals: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import talkdesk, zendesk
from benchmarks.goals import table
from benchmarks.start import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.goals import Outcome


def main() -> int:
    """Prints a table of goals; gives 1 where one is missed, 0 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="medians are of so many; default 3")
    parser.add_argument("--skip-quota", action="store_true", help="leave out what waits 2 minutes")
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in _outcomes(Path(folder), options.runs, with_quota=not options.skip_quota):
            print(f"measured: {outcome.what}", file=sys.stderr)  # noqa: T201 - progress
            outcomes.append(outcome)
    print(table(outcomes))  # noqa: T201 - its output
    return 0 if all(outcome.met for outcome in outcomes) else 1


def _outcomes(folder: Path, runs: int, *, with_quota: bool) -> Iterator[Outcome]:
    yield from zendesk.cpu(folder, runs)
    yield from talkdesk.cpu_and_memory(folder, runs)
    yield start(runs)
    if with_quota:
        yield zendesk.quota(folder)
    yield talkdesk.slow_jobs(folder, runs)


if __name__ == "__main__":
    sys.exit(main())

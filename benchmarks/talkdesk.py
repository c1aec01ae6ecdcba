"""The cost of `talkdesk_calls`: CPU time, memory, and wall time with slow report jobs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.goals import Outcome, at_most, below
from benchmarks.measure import TAP, check_records, run_alternately
from benchmarks.server import DAYS, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 300_000
#: The maximum memory of many windows compared with one window with the same rows.
MEMORY_RATIO = 1.1
SLOW_JOBS = 8
SLOW_JOB_SECONDS = 4


def cpu_and_memory(folder: Path, runs: int) -> Iterator[Outcome]:
    """Measure CPU time compared with the floor, and the memory of one window and of many."""
    with serve(talkdesk_calls=ROWS) as config:
        one_window = _config_file(folder, config, window_days=DAYS)
        many_windows = _config_file(folder, config, window_days=1)
        floor_command = (sys.executable, "-m", "benchmarks.talkdesk_floor", str(one_window))
        tap, floor = run_alternately((_tap_command(one_window), floor_command), runs)
        # In separate runs, because sampling memory slows a process down.
        sampled = run_alternately(
            (_tap_command(one_window), _tap_command(many_windows)), runs, watch_memory=True
        )
    check_records("The floor", floor, ROWS)
    for result in (tap, *sampled):
        check_records("The tap", result, ROWS)
    one, many = (result.peak_memory for result in sampled)
    yield at_most(
        f"CPU, talkdesk_calls, one window of {ROWS:,} rows, compared with the floor",
        *(3, tap.cpu, floor.cpu, "s"),
    )
    yield below("private memory, the same window", 150, one, "MB")
    yield below(f"private memory, the same rows in {DAYS} windows", 150, many, "MB")
    yield at_most(
        f"private memory, {DAYS} windows compared with one", MEMORY_RATIO, many, one, "MB"
    )


def slow_jobs(folder: Path, runs: int) -> Outcome:
    """Measure the wall time of slow report jobs, several of which can run at once."""
    with serve(talkdesk_calls=ROWS // 1000, job_seconds=SLOW_JOB_SECONDS) as config:
        config_file = _config_file(folder, config, window_days=DAYS // SLOW_JOBS)
        (tap,) = run_alternately((_tap_command(config_file),), runs)
    check_records("The tap", tap, ROWS // 1000)
    name = f"time, {SLOW_JOBS} Talkdesk windows of {SLOW_JOB_SECONDS} s each"
    return below(name, 14, tap.wall, "s")


def _config_file(folder: Path, config: dict[str, Any], *, window_days: int) -> Path:
    """Write a config file that enables only Talkdesk."""
    file = folder / f"windows-of-{window_days}.json"
    settings = {
        name: value for name, value in config.items() if not name.startswith("zendesk_")
    } | {"talkdesk_window_days": window_days}
    file.write_text(json.dumps(settings))
    return file


def _tap_command(config_file: Path) -> tuple[str, ...]:
    return (TAP, f"--config={config_file}")

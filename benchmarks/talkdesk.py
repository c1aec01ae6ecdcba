"""What `talkdesk_calls` costs: CPU, memory, and time where report jobs are slow."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.goals import Outcome, at_most, below
from benchmarks.measure import TAP, check_rows, run_in_turn
from benchmarks.server import DAYS, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 300_000
#: How much more memory many windows may take than one that holds all of their rows.
FLAT = 1.1
SLOW_JOBS = 8
SLOW_JOB_SECONDS = 4


def cpu_and_memory(folder: Path, runs: int) -> Iterator[Outcome]:
    """CPU of one large window beside its floor; memory of it, and of the same in many windows."""
    with serving(talkdesk_calls=ROWS) as config:
        one = _settings(folder, config, window_days=DAYS)
        many = _settings(folder, config, window_days=1)
        bare = (sys.executable, "-m", "benchmarks.talkdesk_floor", str(one))
        tap, floor = run_in_turn((_tap(one), bare), runs)
        # Once more: whoever is looked at is slower for it.
        watched = run_in_turn((_tap(one), _tap(many)), runs, watch_memory=True)
    for name, ran in {"The tap": tap, "The floor": floor}.items():
        check_rows(name, ran, ROWS)
    for ran in watched:
        check_rows("The tap", ran, ROWS)
    in_one, in_many = (ran.private for ran in watched)
    yield at_most(f"CPU, talkdesk_calls, one window of {ROWS:,} rows", 3, tap.cpu, floor.cpu, "s")
    yield below("private memory, the same window", 150, in_one, "MB")
    yield below(f"private memory, the same rows in {DAYS} windows", 150, in_many, "MB")
    yield at_most(f"private memory, {DAYS} windows beside one", FLAT, in_many, in_one, "MB")


def slow_jobs(folder: Path, runs: int) -> Outcome:
    """Time of windows whose jobs take long, several of which can be under way at once."""
    with serving(talkdesk_calls=ROWS // 1000, job_seconds=SLOW_JOB_SECONDS) as config:
        settings = _settings(folder, config, window_days=DAYS // SLOW_JOBS)
        (tap,) = run_in_turn((_tap(settings),), runs)
    check_rows("The tap", tap, ROWS // 1000)
    what = f"time, {SLOW_JOBS} Talkdesk windows of {SLOW_JOB_SECONDS} s each"
    return below(what, 14, tap.wall, "s")


def _settings(folder: Path, config: dict[str, Any], *, window_days: int) -> Path:
    """A file of settings that read Talkdesk alone."""
    file = folder / f"windows-of-{window_days}.json"
    settings = {
        name: value for name, value in config.items() if not name.startswith("zendesk_")
    } | {"talkdesk_window_days": window_days}
    file.write_text(json.dumps(settings))
    return file


def _tap(settings: Path) -> tuple[str, ...]:
    return (TAP, f"--config={settings}")

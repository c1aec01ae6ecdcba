"""A run of both vendors at the same time: its wall time, and its memory while it is blocked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.goals import at_most, below
from benchmarks.measure import TAP, check_records, peak_memory_while_blocked, run_alternately
from benchmarks.server import DAYS, serve

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.goals import Outcome

#: The maximum wall time of both vendors compared with the slower one alone.
WALL_RATIO = 1.25
ROWS = 20_000
#: 20 pages of Zendesk take about as long as 8 report jobs of Talkdesk, of which 4 run at once.
PAGE_SECONDS = 0.4
JOBS = 8
JOB_SECONDS = 4
#: The history of each vendor that a blocked run could read, in rows, and how long it is blocked.
BLOCKED_ROWS = 200_000
BLOCKED_SECONDS = 20


def slower_vendor(folder: Path, runs: int) -> Outcome:
    """Measure both vendors together, compared with the slower one alone."""
    with serve(
        zendesk_calls=ROWS,
        talkdesk_calls=ROWS,
        page_seconds=PAGE_SECONDS,
        job_seconds=JOB_SECONDS,
    ) as served:
        config = served | {
            "zendesk_requests_per_minute": 100_000,
            "talkdesk_window_days": DAYS // JOBS,
        }
        commands = []
        for left_out in ("none", "talkdesk_", "zendesk_"):
            file = folder / f"without-{left_out}.json"
            kept = {name: it for name, it in config.items() if not name.startswith(left_out)}
            file.write_text(json.dumps(kept))
            commands.append((TAP, f"--config={file}"))
        both, zendesk, talkdesk = run_alternately(commands, runs)
    check_records("The tap", both, 2 * ROWS)
    for alone in (zendesk, talkdesk):
        check_records("The tap", alone, ROWS)
    return at_most(
        "time, both vendors, compared with the slower one alone",
        *(WALL_RATIO, both.wall, max(zendesk.wall, talkdesk.wall), "s"),
    )


def blocked_target(folder: Path) -> Outcome:
    """Measure the memory of a tap whose target does not read, though both vendors have more."""
    with serve(zendesk_calls=BLOCKED_ROWS, talkdesk_calls=BLOCKED_ROWS) as served:
        file = folder / "blocked.json"
        settings = {"zendesk_requests_per_minute": 100_000, "talkdesk_window_days": 1}
        file.write_text(json.dumps(served | settings))
        peak = peak_memory_while_blocked((TAP, f"--config={file}"), BLOCKED_SECONDS)
    name = f"private memory, both vendors, a target that does not read for {BLOCKED_SECONDS} s"
    return below(name, 100, peak, "MB")

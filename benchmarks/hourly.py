"""The cost of an hourly run, which loads so few rows that it is all startup, and of its parts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.goals import Outcome, at_most
from benchmarks.measure import run_alternately
from benchmarks.pipeline import HOURLY_ROWS, STREAMS, Vendors, measure, run_meltano
from benchmarks.server import serve
from demo.database import database
from demo.meltano import PROJECT, Meltano

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The maximum CPU time of the run compared with the start of each of its processes.
PARTS_RATIO = 1.8
_PLUGINS = PROJECT / ".meltano"
_TAP = str(_PLUGINS / "extractors/tap-voicecalls/venv/bin/tap-voicecalls")
_TARGET = str(_PLUGINS / "loaders/target-postgres/venv/bin/target-postgres")
#: The processes of a run, each without any work.
_PARTS = {
    "Meltano": (str(Path(sys.executable).with_name("meltano")), "--version"),
    "discovery": (_TAP, "--discover"),
    "the tap": (_TAP, "--version"),
    "the target": (_TARGET, "--version"),
}


def hourly_run(folder: Path, runs: int) -> Iterator[Outcome]:
    """Measure `meltano run` as shipped, with a catalog file, and the start of each process."""
    folder.mkdir()
    with serve(**dict.fromkeys(STREAMS, HOURLY_ROWS)) as served, database() as postgres:
        meltano = Meltano(Vendors(served), postgres, folder)
        catalog = folder / "catalog.json"
        catalog.write_text(meltano("invoke", "tap-voicecalls", "--discover").stdout)
        json.loads(catalog.read_text())  # not an error message
        cached = {"TAP_VOICECALLS__CATALOG": os.path.relpath(catalog, PROJECT)}
        again = "--full-refresh"  # the same rows
        run_meltano(meltano, again)  # creates the tables
        costs = [
            (
                measure(postgres, lambda: run_meltano(meltano, again)),
                measure(postgres, lambda: run_meltano(meltano, again, **cached)),
            )
            for _ in range(runs)
        ]
    shipped, with_catalog = (
        (median(cost.cpu for cost in each), median(cost.wall for cost in each))
        for each in zip(*costs, strict=True)
    )
    parts = dict(zip(_PARTS, run_alternately(list(_PARTS.values()), runs), strict=True))
    total = sum(part.cpu for part in parts.values())
    yield at_most(
        f"CPU, meltano run, {HOURLY_ROWS} rows of each stream, compared with its processes' start",
        *(PARTS_RATIO, shipped[0], total, "s"),
    )
    details = {f"the start of {name}": (part.cpu, part.wall) for name, part in parts.items()}
    details = {"as shipped": shipped, "with a catalog file": with_catalog} | details
    for name, (cpu, wall) in details.items():
        result = f"CPU {cpu:.2f} s, time {wall:.2f} s"
        yield Outcome(f"  {name}", "", result, f"{cpu / shipped[0]:.0%}", met=True)

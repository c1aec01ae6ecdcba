"""Draw the chart in README.md from the dbt model `voicecalls__calls`: `make picture`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox.history import format_utc
from sandbox.server import Sandbox

if TYPE_CHECKING:
    from typing_extensions import LiteralString

PICTURE = PROJECT / "docs" / "calls-per-hour.svg"

MONDAY = datetime(2026, 11, 9, tzinfo=timezone.utc)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS = 24 * len(DAYS)
#: The label and the color of each vendor, from the bottom of the stack up.
VENDORS = {"talkdesk": ("Talkdesk", "#3b5fc0"), "zendesk": ("Zendesk", "#f2a03d")}
CALLS_PER_HOUR: LiteralString = """
    select date_trunc('hour', started_at), vendor, count(*)
    from voicecalls.voicecalls__calls
    group by 1, 2
"""

TEXT_COLOR = "#3d4451"
GRID_COLOR = "#e3e6eb"
STYLE = {
    "font.size": 10,
    "svg.hashsalt": "calls-per-hour",  # reproducible ids
    "text.color": TEXT_COLOR,
    "axes.labelcolor": TEXT_COLOR,
    "axes.edgecolor": GRID_COLOR,
    "xtick.color": TEXT_COLOR,
    "ytick.color": TEXT_COLOR,
}


def main() -> None:
    """Load a week of calls into PostgreSQL, query the calls per hour, and draw them."""
    counts = calls_per_hour()
    with rc_context(STYLE):
        draw(counts, PICTURE)
    print(PICTURE.relative_to(PROJECT))  # noqa: T201 - program output


def calls_per_hour() -> dict[str, list[int]]:
    """Return the number of calls started in each hour of the week, by vendor.

    Raises:
        SystemExit: Meltano failed; the message holds its output.
    """
    gap = timedelta(hours=2)  # the last calls of a history start this long before its end
    with (
        TemporaryDirectory(prefix="voicecalls-") as folder,
        Sandbox(
            calls=1500,
            days=(timedelta(hours=HOURS) + gap) / timedelta(days=1),
            now=MONDAY + timedelta(hours=HOURS) + gap,
            page_size=1000,
        ) as sandbox,
        database() as postgres,
    ):
        meltano = Meltano(sandbox, postgres, Path(folder))
        run = meltano(
            *("run", "tap-voicecalls", "target-postgres", "dbt-postgres:build"),
            TAP_VOICECALLS_START_DATE=format_utc(MONDAY),
        )
        if run.returncode:
            sys.exit(f"{run.stdout}{run.stderr}\nmeltano failed with exit code {run.returncode}.")
        with psycopg.connect(postgres.conninfo) as connection:
            rows = connection.execute(CALLS_PER_HOUR).fetchall()
    counts = {vendor: [0] * HOURS for vendor in VENDORS}
    for hour, vendor, calls in rows:
        counts[vendor][(hour.replace(tzinfo=timezone.utc) - MONDAY) // timedelta(hours=1)] = calls
    return counts


def draw(counts: dict[str, list[int]], file: Path) -> None:
    """Draw a stacked chart of the calls per hour.

    Args:
        counts: The number of calls in each hour of the week, by vendor.
        file: The SVG file to write.
    """
    figure = Figure(figsize=(10, 4), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    axes = figure.add_subplot()
    bottom = [0] * HOURS
    for vendor, (label, color) in VENDORS.items():
        top = [low + calls for low, calls in zip(bottom, counts[vendor], strict=True)]
        axes.stairs(top, range(HOURS + 1), baseline=bottom, fill=True, color=color, label=label)
        bottom = top

    axes.set_title("Calls per hour and vendor", loc="left", weight="bold", size=13, pad=14)
    axes.set_ylabel("calls started", labelpad=8)
    axes.set_xlabel(f"hour of the week of {MONDAY:%Y-%m-%d} (UTC)", labelpad=8)
    axes.set_xlim(0, HOURS)
    axes.set_xticks(
        [24 * day + hour for day in range(len(DAYS)) for hour in (6, 12, 18)],
        labels=[label for day in DAYS for label in ("6\n", f"12\n{day}", "18\n")],
    )
    axes.set_xticks([24 * day for day in range(len(DAYS) + 1)], minor=True)
    axes.tick_params(which="both", length=0)
    axes.tick_params(pad=6)
    axes.grid(axis="y", color=GRID_COLOR, linewidth=0.8)
    axes.grid(axis="x", which="minor", color=GRID_COLOR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(VENDORS),
        reverse=True,
        frameon=False,
        handlelength=1,
        handleheight=1,
    )
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()

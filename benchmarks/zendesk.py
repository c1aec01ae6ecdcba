"""What `zendesk_calls` costs: CPU, and time at the quota."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from benchmarks.goals import Outcome, at_most
from benchmarks.measure import TAP, check_rows, run, run_in_turn
from benchmarks.server import serving
from sandbox.history import epoch
from sandbox.zendesk import PATH, Zendesk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 100_000
QUOTA = 10
QUOTA_PAGES = 30
QUOTA_PAGE_SIZE = 100


def cpu(folder: Path, runs: int) -> Iterator[Outcome]:
    """CPU of the tap, beside the floor and beside a tap on the SDK's defaults."""
    with serving(zendesk_calls=ROWS) as served:
        config = _settings(served, zendesk_requests_per_minute=100_000)
        del config["end_date"]  # there is an end, and the others know of no other
        start = urlencode({"start_time": epoch(config["start_date"])})
        first_page = f"{config['zendesk_url']}{PATH}/calls?{start}"
        python = (sys.executable, "-m")
        tap, floor, default = run_in_turn(
            (
                _tap(folder, config),
                (*python, "benchmarks.zendesk_floor", first_page, Zendesk.access_token),
                (*python, "benchmarks.sdk_tap", f"--config={folder / 'config.json'}"),
            ),
            runs,
        )
    for name, ran in {"The tap": tap, "The floor": floor, "The SDK's tap": default}.items():
        check_rows(name, ran, ROWS)
    yield at_most(
        f"CPU, zendesk_calls, {ROWS:,} rows, beside the floor", 3, tap.cpu, floor.cpu, "s"
    )
    ratio = default.cpu / tap.cpu
    yield Outcome(
        "CPU, the same, beside SDK defaults",
        "at least 6 x less",
        f"{tap.cpu:.2f} / {default.cpu:.2f} s",
        f"{ratio:.1f} x less",
        met=ratio >= 6,  # noqa: PLR2004 - the goal
    )


def quota(folder: Path) -> Outcome:
    """Time at Zendesk's quota, of which the first requests may go at once.

    The quota is one of any 60 seconds: request n (from 0) can't go before (n // 10) minutes.
    """
    # The last row of a page is the first of the next. The one at end_date is not to be read; it
    # tells that all before it was.
    rows = QUOTA_PAGES * (QUOTA_PAGE_SIZE - 1) + 1
    with serving(
        zendesk_calls=rows + QUOTA_PAGE_SIZE,
        page_size=QUOTA_PAGE_SIZE,
        requests_per_minute=QUOTA,
    ) as served:
        start, end = (epoch(served[edge]) for edge in ("start_date", "end_date"))
        last = start + int((end - start) * (rows - 1) / (rows + QUOTA_PAGE_SIZE))
        until = datetime.fromtimestamp(last, timezone.utc).isoformat()
        config = _settings(served, zendesk_requests_per_minute=QUOTA, end_date=until)
        tap = run(_tap(folder, config))
    check_rows("The tap", tap, rows - 1)
    floor = 60 * ((QUOTA_PAGES - 1) // QUOTA)
    return Outcome(
        f"time, {QUOTA_PAGES} pages at {QUOTA} requests a minute",
        f"the quota's {floor} s and at most 5 s",
        f"{tap.wall:.1f} s",
        f"{tap.wall - floor:+.1f} s",
        met=tap.wall <= floor + 5,
    )


def _settings(config: dict[str, Any], **settings: object) -> dict[str, Any]:
    """Settings that read Zendesk alone, with a ready token."""
    names = ("start_date", "end_date", "zendesk_url")
    return (
        {name: config[name] for name in names}
        | {"zendesk_access_token": Zendesk.access_token}
        | settings
    )


def _tap(folder: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """The tap with these settings and a catalog in which only `zendesk_calls` is selected."""
    config_file, catalog_file = folder / "config.json", folder / "catalog.json"
    config_file.write_text(json.dumps(config))
    command = (TAP, f"--config={config_file}")
    discovered = subprocess.run(  # noqa: S603 - ours
        (*command, "--discover"), check=True, capture_output=True
    )
    catalog = json.loads(discovered.stdout)
    for stream in catalog["streams"]:
        of_stream = next(entry for entry in stream["metadata"] if not entry["breadcrumb"])
        of_stream["metadata"]["selected"] = stream["stream"] == "zendesk_calls"
    catalog_file.write_text(json.dumps(catalog))
    return (*command, f"--catalog={catalog_file}")

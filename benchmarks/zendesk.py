"""The cost of `zendesk_calls`: CPU time, and wall time at the rate limit."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from benchmarks.goals import Outcome, at_most
from benchmarks.measure import TAP, check_records, run, run_alternately
from benchmarks.server import serve
from demo.database import database
from sandbox import Sandbox
from sandbox.history import HistoryGenerator, format_utc, to_epoch
from sandbox.zendesk import PATH, Zendesk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 100_000
REQUESTS_PER_MINUTE = 10
RATE_LIMIT_PAGES = 30
RATE_LIMIT_PAGE_SIZE = 100
QUOTA_PAGES = 14
#: The maximum CPU time compared with the floor: where rows have exactly the fields of the schema,
#: and where every row has a field that goes to `extra_fields`.
CPU_RATIO = 1.5
CPU_RATIO_WITH_UNKNOWN_FIELD = 2.5
#: The minimum CPU time of a tap with the SDK's defaults compared with the tap.
SDK_CPU_RATIO = 6


def cpu(folder: Path, runs: int) -> Iterator[Outcome]:
    """Measure CPU time compared with the floor, and with a tap with the SDK's defaults."""
    with serve(zendesk_calls=ROWS) as served:
        config = _cpu_config(served)
        sdk_command = (
            *(sys.executable, "-m", "benchmarks.sdk_tap"),
            f"--config={folder / 'config.json'}",
        )
        tap, floor, sdk_tap = run_alternately(
            (_tap_command(folder, config), _floor_command(config), sdk_command), runs
        )
    for name, result in {"The tap": tap, "The floor": floor, "The SDK tap": sdk_tap}.items():
        check_records(name, result, ROWS)
    yield at_most(
        f"CPU, zendesk_calls, {ROWS:,} rows, compared with the floor",
        *(CPU_RATIO, tap.cpu, floor.cpu, "s"),
    )
    ratio = sdk_tap.cpu / tap.cpu
    yield Outcome(
        "CPU, the same, compared with SDK defaults",
        f"at least {SDK_CPU_RATIO} x less",
        f"{tap.cpu:.2f} / {sdk_tap.cpu:.2f} s",
        f"{ratio:.1f} x less",
        met=ratio >= SDK_CPU_RATIO,
    )


def cpu_with_unknown_field(folder: Path, runs: int) -> Outcome:
    """Measure CPU time compared with the floor, with an unknown field in every row."""
    with serve(zendesk_calls=ROWS, unknown_fields=1) as served:
        config = _cpu_config(served)
        tap, floor = run_alternately((_tap_command(folder, config), _floor_command(config)), runs)
    for name, result in {"The tap": tap, "The floor": floor}.items():
        check_records(name, result, ROWS)
    return at_most(
        "CPU, zendesk_calls, every row with an unknown field, compared with the floor",
        *(CPU_RATIO_WITH_UNKNOWN_FIELD, tap.cpu, floor.cpu, "s"),
    )


def rate_limit(folder: Path) -> Outcome:
    """Measure the wall time of an export that exceeds the rate limit.

    The limit applies to any 60 seconds, so request n (from 0) can't be sent before n // 10 minutes.
    """
    # The last row of a page is the first row of the next page. The row at `end_date` is not part of
    # the result, but the export has to reach it.
    rows = RATE_LIMIT_PAGES * (RATE_LIMIT_PAGE_SIZE - 1) + 1
    with serve(
        zendesk_calls=rows + RATE_LIMIT_PAGE_SIZE,
        page_size=RATE_LIMIT_PAGE_SIZE,
        requests_per_minute=REQUESTS_PER_MINUTE,
    ) as served:
        start, end = (to_epoch(served[bound]) for bound in ("start_date", "end_date"))
        last = start + int((end - start) * (rows - 1) / (rows + RATE_LIMIT_PAGE_SIZE))
        end_date = datetime.fromtimestamp(last, timezone.utc).isoformat()
        config = _config(served, zendesk_requests_per_minute=REQUESTS_PER_MINUTE, end_date=end_date)
        tap = run(_tap_command(folder, config))
    check_records("The tap", tap, rows - 1)
    floor = 60 * ((RATE_LIMIT_PAGES - 1) // REQUESTS_PER_MINUTE)
    return Outcome(
        f"time, {RATE_LIMIT_PAGES} pages at {REQUESTS_PER_MINUTE} requests per minute",
        f"at most 5 s above the limit's {floor} s",
        f"{tap.wall:.1f} s",
        f"{tap.wall - floor:+.1f} s",
        met=tap.wall <= floor + 5,
    )


def shared_quota(folder: Path) -> Outcome:
    """Measure two runs that share the rate limit of one account through PostgreSQL.

    Goal: no 429, and at most 5 s more than any number of runs need for as many requests.
    """
    rows = QUOTA_PAGES * (RATE_LIMIT_PAGE_SIZE - 1) + 1
    now = datetime.now(timezone.utc).replace(microsecond=0)
    start = now - timedelta(minutes=rows + 60)
    sandbox = Sandbox(
        calls=0,
        page_size=RATE_LIMIT_PAGE_SIZE,
        zendesk_requests_per_minute=REQUESTS_PER_MINUTE,
    )
    sandbox.zendesk.delete_call(next(iter(sandbox.zendesk.calls)))
    generator = HistoryGenerator(seed=1)
    for number in range(rows + 10):
        at = start + timedelta(minutes=number)
        sandbox.zendesk.put_call(generator.zendesk_call(at) | {"updated_at": format_utc(at)})
    end = start + timedelta(minutes=rows - 1)
    with sandbox, database() as postgres, ThreadPoolExecutor(2) as threads:
        served = sandbox.config | {"start_date": format_utc(start), "end_date": format_utc(end)}
        url = f"postgresql://postgres:@/postgres?host={quote(postgres.socket_dir)}"
        command = _tap_command(folder, _config(served, zendesk_quota_url=url))
        taps = list(threads.map(run, [command] * 2))
        requests = [request for request in sandbox.requests if request.path == f"{PATH}/calls"]
    for tap in taps:
        check_records("The tap", tap, rows - 1)
    refused = sum(request.status == HTTPStatus.TOO_MANY_REQUESTS for request in requests)
    wall = max(tap.wall for tap in taps)
    floor = 60 * ((2 * QUOTA_PAGES - 1) // REQUESTS_PER_MINUTE)
    return Outcome(
        f"time, two processes on one quota, {QUOTA_PAGES} pages each",
        f"no 429, at most 5 s above the limit's {floor} s",
        f"{refused} x 429, {wall:.1f} s",
        f"{wall - floor:+.1f} s",
        met=refused == 0 and wall <= floor + 5,
    )


def _config(served: dict[str, Any], **settings: object) -> dict[str, Any]:
    """Return tap settings that enable only Zendesk, with an access token."""
    names = ("start_date", "end_date", "zendesk_url")
    return (
        {name: served[name] for name in names}
        | {"zendesk_access_token": Zendesk.access_token}
        | settings
    )


def _cpu_config(served: dict[str, Any]) -> dict[str, Any]:
    config = _config(served, zendesk_requests_per_minute=100_000)
    del config["end_date"]  # the floor and the SDK tap do not support it
    return config


def _floor_command(config: dict[str, Any]) -> tuple[str, ...]:
    query = urlencode({"start_time": to_epoch(config["start_date"])})
    first_page = f"{config['zendesk_url']}{PATH}/calls?{query}"
    return (sys.executable, "-m", "benchmarks.zendesk_floor", first_page, Zendesk.access_token)


def _tap_command(folder: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Return a command that runs the tap with a config and only `zendesk_calls` selected."""
    config_file, catalog_file = folder / "config.json", folder / "catalog.json"
    config_file.write_text(json.dumps(config))
    command = (TAP, f"--config={config_file}")
    discovery = subprocess.run(  # noqa: S603 - the tap
        (*command, "--discover"), check=True, capture_output=True
    )
    catalog = json.loads(discovery.stdout)
    for stream in catalog["streams"]:
        root = next(entry for entry in stream["metadata"] if not entry["breadcrumb"])
        root["metadata"]["selected"] = stream["stream"] == "zendesk_calls"
    catalog_file.write_text(json.dumps(catalog))
    return (*command, f"--catalog={catalog_file}")

"""The view `voice_calls` and the example queries, in PostgreSQL and in DuckDB."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from demo.database import database
from sandbox import Sandbox
from tests.harness import DEFAULT_STREAMS, NOW, FakeClock, sync, timestamp
from tests.targets import TARGET_ENVIRONMENT, target_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.history import Row

pytestmark = pytest.mark.targets

EXAMPLES = Path(__file__).parents[1] / "examples"
VENDORS = ("talkdesk", "zendesk")


@dataclass(frozen=True)
class Warehouse:
    """A database and the target that loads into it.

    Attributes:
        target: The distribution name of the target.
        config: The config of the target.
        execute: Runs SQL in a new session and returns the rows, if any.
        view: The SQL that creates the view, from the examples.
    """

    target: str
    config: dict[str, str]
    execute: Callable[[str], list[Row]]
    view: str

    def load(self, folder: Path, messages: list[Row]) -> None:
        """Load Singer messages with the target."""
        config = folder / "target.json"
        config.write_text(json.dumps(self.config))
        run = subprocess.run(  # noqa: S603 - an installed target
            [target_command(self.target), "--config", config],
            env=os.environ | TARGET_ENVIRONMENT,
            input="".join(f"{json.dumps(message)}\n" for message in messages),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert run.returncode == 0, run.stderr


@contextmanager
def postgresql_warehouse(_: Path) -> Iterator[Warehouse]:
    with database(time_zone="Asia/Kolkata") as server:

        def execute(query: str) -> list[Row]:
            with psycopg.connect(server.conninfo, row_factory=dict_row) as connection:
                connection.execute("set search_path to tap_voicecalls")
                cursor = connection.execute(query.encode())
                return cursor.fetchall() if cursor.description else []

        config = {
            "sqlalchemy_url": server.sqlalchemy_url,
            "default_target_schema": "tap_voicecalls",
        }
        view = read_example("voice_calls.postgresql.sql")
        yield Warehouse("meltanolabs-target-postgres", config, execute, view)


@contextmanager
def duckdb_warehouse(folder: Path) -> Iterator[Warehouse]:
    file = str(folder / "calls.duckdb")

    def execute(query: str) -> list[Row]:
        with duckdb.connect(file) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    config = {"path": file, "default_target_schema": "main"}
    yield Warehouse("target-duckdb", config, execute, read_example("voice_calls.duckdb.sql"))


@dataclass(frozen=True)
class Loaded:
    """The vendors and the warehouse that their calls were loaded into.

    Attributes:
        sandbox: The vendors.
        warehouse: The warehouse with the calls and the view.
        calls: The expected rows of the view.
    """

    sandbox: Sandbox
    warehouse: Warehouse
    calls: list[Row]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(postgresql_warehouse, id="postgresql"),
        pytest.param(duckdb_warehouse, id="duckdb"),
    ],
)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """A warehouse after a full load, the creation of the view, and an incremental load."""
    folder = tmp_path_factory.mktemp("warehouse")
    clock = FakeClock()
    with (
        Sandbox(calls=400, days=20, page_size=1000, clock=clock.time) as sandbox,
        request.param(folder) as warehouse,
    ):
        first = sync(sandbox.config, clock=clock)
        warehouse.load(folder, first.messages)
        warehouse.execute(warehouse.view)
        sandbox.change_calls(20)
        put_unusual_calls(sandbox)
        second = sync(sandbox.config, clock=clock, state=first.state)
        warehouse.load(folder, second.messages)
        yield Loaded(sandbox, warehouse, voice_calls(sandbox))


def read_example(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


# Expected rows of the view


def put_unusual_calls(sandbox: Sandbox) -> None:
    """Add calls that are rare or not documented by the vendors."""
    call = max(sandbox.talkdesk.calls.values(), key=lambda row: str(row["end_at"]))
    for number, call_type in enumerate(("Internal", "OUTBOUND_MISSED", None)):
        sandbox.talkdesk.put_call(call | {"call_id": f"unusual-{number}", "type": call_type})
    call = next(
        row for row in sandbox.zendesk.calls.values() if row["agent_id"] and row["talk_time"]
    )
    leg = next(iter(sandbox.zendesk.legs.values()))
    unusual: list[Row] = [
        {"completion_status": "Rerouted", "direction": "Internal"},
        {"completion_status": "not_answered", "talk_time": 0},
        {"completion_status": None, "direction": None, "duration": None, "talk_time": None},
        {"completion_status": "completed", "talk_time": None, "voicemail": None},
        {"completion_status": "completed"},
    ]
    for number, fields in enumerate(unusual, start=1):
        sandbox.zendesk.put_call(call | {"id": number, "updated_at": timestamp(NOW)} | fields)
    # The legs of the last call: not in the order of their ids, and only agent 101 had the last
    # conversation.
    unusual_legs: list[Row] = [
        {"type": "agent", "agent_id": 101, "created_at": "2026-11-19T10:05:00Z", "talk_time": 7},
        {"type": "agent", "agent_id": 102, "created_at": "2026-11-19T10:00:00Z", "talk_time": 7},
        {"type": "agent", "agent_id": 103, "created_at": None, "talk_time": 7},
        {"type": "agent", "agent_id": 104, "created_at": "2026-11-19T10:06:00Z", "talk_time": 0},
        {"type": "agent", "agent_id": 105, "created_at": "2026-11-19T10:06:00Z", "talk_time": None},
        {"type": "external", "agent_id": 106, "created_at": "2026-11-19T10:06:00Z", "talk_time": 7},
    ]
    for number, fields in enumerate(unusual_legs, start=1):
        sandbox.zendesk.put_leg(
            leg | {"id": number, "call_id": len(unusual), "updated_at": timestamp(NOW)} | fields
        )


#: The direction and outcome of a Talkdesk call by its `type`.
TALKDESK_TYPES = {
    "inbound": ("inbound", "answered"),
    "missed": ("inbound", "missed"),
    "abandoned": ("inbound", "abandoned"),
    "short_abandoned": ("inbound", "abandoned"),
    "voicemail": ("inbound", "voicemail"),
    "outbound": ("outbound", "answered"),
    "outbound_missed": ("outbound", "missed"),
}
#: The outcome of a Zendesk call by its `completion_status`, except for `completed`: there it
#: depends on the voicemail and the talk time.
ZENDESK_OUTCOMES: dict[str | None, str | None] = {
    "abandoned_in_queue": "abandoned",
    "abandoned_in_ivr": "abandoned",
    "abandoned_in_voicemail": "abandoned",
    "abandoned_on_hold": "answered",
    "pending_voicemail": "voicemail",
    "not_answered": "missed",
    "failed": "failed",
}


def voice_calls(sandbox: Sandbox) -> list[Row]:
    """What the view should have, in the order of vendors and ids."""
    legs: dict[int, list[Row]] = {}
    for leg in sandbox.zendesk.legs.values():
        legs.setdefault(leg["call_id"], []).append(leg)
    rows = [talkdesk_row(call) for call in sandbox.talkdesk.calls.values()]
    rows += [zendesk_row(call, legs.get(call["id"], [])) for call in sandbox.zendesk.calls.values()]
    return sorted(rows, key=sort_key)


def sort_key(row: Row) -> tuple[str, str]:
    return row["vendor"], row["call_id"]


def talkdesk_row(call: Row) -> Row:
    call_type = call["type"] and call["type"].lower()
    direction, outcome = TALKDESK_TYPES.get(call_type, (call_type, call_type))
    return {
        "vendor": "talkdesk",
        "call_id": call["call_id"],
        "started_at": naive_utc(call["start_at"]),
        "ended_at": naive_utc(call["end_at"]),
        "direction": direction,
        "outcome": outcome,
        "talk_seconds": call["talk_time"],
        "wait_seconds": call["wait_time"],
        "hold_seconds": call["hold_time"],
        "agent_id": call["handling_user_id"],
        "agent_name": call["handling_user_name"],
        "customer_number": call["contact_phone_number"],
        "recording_url": call["recording_url"],
    }


def zendesk_row(call: Row, legs: list[Row]) -> Row:
    started_at = naive_utc(call["created_at"])
    duration = call["duration"]
    conversations = [leg for leg in legs if leg["type"] == "agent" and leg["talk_time"]]
    last = max(conversations, key=lambda leg: (leg["created_at"] or "", leg["id"]), default=call)
    return {
        "vendor": "zendesk",
        "call_id": str(call["id"]),
        "started_at": started_at,
        "ended_at": None if duration is None else started_at + timedelta(seconds=duration),
        "direction": call["direction"] and call["direction"].lower(),
        "outcome": zendesk_outcome(call),
        "talk_seconds": call["talk_time"],
        "wait_seconds": call["wait_time"],
        "hold_seconds": call["hold_time"],
        "agent_id": None if last["agent_id"] is None else str(last["agent_id"]),
        "agent_name": None,
        "customer_number": None,
        "recording_url": None,
    }


def zendesk_outcome(call: Row) -> str | None:
    status: str | None = call["completion_status"] and call["completion_status"].lower()
    if status != "completed":
        return ZENDESK_OUTCOMES.get(status, status)
    if call["voicemail"]:
        return "voicemail"
    return "answered" if call["talk_time"] else "missed"


def naive_utc(value: str) -> datetime:
    """Return a UTC timestamp as a datetime without a time zone, as in the view."""
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - as in the view


# View


def test_view_has_each_call_once(loaded: Loaded) -> None:
    rows = sorted(loaded.warehouse.execute("select * from voice_calls"), key=sort_key)
    assert [*rows[0]] == [*loaded.calls[0]]
    assert rows == loaded.calls


def test_test_calls_cover_all_types_and_statuses(loaded: Loaded) -> None:
    types = {call["type"] for call in loaded.sandbox.talkdesk.calls.values()}
    statuses = {call["completion_status"] for call in loaded.sandbox.zendesk.calls.values()}
    assert types == {*TALKDESK_TYPES, "Internal", "OUTBOUND_MISSED", None}
    assert statuses == {*ZENDESK_OUTCOMES, "completed", "Rerouted", None}
    outcomes = Counter((row["vendor"], row["outcome"]) for row in loaded.calls)
    for vendor in VENDORS:
        for outcome in ("answered", "missed", "abandoned", "voicemail"):
            assert outcomes[vendor, outcome] > 1
    zendesk_calls = loaded.sandbox.zendesk.calls.values()
    last_agents = [row["agent_id"] for row in loaded.calls if row["vendor"] == "zendesk"]
    assert Counter(last_agents) != Counter(
        call["agent_id"] and str(call["agent_id"]) for call in zendesk_calls
    )


@pytest.mark.parametrize("vendor", VENDORS)
def test_view_works_with_one_vendor(loaded: Loaded, vendor: str) -> None:
    execute, view = loaded.warehouse.execute, loaded.warehouse.view
    schema, vendor_schema = loaded.warehouse.config["default_target_schema"], f"only_{vendor}"
    execute(f"create schema {vendor_schema}")
    for table in DEFAULT_STREAMS:
        if table.startswith(vendor):
            execute(f"create table {vendor_schema}.{table} as table {schema}.{table}")
    (other,) = {*VENDORS} - {vendor}
    view = re.sub(rf"-- begin {other}\n.*-- end {other}\n", "", view, flags=re.DOTALL)
    view = re.sub(r"union all.*\n", "", view)
    execute(view.replace(schema, vendor_schema, 1))
    rows = sorted(execute(f"select * from {vendor_schema}.voice_calls"), key=sort_key)  # noqa: S608
    assert rows == [row for row in loaded.calls if row["vendor"] == vendor]


# Queries


def calls_per_hour(calls: list[Row]) -> list[Row]:
    counts = Counter(
        (row["started_at"].replace(minute=0, second=0), row["vendor"]) for row in calls
    )
    return [
        {"hour": hour, "vendor": vendor, "calls": count}
        for (hour, vendor), count in sorted(counts.items())
    ]


def missed_calls_per_day(calls: list[Row]) -> list[Row]:
    days: dict[tuple[Any, str], list[str]] = {}
    for row in calls:
        if row["direction"] == "inbound":
            days.setdefault((row["started_at"].date(), row["vendor"]), []).append(row["outcome"])
    rows = []
    for (day, vendor), outcomes in sorted(days.items()):
        missed = sum(outcome in {"missed", "abandoned"} for outcome in outcomes)
        percent = (100 * Decimal(missed) / len(outcomes)).quantize(Decimal(1), ROUND_HALF_UP)
        rows.append(
            {
                "day": day,
                "vendor": vendor,
                "calls": len(outcomes),
                "missed": missed,
                "percent": percent,
            }
        )
    return rows


def longest_waits(calls: list[Row]) -> list[Row]:
    waits = [row for row in calls if row["direction"] == "inbound" and row["wait_seconds"]]
    waits.sort(key=lambda row: (-row["wait_seconds"], row["started_at"], row["call_id"]))
    names = ("wait_seconds", "vendor", "started_at", "outcome", "call_id")
    return [{name: row[name] for name in names} for row in waits[:10]]


QUERIES = [calls_per_hour, missed_calls_per_day, longest_waits]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.__name__)
def test_query_returns_expected_rows(
    loaded: Loaded, query: Callable[[list[Row]], list[Row]]
) -> None:
    rows = loaded.warehouse.execute(read_example(f"{query.__name__}.sql"))
    assert rows == query(loaded.calls)
    assert len(rows) >= 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.__name__)
def test_readme_shows_current_queries(query: Callable[..., object]) -> None:
    assert f"```sql\n{read_example(f'{query.__name__}.sql')}```" in read_example("README.md")

"""The dbt package, built in a warehouse, and the rows that it should have.

The account `us` has all streams of both vendors. Two others have one vendor each, with the streams
that are selected by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sandbox import Sandbox
from tests.expected_calls import expected_calls
from tests.expected_legs import expected_legs
from tests.expected_metrics import agent_daily, metrics_daily, queue_hourly
from tests.harness import DEFAULT_STREAMS, NOW, FakeClock, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.history import Row
    from tests.dbt_commands import Result
    from tests.expected_calls import Streams
    from tests.warehouse import Warehouse

    Marts = dict[str, list[Row]]

#: A zone 13:45 hours ahead of UTC in November: its midnight is in the middle of the agents' shifts.
ZONE = ZoneInfo("Pacific/Chatham")
#: The primary key of each mart, apart from the account and the vendor.
MARTS = {
    "voicecalls__calls": ("call_id",),
    "voicecalls__call_legs": ("leg_id",),
    "voicecalls__queue_hourly": ("queue_id", "hour_started_at"),
    "voicecalls__agent_daily": ("agent_id", "date"),
    "voicecalls__metrics_daily": ("date",),
}
#: The schema of each account.
ACCOUNTS = {"us": "tap_voicecalls", "talkdesk": "only_talkdesk", "zendesk": "only_zendesk"}
VENDORS = ("talkdesk", "zendesk")


@dataclass(frozen=True)
class Builds:
    """The marts that were built in a warehouse.

    Attributes:
        warehouse: The warehouse, which has the marts of the last build.
        streams: The vendors' rows by account and stream.
        marts: The rows of each mart in three builds: one for each account with a single vendor, and
            one for `all` accounts, after calls of `us` were changed and loaded again.
        last: The result of the last build.
    """

    warehouse: Warehouse
    streams: dict[str, Streams]
    marts: dict[str, Marts]
    last: Result


def build(warehouse: Warehouse) -> Builds:
    """Load the calls of both vendors, and build the package for one account and for several."""
    clock = FakeClock()
    streams: dict[str, Streams] = {}
    marts = {}
    with Sandbox(calls=300, days=20, page_size=1000, clock=clock.time) as sandbox:
        put_unusual_calls(sandbox)
        first = sync(sandbox.config, clock=clock)
        warehouse.load(first.messages, ACCOUNTS["us"])
        for vendor in VENDORS:
            streams[vendor] = {
                name: complete(sandbox.rows[name].values())
                for name in DEFAULT_STREAMS
                if name.startswith(vendor)
            }
            copy_tables(warehouse, streams[vendor], ACCOUNTS[vendor])
            warehouse.dbt.build("--exclude-resource-type", "unit_test", **source(vendor))
            marts[vendor] = read_marts(warehouse)
        sandbox.change_calls(20)
        clock.advance(hours=2)  # Talkdesk's reports lag behind
        second = sync(sandbox.config, clock=clock, state=first.state, all_streams=True)
        warehouse.load(second.messages, ACCOUNTS["us"])
        streams["us"] = {name: complete(rows.values()) for name, rows in sandbox.rows.items()}
    last = warehouse.dbt.build(**source(*ACCOUNTS))
    marts["all"] = read_marts(warehouse)
    return Builds(warehouse, streams, marts, last)


def complete(rows: Iterable[Row]) -> list[Row]:
    """Return rows with all columns; the documented examples lack some."""
    rows = list(rows)
    columns = dict.fromkeys(name for row in rows for name in row)
    return [columns | row for row in rows]


def source(*accounts: str) -> dict[str, object]:
    """Return the variables to build the package for some accounts."""
    sources = [{"name": account, "schema": ACCOUNTS[account]} for account in accounts]
    return {"voicecalls_sources": sources, "voicecalls_time_zone": ZONE.key}


def copy_tables(warehouse: Warehouse, streams: Iterable[str], schema: str) -> None:
    """Copy the tables of some streams to another schema."""
    warehouse.execute(f"create schema {schema}")
    for stream in streams:
        warehouse.execute(f"create table {schema}.{stream} as table {ACCOUNTS['us']}.{stream}")


def read_marts(warehouse: Warehouse) -> Marts:
    """Return the rows of each mart."""
    return {mart: sort_rows(mart, warehouse.rows(mart)) for mart in MARTS}


def expected_marts(streams: Streams, account: str) -> Marts:
    """Return the rows that each mart should have for the rows of an account."""
    calls = expected_calls(streams, ZONE, account)
    legs = expected_legs(streams, ZONE, account)
    statuses = streams.get("talkdesk_user_status", [])
    agents = agent_daily(calls, legs, statuses, ZONE, account)
    marts = {
        "voicecalls__calls": calls,
        "voicecalls__call_legs": legs,
        "voicecalls__queue_hourly": queue_hourly(calls, ZONE),
        "voicecalls__agent_daily": agents,
        "voicecalls__metrics_daily": metrics_daily(calls, agents, account),
    }
    return {mart: sort_rows(mart, rows) for mart, rows in marts.items()}


def sort_rows(mart: str, rows: list[Row]) -> list[Row]:
    """Return rows in the order of the primary key, and their columns by name."""
    key = ("source_relation", "vendor", *MARTS[mart])
    ordered = sorted(rows, key=lambda row: tuple(str(row[column]) for column in key))
    return [dict(sorted(row.items())) for row in ordered]


def put_unusual_calls(sandbox: Sandbox) -> None:
    """Add calls that are rare or not documented by the vendors, and an hour of repeat calls."""
    call = max(sandbox.talkdesk.calls.values(), key=lambda row: str(row["end_at"]))
    unusual: list[Row] = [
        {"type": "Internal"},
        {"type": "OUTBOUND_MISSED"},
        {"type": None},
        {"type": "short_abandoned", "wait_time": None},
        {"type": "inbound", "wait_time": None},
        {"type": "inbound", "is_callback_from_queue": True, "wait_time": 900},
        {"type": "missed", "is_in_business_hours": False},
        {"type": "inbound", "is_external_transfer": True, "ring_groups": ""},
    ]
    for number, fields in enumerate(unusual):
        sandbox.talkdesk.put_call(call | {"call_id": f"unusual-{number}"} | fields)
    call = next(
        row for row in sandbox.zendesk.calls.values() if row["agent_id"] and row["talk_time"]
    )
    unusual = [
        {"completion_status": "Rerouted", "direction": "Internal"},
        {"completion_status": "not_answered", "talk_time": 0},
        {"completion_status": None, "direction": None, "duration": None, "talk_time": None},
        {"completion_status": "completed", "talk_time": None, "voicemail": None},
        {"completion_status": "completed", "direction": "inbound", "time_to_answer": 90},
        {"completion_status": "completed", "direction": "inbound", "ivr_time_spent": 30},
        {"completion_status": "completed", "direction": "inbound", "wait_time": None},
        {"completion_status": "completed", "direction": "inbound", "callback": True},
        {"completion_status": "pending_voicemail", "outside_business_hours": True},
        {"completion_status": "abandoned_in_ivr", "direction": "inbound", "ivr_action": "group"},
        {"completion_status": "completed", "voicemail": True, "ivr_action": "voicemail"},
    ]
    for number, fields in enumerate(unusual, start=1):
        times = {"created_at": timestamp(NOW - timedelta(minutes=60 - number))}
        times["updated_at"] = timestamp(NOW)
        sandbox.zendesk.put_call(call | {"id": number} | times | {"time_to_answer": None} | fields)
    put_unusual_legs(sandbox, call_id=5)


def put_unusual_legs(sandbox: Sandbox, call_id: int) -> None:
    """Add legs to a call: not in the order of their ids, and one of each rare kind."""
    leg = next(iter(sandbox.zendesk.legs.values()))
    unusual: list[Row] = [
        {"type": "agent", "agent_id": 101, "created_at": "2026-11-19T10:05:00Z", "talk_time": 7},
        {"type": "agent", "agent_id": 102, "created_at": "2026-11-19T10:00:00Z", "talk_time": 7},
        {"type": "agent", "agent_id": 103, "created_at": None, "talk_time": 7},
        {"type": "agent", "agent_id": 104, "created_at": "2026-11-19T10:06:00Z", "talk_time": 0},
        {"type": "agent", "agent_id": 105, "created_at": "2026-11-19T10:06:00Z", "talk_time": None},
        {"type": "external", "agent_id": 0, "talk_time": 7, "forwarded_to": "+12025550199"},
        {"type": "agent", "agent_id": 101, "transferred_to": 102, "talk_time": 7},
        {"type": "agent", "agent_id": 102, "transferred_from": 101, "talk_time": 7},
        {"type": "agent", "agent_id": 101, "completion_status": "agent_unreachable"},
        {"type": "supervisor", "completion_status": "customer_hang_up", "call_id": None},
    ]
    for number, fields in enumerate(unusual, start=1):
        put = leg | {"id": number, "call_id": call_id, "updated_at": timestamp(NOW)} | fields
        sandbox.zendesk.put_leg(put)

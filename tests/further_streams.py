"""Rows of the streams that give the dbt package names, contacts and statuses, made from the calls.

They go to the target as Singer messages.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.expected_calls import parse
from tests.harness import NOW, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox import Sandbox
    from sandbox.history import Row

KEYS = {
    "zendesk_agents": ["id"],
    "zendesk_groups": ["id"],
    "zendesk_phone_numbers": ["id"],
    "talkdesk_contacts": ["contact_id"],
    "talkdesk_user_status": ["user_id", "status_start_at"],
}
#: What becomes of the contact of each type of call.
CONTACT_TYPES = {
    "inbound": "Answered",
    "outbound": "Connected",
    "missed": "Missed",
    "abandoned": "Abandoned",
    "short_abandoned": "Short Abandoned",
    "voicemail": "Voicemail",
    "outbound_missed": "Not Connected",
}
#: The statuses of an agent's day: each begins some hours after 16:00 UTC, and lasts until the next.
STATUSES = ((0, "Available"), (1, "On a Call"), (2, "After Call Work"), (2.25, "available "))
DAY_OFF = "Offline"


def further_rows(sandbox: Sandbox) -> dict[str, list[Row]]:
    """Return the rows by stream. Some agents, groups and numbers have none, as former ones."""
    calls = list(sandbox.zendesk.calls.values())
    agents, groups, numbers = (
        sorted({call[column] for call in calls if call.get(column)})
        for column in ("agent_id", "call_group_id", "phone_number_id")
    )
    return {
        "zendesk_agents": [{"id": key, "name": f"Agent {key % 97}"} for key in agents[::2]],
        "zendesk_groups": [{"id": key, "name": f"Group {key % 97}"} for key in groups[::2]],
        "zendesk_phone_numbers": [
            {"id": key, "number": "+12025550110", "name": f"Line {key % 97}"}
            for key in numbers[::2]
        ],
        "talkdesk_contacts": [
            contact
            for number, call in enumerate(sandbox.talkdesk.calls.values())
            if number % 7  # the others have not arrived yet
            for contact in contacts(call, number)
        ],
        "talkdesk_user_status": list(user_statuses(sandbox)),
    }


def contacts(call: Row, number: int) -> Iterator[Row]:
    """Yield the contacts of a call: two if it was transferred; others differ by the number."""
    answered = call["type"] in {"inbound", "outbound"}
    parts = 2 if call["is_transfer"] else 1
    for part in range(parts):
        is_last = part == parts - 1
        yield {
            "contact_id": f"{call['call_id']}-{part}",
            "interaction_id": call["call_id"],
            "direction": "OUT" if str(call["type"]).startswith("outbound") else "IN",
            "contact_type": CONTACT_TYPES.get(call["type"], call["type"]),
            "started_at": call["start_at"],
            "finished_at": call["end_at"],
            "wait_time": call["wait_time"],
            "ring_time": call["total_ringing_time"],
            "talk_time": call["talk_time"] // parts if answered else None,
            "hold_time": call["hold_time"] if is_last else 0,
            "after_call_work_time": (None, 0, 30, 75)[number % 4] if answered else None,
            "transfer_in": "Yes" if part else "No",
            "transfer_out": "No" if is_last else "Yes",
            "user_id": call["handling_user_id"] if is_last else call["user_id"],
            "user_name": call["handling_user_name"] if is_last else None,
            "ring_groups": call["ring_groups"],
            "handling_ring_groups": (None, "", "billing")[number % 3],
        }


def user_statuses(sandbox: Sandbox) -> Iterator[Row]:
    """Yield the statuses of the agents on three days, over the midnight of Kolkata."""
    users = {
        call["user_id"]: call["user_name"]
        for call in sandbox.talkdesk.calls.values()
        if call["user_id"]
    }
    for number, (user_id, user_name) in enumerate(sorted(users.items())):
        for day in (16, 17, 18):
            start = datetime(2026, 11, day, 16)  # noqa: DTZ001 - in UTC
            times = [start + timedelta(hours=hours + number / 7) for hours, _ in STATUSES]
            times += [start + timedelta(hours=8), start + timedelta(days=1)]
            labels = [*(label for _, label in STATUSES), DAY_OFF]
            for label, started_at, ended_at in zip(labels, times, times[1:], strict=False):
                yield {
                    "user_id": user_id,
                    "user_name": user_name if number else None,
                    "status_label": label,
                    "status_start_at": timestamp(started_at),
                    "status_end_at": timestamp(ended_at),
                }


def messages(streams: dict[str, list[Row]]) -> Iterator[dict[str, Any]]:
    """Yield the SCHEMA and RECORD messages of the rows."""
    for stream, rows in streams.items():
        yield {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"properties": {name: column(name, rows) for name in rows[0]}},
            "key_properties": KEYS[stream],
        }
        for row in rows:
            record = {"type": "RECORD", "stream": stream, "record": row}
            yield record | {"time_extracted": timestamp(NOW)}


def column(name: str, rows: Iterable[Row]) -> dict[str, Any]:
    """Return the JSON schema of a column."""
    kind = "integer" if any(isinstance(row[name], int) for row in rows) else "string"
    is_time = re.search("_at$", name) and all(parse(row[name]) for row in rows)
    return {"type": [kind, "null"]} | ({"format": "date-time"} if is_time else {})

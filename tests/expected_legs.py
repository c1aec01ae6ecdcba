"""The rows that `voicecalls__call_legs` should have, computed from the vendors' rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.expected_calls import local_date, lower, name_of, parse, text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from sandbox.history import Row
    from tests.expected_calls import Streams

#: The outcome of a Zendesk leg without a talk time by its `completion_status`.
LEG_OUTCOMES = {
    "agent_missed": "missed",
    "agent_declined": "declined",
    "agent_transfer_declined": "declined",
    "agent_unreachable": "unreachable",
    "customer_hang_up": "abandoned",
}
#: The outcome of a Talkdesk contact by its `contact_type`.
CONTACT_OUTCOMES = {
    "connected": "answered",
    "not connected": "missed",
    "short abandoned": "abandoned",
}


def expected_legs(streams: Streams, zone: ZoneInfo, account: str) -> list[Row]:
    """Return the rows of `voicecalls__call_legs`; see `expected_calls`."""
    rows = [_zendesk_leg(leg, streams) for leg in streams.get("zendesk_legs", [])]
    rows += [_talkdesk_leg(contact) for contact in streams.get("talkdesk_contacts", [])]
    for row in rows:
        row["source_relation"] = account
        row["started_on"] = local_date(row["started_at"], zone)
        answered = row["outcome"] == "answered"
        if answered:
            row["wrap_up_seconds"] = row["wrap_up_seconds"] or 0
        row["handle_seconds"] = (
            (row["talk_seconds"] or 0) + (row["hold_seconds"] or 0) + row["wrap_up_seconds"]
            if answered and row["participant"] == "agent"
            else None
        )
    return rows


def _zendesk_leg(leg: Row, streams: Streams) -> Row:
    status = lower(leg["completion_status"])
    agent_id = leg["agent_id"] or None
    return {
        "vendor": "zendesk",
        "leg_id": str(leg["id"]),
        "call_id": text(leg["call_id"]),
        "started_at": parse(leg["created_at"]),
        "participant": lower(leg["type"]),
        "agent_id": text(agent_id),
        "agent_name": name_of(streams, "zendesk_agents", agent_id) or text(agent_id),
        "outcome": "answered" if leg["talk_time"] else LEG_OUTCOMES.get(status or "", status),
        "vendor_outcome": status,
        "is_transferred_in": bool(leg["transferred_from"]),
        "is_transferred_out": bool(leg["transferred_to"]),
        "talk_seconds": leg["talk_time"],
        "hold_seconds": leg["hold_time"],
        "wrap_up_seconds": leg["wrap_up_time"],
        "wait_seconds": None,
        "queue_id": None,
    }


def _talkdesk_leg(contact: Row) -> Row:
    contact_type = lower(contact["contact_type"])
    return {
        "vendor": "talkdesk",
        "leg_id": contact["contact_id"],
        "call_id": contact["interaction_id"],
        "started_at": parse(contact["started_at"]),
        "participant": "agent",
        "agent_id": contact["user_id"],
        "agent_name": contact["user_name"] or contact["user_id"],
        "outcome": CONTACT_OUTCOMES.get(contact_type or "", contact_type),
        "vendor_outcome": contact_type,
        "is_transferred_in": contact["transfer_in"] == "Yes",
        "is_transferred_out": contact["transfer_out"] == "Yes",
        "talk_seconds": contact["talk_time"],
        "hold_seconds": contact["hold_time"],
        "wrap_up_seconds": contact["after_call_work_time"],
        "wait_seconds": contact["wait_time"],
        "queue_id": contact["handling_ring_groups"] or contact["ring_groups"] or None,
    }

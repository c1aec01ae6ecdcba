"""The rows that `voicecalls__calls` should have, computed from the vendors' rows."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from sandbox.history import Row

    #: The vendors' rows by stream; a stream that is not loaded may be missing.
    Streams = Mapping[str, list[Row]]

SERVICE_LEVEL_SECONDS = 20
SHORT_ABANDON_SECONDS = 10
REPEAT_PERIOD = timedelta(days=7)

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
ZENDESK_OUTCOMES = {
    "abandoned_in_queue": "abandoned",
    "abandoned_in_ivr": "abandoned",
    "abandoned_in_voicemail": "abandoned",
    "abandoned_on_hold": "answered",
    "pending_voicemail": "voicemail",
    "not_answered": "missed",
    "failed": "failed",
}


def expected_calls(streams: Streams, zone: ZoneInfo, account: str) -> list[Row]:
    """Return the rows of `voicecalls__calls`.

    Args:
        streams: The vendors' rows.
        zone: The time zone of the reports.
        account: The name of the account.
    """
    rows = [_zendesk_call(call, streams) for call in streams.get("zendesk_calls", [])]
    rows += [_talkdesk_call(call, streams) for call in streams.get("talkdesk_calls", [])]
    repeats = _repeat_calls(rows)
    calls = []
    for row in rows:
        offered = (
            row["direction"] == "inbound"
            and row["outcome"] in {"answered", "missed", "abandoned", "voicemail"}
            and row["is_in_business_hours"] is not False
            and not row["is_callback"]
            and not row["has_ended_in_ivr"]
        )
        short = row["outcome"] == "abandoned" and (
            row["vendor_outcome"] == "short_abandoned"
            if row["queue_seconds"] is None
            else row["queue_seconds"] < SHORT_ABANDON_SECONDS
        )
        time_to_answer = row.pop("time_to_answer_seconds")
        waited = row["queue_seconds"] if time_to_answer is None else time_to_answer
        speed_of_answer = waited if offered and row["outcome"] == "answered" else None
        within: bool | None = False
        if not offered or short or (row["outcome"] == "answered" and speed_of_answer is None):
            within = None
        elif speed_of_answer is not None:
            within = speed_of_answer <= SERVICE_LEVEL_SECONDS
        handle = None
        if row["outcome"] == "answered" and row["wrap_up_seconds"] is not None:
            handle = (
                (row["talk_seconds"] or 0) + (row["hold_seconds"] or 0) + row["wrap_up_seconds"]
            )
        calls.append(
            row
            | {
                "source_relation": account,
                "started_on": local_date(row["started_at"], zone),
                "is_offered": offered,
                "is_short_abandoned": short,
                "is_within_service_level": within,
                "is_repeat": repeats.get((row["vendor"], row["call_id"])),
                "handle_seconds": handle,
                "speed_of_answer_seconds": speed_of_answer,
            }
        )
    return calls


def _zendesk_call(call: Row, streams: Streams) -> Row:
    legs = [leg for leg in streams.get("zendesk_legs", []) if leg["call_id"] == call["id"]]
    talked = [leg for leg in legs if leg["talk_time"]]
    agents = [leg for leg in talked if leg["type"] == "agent"]
    last = max(agents, key=lambda leg: (leg["created_at"] or "", leg["id"]), default=call)
    agent_id = last["agent_id"] or None
    started_at = parse(call["created_at"])
    outcome = _zendesk_outcome(call)
    wait = call["wait_time"]
    return {
        "vendor": "zendesk",
        "call_id": str(call["id"]),
        "started_at": started_at,
        "ended_at": started_at and _add_seconds(started_at, call["duration"]),
        "direction": lower(call["direction"]),
        "outcome": outcome,
        "vendor_outcome": lower(call["completion_status"]),
        "has_ended_in_ivr": call["completion_status"] == "abandoned_in_ivr"
        or (
            outcome not in {"answered", None}
            and call["ivr_action"] in {"voicemail", "phone_number", "textback"}
        ),
        "is_callback": call["callback"],
        "is_in_business_hours": None
        if call["outside_business_hours"] is None
        else not call["outside_business_hours"],
        "talk_seconds": call["talk_time"],
        "hold_seconds": call["hold_time"],
        "wrap_up_seconds": (call["wrap_up_time"] or 0) if outcome == "answered" else None,
        "wait_seconds": wait,
        "queue_seconds": None if wait is None else max(wait - (call["ivr_time_spent"] or 0), 0),
        "time_to_answer_seconds": call["time_to_answer"],
        "agent_id": text(agent_id),
        "agent_name": name_of(streams, "zendesk_agents", agent_id) or text(agent_id),
        "is_transferred": len({leg["agent_id"] for leg in agents}) > 1
        or any(leg["transferred_from"] or leg["transferred_to"] for leg in legs)
        or any(leg["type"] == "external" and leg["forwarded_to"] is not None for leg in talked),
        "queue_id": text(call["call_group_id"]),
        "queue_name": name_of(streams, "zendesk_groups", call["call_group_id"])
        or text(call["call_group_id"]),
        "phone_number": call["phone_number"],
        "phone_number_name": name_of(streams, "zendesk_phone_numbers", call["phone_number_id"])
        or call["phone_number"],
        "customer_id": text(call["customer_id"] or None),
        "customer_number": None,
        "ticket_id": text(call["ticket_id"]),
        "csat_score": None,
        "disposition_code": None,
        "recording_url": None,
    }


def _zendesk_outcome(call: Row) -> str | None:
    status = lower(call["completion_status"])
    if status != "completed":
        return ZENDESK_OUTCOMES.get(status or "", status)
    if call["voicemail"]:
        return "voicemail"
    return "answered" if call["talk_time"] else "missed"


def _talkdesk_call(call: Row, streams: Streams) -> Row:
    call_type = lower(call["type"])
    direction, outcome = TALKDESK_TYPES.get(call_type or "", (call_type, call_type))
    wrap_ups = [
        contact["after_call_work_time"] or 0
        for contact in streams.get("talkdesk_contacts", [])
        if contact["interaction_id"] == call["call_id"]
    ]
    return {
        "vendor": "talkdesk",
        "call_id": call["call_id"],
        "started_at": parse(call["start_at"]),
        "ended_at": parse(call["end_at"]),
        "direction": direction,
        "outcome": outcome,
        "vendor_outcome": call_type,
        "has_ended_in_ivr": None,
        "is_callback": call["is_callback_from_queue"],
        "is_in_business_hours": call["is_in_business_hours"],
        "talk_seconds": call["talk_time"],
        "hold_seconds": call["hold_time"],
        "wrap_up_seconds": sum(wrap_ups) if wrap_ups else None,
        "wait_seconds": call["wait_time"],
        "queue_seconds": call["wait_time"],
        "time_to_answer_seconds": None,
        "agent_id": call["handling_user_id"],
        "agent_name": call["handling_user_name"] or call["handling_user_id"],
        "is_transferred": bool(call["is_transfer"] or call["is_external_transfer"]),
        "queue_id": call["ring_groups"] or None,
        "queue_name": call["ring_groups"] or None,
        "phone_number": call["talkdesk_phone_number"],
        "phone_number_name": call["talkdesk_phone_display_name"] or call["talkdesk_phone_number"],
        "customer_id": None,
        "customer_number": call["contact_phone_number"],
        "ticket_id": None,
        "csat_score": call["csat_score"],
        "disposition_code": call["disposition_code"],
        "recording_url": call["recording_url"],
    }


def _repeat_calls(rows: list[Row]) -> dict[tuple[str, str], bool]:
    """Return whether each inbound call of a known customer is a repeat call."""
    by_customer: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        customer = row["customer_id"] or row["customer_number"]
        if row["direction"] == "inbound" and customer is not None:
            by_customer[row["vendor"], customer].append(row)
    repeats = {}
    for calls in by_customer.values():
        calls.sort(key=lambda row: (row["started_at"], row["call_id"]))
        for previous, call in zip([None, *calls], calls, strict=False):
            repeats[call["vendor"], call["call_id"]] = (
                previous is not None
                and call["started_at"] - previous["started_at"] <= REPEAT_PERIOD
            )
    return repeats


def parse(value: str | None) -> datetime | None:
    """Return a UTC timestamp as a datetime without a time zone, as in the marts."""
    return None if not value else datetime.fromisoformat(value.replace("Z", ""))


def local_date(at: datetime | None, zone: ZoneInfo) -> Any:
    """Return the local date of a timestamp in UTC."""
    return None if at is None else at.replace(tzinfo=timezone.utc).astimezone(zone).date()


def text(value: object) -> str | None:
    """Return an id as text."""
    return None if value is None else str(value)


def lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _add_seconds(at: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else at + timedelta(seconds=seconds)


def name_of(streams: Streams, stream: str, key: int | None) -> str | None:
    return next((row["name"] for row in streams.get(stream, []) if row["id"] == key), None)

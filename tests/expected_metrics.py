"""The rows that the marts by queue, agent and day should have, computed from calls and legs."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.expected_calls import local_date, parse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from sandbox.history import Row

BUSY = {"on a call", "after call work"}
AVAILABLE = {"available"}


def queue_hourly(calls: Iterable[Row], zone: ZoneInfo) -> list[Row]:
    """Return the rows of `voicecalls__queue_hourly`."""
    hours = defaultdict(list)
    for call in calls:
        if call["is_offered"] and call["started_at"] is not None:
            local = call["started_at"].replace(tzinfo=timezone.utc).astimezone(zone)
            since = timedelta(minutes=local.minute, seconds=local.second)
            hour = call["started_at"] - since, local.hour
            hours[call["vendor"], call["queue_id"], hour].append(call)
    return [
        {
            "source_relation": group[0]["source_relation"],
            "vendor": vendor,
            "queue_id": queue_id,
            "queue_name": group[0]["queue_name"],
            "hour_started_at": hour_started_at,
            "date": group[0]["started_on"],
            "hour_of_day": hour_of_day,
            "longest_queue_seconds": max(values(group, "queue_seconds"), default=None),
        }
        | offered_call_measures(group)
        for (vendor, queue_id, (hour_started_at, hour_of_day)), group in hours.items()
    ]


def offered_call_measures(calls: list[Row]) -> Row:
    """Return the measures that the marts by queue and by day share."""
    offered = [call for call in calls if call["is_offered"]]
    outcomes = [call["outcome"] for call in offered]
    abandoned = outcomes.count("abandoned")
    short = sum(call["is_short_abandoned"] for call in offered)
    service_level = values(calls, "is_within_service_level")
    speeds = values(calls, "speed_of_answer_seconds")
    return {
        "offered_calls": len(offered),
        "answered_calls": outcomes.count("answered"),
        "missed_calls": outcomes.count("missed"),
        "voicemail_calls": outcomes.count("voicemail"),
        "abandoned_calls": abandoned,
        "short_abandoned_calls": short,
        "service_level_calls": len(service_level),
        "calls_within_service_level": sum(service_level),
        "service_level": ratio(sum(service_level), len(service_level)),
        "speed_of_answer_calls": len(speeds),
        "speed_of_answer_seconds": sum(speeds),
        "average_speed_of_answer_seconds": ratio(sum(speeds), len(speeds)),
        "abandonment_rate": ratio(abandoned, len(offered)),
        "abandonment_rate_without_short": ratio(abandoned - short, len(offered) - short),
    }


def agent_daily(
    calls: list[Row], legs: list[Row], statuses: Iterable[Row], zone: ZoneInfo, account: str
) -> list[Row]:
    """Return the rows of `voicecalls__agent_daily`.

    Args:
        calls: The rows of `voicecalls__calls`.
        legs: The rows of `voicecalls__call_legs`.
        statuses: The rows of `talkdesk_user_status`.
        zone: The time zone of the reports.
        account: The name of the account.
    """
    with_contacts = {leg["call_id"] for leg in legs if leg["vendor"] == "talkdesk"}
    contacts = [leg for leg in legs if leg["participant"] == "agent"]
    contacts += [
        call | {"is_transferred_out": call["is_transferred"]}
        for call in calls
        if call["vendor"] == "talkdesk" and call["call_id"] not in with_contacts
    ]
    days: dict[tuple[str, str, Any], list[Row]] = defaultdict(list)
    for contact in contacts:
        if contact["agent_id"] is not None and contact["started_on"] is not None:
            days[contact["vendor"], contact["agent_id"], contact["started_on"]].append(contact)
    seconds = status_seconds(statuses, zone)
    names = {row["user_id"]: row["user_name"] for row in statuses}
    rows = []
    for key in days.keys() | {("talkdesk", agent_id, date) for agent_id, date in seconds}:
        vendor, agent_id, date = key
        group = days.get(key, [])
        outcomes = [contact["outcome"] for contact in group]
        handled = values(group, "handle_seconds")
        busy, available = (None, None)
        if vendor == "talkdesk" and (agent_id, date) in seconds:
            busy, available = seconds[agent_id, date]
        agent_name = max(values(group, "agent_name"), default=None) or names.get(agent_id)
        rows.append(
            {
                "source_relation": account,
                "vendor": vendor,
                "agent_id": agent_id,
                "agent_name": agent_name or agent_id,
                "date": date,
                "answered_contacts": outcomes.count("answered"),
                "missed_contacts": outcomes.count("missed"),
                "declined_contacts": outcomes.count("declined"),
                "transferred_contacts": sum(
                    contact["is_transferred_out"]
                    for contact in group
                    if contact["outcome"] == "answered"
                ),
                "talk_seconds": sum(values(group, "talk_seconds")),
                "hold_seconds": sum(values(group, "hold_seconds")),
                "wrap_up_seconds": sum(values(group, "wrap_up_seconds")),
                "handled_contacts": len(handled),
                "handle_seconds": sum(handled),
                "average_handle_seconds": ratio(sum(handled), len(handled)),
                "busy_seconds": busy,
                "available_seconds": available,
                "occupancy": occupancy(busy, available),
            }
        )
    return rows


def status_seconds(statuses: Iterable[Row], zone: ZoneInfo) -> dict[tuple[str, Any], list[int]]:
    """Return the busy and the available seconds by agent and local date."""
    seconds: dict[tuple[str, Any], list[int]] = defaultdict(lambda: [0, 0])
    for row in statuses:
        status = row["status_label"].strip().lower()
        started_at, ended_at = parse(row["status_start_at"]), parse(row["status_end_at"])
        if status not in BUSY | AVAILABLE or started_at is None or ended_at is None:
            continue
        while started_at < ended_at:
            date = local_date(started_at, zone)
            tomorrow = datetime.combine(date + timedelta(days=1), datetime.min.time(), zone)
            midnight = tomorrow.astimezone(timezone.utc).replace(tzinfo=None)
            part = min(ended_at, midnight) - started_at
            seconds[row["user_id"], date][status in AVAILABLE] += int(part.total_seconds())
            started_at = min(ended_at, midnight)
    return seconds


def metrics_daily(calls: Iterable[Row], agents: Iterable[Row], account: str) -> list[Row]:
    """Return the rows of `voicecalls__metrics_daily`, from the calls and the agents' days."""
    days: dict[tuple[str, Any], list[Row]] = defaultdict(list)
    for call in calls:
        if call["started_on"] is not None:
            days[call["vendor"], call["started_on"]].append(call)
    agents_by_day: dict[tuple[str, Any], list[Row]] = defaultdict(list)
    for agent in agents:
        if agent["busy_seconds"] is not None:
            agents_by_day[agent["vendor"], agent["date"]].append(agent)
    return [
        {"source_relation": account, "vendor": vendor, "date": date}
        | _metrics_of_a_day(days.get((vendor, date), []), agents_by_day.get((vendor, date), []))
        for vendor, date in days.keys() | agents_by_day.keys()
    ]


def _metrics_of_a_day(calls: list[Row], agents: list[Row]) -> Row:
    measures = offered_call_measures(calls)
    directions = [call["direction"] for call in calls]
    connected = [call for call in calls if call["outcome"] == "answered"]
    transferred = sum(call["is_transferred"] for call in connected)
    queued = values([call for call in connected if call["is_offered"]], "queue_seconds")
    handled = values(calls, "handle_seconds")
    repeats = values(calls, "is_repeat")
    in_ivr = sum(
        call["direction"] == "inbound"
        and call["outcome"] == "abandoned"
        and bool(call["has_ended_in_ivr"])
        and call["is_in_business_hours"] is not False
        and not call["is_callback"]
        for call in calls
    )
    busy = sum(values(agents, "busy_seconds")) if agents else None
    available = sum(values(agents, "available_seconds")) if agents else None
    return measures | {
        "calls": len(calls),
        "inbound_calls": directions.count("inbound"),
        "outbound_calls": directions.count("outbound"),
        "ivr_abandoned_calls": in_ivr,
        "abandonment_rate_with_ivr": ratio(
            measures["abandoned_calls"] + in_ivr, measures["offered_calls"] + in_ivr
        ),
        "queued_calls": len(queued),
        "queue_seconds": sum(queued),
        "average_queue_seconds": ratio(sum(queued), len(queued)),
        "handled_calls": len(handled),
        "handle_seconds": sum(handled),
        "average_handle_seconds": ratio(sum(handled), len(handled)),
        "connected_calls": len(connected),
        "transferred_calls": transferred,
        "transfer_rate": ratio(transferred, len(connected)),
        "identified_calls": len(repeats),
        "repeat_calls": sum(repeats),
        "repeat_call_rate": ratio(sum(repeats), len(repeats)),
        "busy_seconds": busy,
        "available_seconds": available,
        "occupancy": occupancy(busy, available),
    }


def values(rows: Iterable[Row], column: str) -> list[Any]:
    """Return the values of a column that are not null."""
    return [row[column] for row in rows if row[column] is not None]


def ratio(numerator: int, denominator: int) -> float | None:
    """Return a share or an average, or None where there is nothing to divide by."""
    return numerator / denominator if denominator else None


def occupancy(busy: int | None, available: int | None) -> float | None:
    """Return the share of busy time."""
    return None if busy is None or available is None else ratio(busy, busy + available)

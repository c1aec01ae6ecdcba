"""The statuses of Talkdesk's users, which follow from their calls and leave no gap in a day.

Follows Talkdesk's documentation, "User Status Report".
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from sandbox.contacts import contacts, format_naive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.contacts import Agent
    from sandbox.history import Row

    #: From when to when a user has a status.
    Span = tuple[datetime, datetime, str]

DAY = timedelta(days=1)
#: The statuses: of several at once, the first one counts. The third is the account's own.
_LABELS = ("On A Call", "After Call Work", "lunch ", "Available", "Offline")
#: When every user works, and has lunch, in hours of the day in UTC.
_SHIFTS = ((8, 16, "Available"), (12, 13, "lunch "))


def midnight(moment: datetime) -> datetime:
    """Return the beginning of the day of a moment in UTC."""
    return datetime.combine(moment.date(), time(), moment.tzinfo)


def user_statuses(
    calls: Iterable[Row], start: datetime, end: datetime, *, cut_at_midnight: bool
) -> Iterator[Row]:
    """Yield the statuses of the agents of calls, by agent and time.

    Args:
        calls: The calls; an agent has statuses from the day of the first one on.
        start: A midnight. A status that began earlier begins then.
        end: A midnight. A status that ends later ends then.
        cut_at_midnight: Whether a status is cut at each midnight; it always is where a month ends.
    """
    agents: dict[str, tuple[Agent, list[Span]]] = {}
    for contact in (contact for call in calls for contact in contacts(call)):
        if contact.agent is not None:
            _, spans = agents.setdefault(contact.agent["id"], (contact.agent, []))
            spans.append((contact.answered_at, contact.ended_at, "On A Call"))
            spans.append((contact.ended_at, contact.finished_at, "After Call Work"))
    for number, (agent, spans) in enumerate(agents.values()):
        team = {"id": "005488465d0e434298375f2e9769ceb3", "name": "Équipe A"} if number else {}
        first = max(start, midnight(min(spans)[0]))
        for status_start, status_end, label in _tile(spans, first, end, cut=cut_at_midnight):
            yield {
                "user_id": agent["id"],
                "user_name": agent["name"],
                "user_email": agent["email"],
                "status_label": label,
                "status_start_at": format_naive(status_start),
                "status_end_at": format_naive(status_end),
                "status_time": int((status_end - status_start).total_seconds()),
                "is_user_active": True,
                "team_id": team.get("id"),
                "team_name": team.get("name"),
                "ring_groups": "agents+billing",
            }


def clip(row: Row, start: datetime, end: datetime) -> Row:
    """Return the part of a status that lies within a range of time."""
    status_start = max(row["status_start_at"], format_naive(start))
    status_end = min(row["status_end_at"], format_naive(end))
    length = datetime.fromisoformat(status_end) - datetime.fromisoformat(status_start)
    return row | {
        "status_start_at": status_start,
        "status_end_at": status_end,
        "status_time": int(length.total_seconds()),
    }


def _tile(busy: list[Span], start: datetime, end: datetime, *, cut: bool) -> Iterator[Span]:
    """Yield spans that cover a range of time, each with one status, without gap or overlap."""
    days = [start + number * DAY for number in range((end - start).days)]
    spans = [(start, end, "Offline"), *busy]
    spans += [
        (day + timedelta(hours=begin), day + timedelta(hours=close), label)
        for day in days
        for begin, close, label in _SHIFTS
    ]
    cuts = {day for day in days if cut or day.day == 1}
    changes = sorted(
        (
            *(
                (min(max(edge, start), end), step, label)
                for *edges, label in spans
                for edge, step in zip(edges, (1, -1), strict=True)
            ),
            *((day, 0, "Offline") for day in cuts),
        )
    )
    active: Counter[str] = Counter()
    since, current = start, ""
    for moment, group in groupby(changes, key=itemgetter(0)):
        for _, step, label in group:
            active[label] += step
        label = next((label for label in _LABELS if active[label]), "")
        if label != current or moment in cuts:
            if moment > since:
                yield since, moment, current
            since, current = moment, label

"""The rows of Talkdesk's reports: which of them a report of some timespan holds."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

from sandbox.contacts import contacts, format_naive
from sandbox.history import format_utc, parse_utc
from sandbox.table import Table
from sandbox.user_statuses import DAY, clip, midnight, user_statuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sandbox.history import Row

    TimespanBy = Literal["start", "end"]
    StatusCut = Literal["midnight", "timespan", "never"]


@dataclass(frozen=True)
class Report:
    """A type of report.

    Attributes:
        keys: The fields that identify a row.
        start: The field with the time when what the row is about began.
        end: The field with the time when it ended.
    """

    keys: tuple[str, ...]
    start: str
    end: str

    def key(self, row: Row) -> Any:  # noqa: ANN401 - a value, or a tuple of several
        """Return the key of a row."""
        return itemgetter(*self.keys)(row)


REPORTS = {
    "calls": Report(("call_id",), "start_at", "end_at"),
    "contacts": Report(("contact_id",), "started_at", "finished_at"),
    "ring_attempts": Report(("ring_attempt_id",), "ring_started_at_time", "ring_finished_at_time"),
    "user_status": Report(("user_id", "status_start_at"), "status_start_at", "status_end_at"),
}


class ReportRows:
    """The rows of an account's reports: calls, and what follows from them.

    Attributes:
        status_cut: Where a row of `user_status` is cut without a change of the status, except at
            the end of a month: at each `midnight`, at the ends of the report's `timespan`, or
            `never`. Talkdesk does not document it.
    """

    def __init__(self, calls: Mapping[str, Row], *, timespan_by: TimespanBy) -> None:
        """Index calls.

        Args:
            calls: The calls, by id.
            timespan_by: Whether a report's timespan selects rows by their start or their end.
        """
        self.status_cut: StatusCut = "midnight"
        self._by = timespan_by
        self.calls = Table(calls, key="call_id", order_by=getattr(REPORTS["calls"], timespan_by))

    def all(self, name: str, now: datetime) -> dict[Any, Row]:
        """Return the rows of a report that have ended so far, by key."""
        if name == "calls":
            return self.calls.rows
        report, latest = REPORTS[name], format_naive(now)
        calls = list(self.calls.rows.values())
        first = min((parse_utc(call["start_at"]) for call in calls), default=now)
        rows = self._derive(name, midnight(first), midnight(now) + DAY)
        return {report.key(row): row for row in rows if row[report.end] <= latest}

    def between(self, name: str, start: datetime, end: datetime, now: datetime) -> list[Row]:
        """Return the rows of a report with a timespan."""
        report = REPORTS[name]
        if name == "calls":
            bounds = int(start.timestamp()), int(end.timestamp())
            ended = self.calls.between(*bounds, now=now.timestamp())
            return [
                row for row in ended if row["end_at"] is None or row["end_at"] <= format_utc(now)
            ]
        first, last = format_naive(start), format_naive(end)
        rows = self._derive(name, midnight(start) - DAY, midnight(end) + 2 * DAY)
        if name == "user_status" and self.status_cut == "timespan":
            return [
                clip(row, start, end)
                for row in rows
                if row[report.start] < last and first < row[report.end]
            ]
        time = getattr(report, self._by)
        return [
            row
            for row in rows
            if first <= row[time] < last and row[report.end] <= format_naive(now)
        ]

    def _derive(self, name: str, start: datetime, end: datetime) -> Iterator[Row]:
        """Yield the rows that began or ended between two midnights, and maybe others."""
        calls = list(self.calls.rows.values())
        if name == "user_status":
            yield from user_statuses(
                calls, start, end, cut_at_midnight=self.status_cut == "midnight"
            )
            return
        first, last = format_utc(start), format_utc(end)
        for call in calls:
            if call["end_at"] >= first and call["start_at"] < last:
                for contact in contacts(call):
                    if name == "contacts":
                        yield contact.row()
                    else:
                        yield from contact.ring_attempts()

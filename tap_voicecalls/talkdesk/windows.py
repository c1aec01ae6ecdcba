"""Windows of time: half-open, adjacent to each other, in UTC and whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tap_voicecalls.timestamps import DateRange, format_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = timedelta(days=1)


def midnight(moment: datetime) -> datetime:
    """Return the beginning of the day of a moment in UTC."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Window(DateRange):
    """A range of time with an end: what one report job covers."""

    end: datetime

    def __str__(self) -> str:
        """Format the window for messages."""
        return f"{format_utc(self.start)} to {format_utc(self.end)}"

    def first(self, length: timedelta) -> Window:
        """Return the part of at most this length that the window begins with."""
        return Window(self.start, self.start + min(length, self.end - self.start))

    def half(self) -> Window | None:
        """Return the first half, in whole days; None for a window of at most a day."""
        days = -(-(self.end - self.start) // DAY)
        return self.first(days // 2 * DAY) if days > 1 else None


def split(start: datetime, end: datetime, length: timedelta) -> Iterator[Window]:
    """Yield windows of at most `length` that cover the time from `start` to `end`."""
    while start < end:
        stop = min(start + length, end)
        yield Window(start, stop)
        start = stop

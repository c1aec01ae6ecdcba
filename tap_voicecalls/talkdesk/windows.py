"""Windows of time: half-open, adjacent to each other, in UTC and whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tap_voicecalls.timestamps import DateRange, format_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window(DateRange):
    """A range of time with an end: what one report job covers."""

    end: datetime

    def __str__(self) -> str:
        """Format the window for messages."""
        return f"{format_utc(self.start)} to {format_utc(self.end)}"

    def halves(self) -> tuple[Window, Window] | None:
        """Return two windows that cover this one, split at a whole day; None for at most a day."""
        days = -(-(self.end - self.start) // _DAY)
        if days < 2:  # noqa: PLR2004 - too short to split
            return None
        middle = self.start + (days // 2) * _DAY
        return Window(self.start, middle), Window(middle, self.end)


def split(start: datetime, end: datetime, length: timedelta) -> Iterator[Window]:
    """Yield windows of at most `length` that cover the time from `start` to `end`."""
    while start < end:
        stop = min(start + length, end)
        yield Window(start, stop)
        start = stop

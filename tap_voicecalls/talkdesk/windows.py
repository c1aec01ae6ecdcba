"""Windows of time: half-open, touching each other, in UTC and whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_voicecalls.timestamps import format_utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """From `start`, included, to `end`, left out."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """The window for people and for logs."""
        return f"{format_utc(self.start)} to {format_utc(self.end)}"

    def halves(self) -> tuple[Window, Window] | None:
        """Two windows that cover this one, cut at a whole day; None for a day or less."""
        days = -(-(self.end - self.start) // _DAY)
        if days < 2:  # noqa: PLR2004 - too short to cut
            return None
        middle = self.start + (days // 2) * _DAY
        return Window(self.start, middle), Window(middle, self.end)


def windows(start: datetime, end: datetime, length: timedelta) -> Iterator[Window]:
    """Covers the time from `start` to `end` with windows of at most `length`."""
    while start < end:
        stop = min(start + length, end)
        yield Window(start, stop)
        start = stop

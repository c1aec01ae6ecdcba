"""The log lines that report how far a stream has been read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_voicecalls.counts import format_count
from tap_voicecalls.timestamps import format_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_voicecalls.sync.context import RunContext

#: Seconds between two progress lines.
INTERVAL = 5.0


@dataclass
class Progress:
    """The progress of one stream's sync, from `start` to `end`.

    Attributes:
        rows: Rows read so far.
        details: What the vendor's protocol adds to a line, given the share done.
    """

    name: str
    start: datetime
    end: datetime
    run: RunContext
    details: Callable[[float], str]
    rows: int = 0

    def __post_init__(self) -> None:
        """Start the first interval."""
        self._logged_at = self.run.clock.monotonic()

    def update(self, watermark: datetime | None) -> None:
        """Log how far the stream has been read, at most once per interval.

        Without a watermark, it is a table of unknown length.
        """
        if self.run.clock.monotonic() - self._logged_at < INTERVAL:
            return
        if watermark is None:
            self._logged_at = self.run.clock.monotonic()
            rows = format_count(self.rows, "row")
            self.run.log(self.name, "%s so far, %s.", rows, self.details(0.0))
        else:
            done = (watermark - self.start) / (self.end - self.start)
            self._log(min(watermark, self.end), min(1.0, max(0.0, done)))

    def finish(self, read_up_to: datetime) -> None:
        """Log that the stream has been read completely."""
        self._log(read_up_to, 1.0)

    def _log(self, read_up_to: datetime, share: float) -> None:
        self._logged_at = self.run.clock.monotonic()
        self.run.log(
            self.name,
            "%s, read up to %s (%d %%), %s.",
            format_count(self.rows, "row"),
            format_utc(read_up_to),
            math.floor(100 * share),
            self.details(share),
        )

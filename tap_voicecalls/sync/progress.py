"""The log lines that report how far a stream has been read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_voicecalls.timestamps import format_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from logging import Logger

    from tap_voicecalls.clock import Clock

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
    clock: Clock
    logger: Logger
    details: Callable[[float], str]
    rows: int = 0

    def __post_init__(self) -> None:
        """Start the first interval."""
        self._logged_at = self.clock.monotonic()

    def update(self, watermark: datetime) -> None:
        """Log how far the stream has been read, at most once per interval."""
        if self.clock.monotonic() - self._logged_at >= INTERVAL:
            self._log(watermark)

    def finish(self) -> None:
        """Log that the stream has been read completely."""
        self._log(self.end)

    def _log(self, watermark: datetime) -> None:
        self._logged_at = self.clock.monotonic()
        done = (watermark - self.start) / (self.end - self.start)
        share = min(1.0, max(0.0, done))
        self.logger.info(
            "%s: %s rows, read up to %s (%d %%), %s.",
            self.name,
            f"{self.rows:,}",
            format_utc(min(watermark, self.end)),
            math.floor(100 * share),
            self.details(share),
        )

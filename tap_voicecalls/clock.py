"""The clock that every wait and every look at the time goes through."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event


class Clock:
    """The current time, and sleeping. Tests replace it with one that they control."""

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Return seconds that never go backward, for durations and deadlines."""
        return time.monotonic()

    def sleep(self, seconds: float, interrupt: Event | None = None) -> None:
        """Sleep for some seconds, or until `interrupt` is set."""
        if interrupt is None:
            time.sleep(seconds)
        else:
            interrupt.wait(seconds)

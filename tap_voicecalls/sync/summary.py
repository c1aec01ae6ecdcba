"""The end of a run in the log: one line per stream, whose numbers are its structured data too."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from tap_voicecalls.counts import format_count
from tap_voicecalls.timestamps import format_duration, format_utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_voicecalls.clock import Clock
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.sync.stream import VendorStream


class Outcome(Enum):
    """How the sync of a stream ended."""

    COMPLETE = "complete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StreamResult:
    """What a sync of one stream has achieved so far.

    Attributes:
        records: The number of RECORD messages, or of records in BATCH files.
        read_up_to: Up to which time the stream has been read; None if nothing was.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with nothing."""
        self.records = 0
        self.read_up_to: datetime | None = None
        self._clock = clock
        self._started_at: float | None = None
        self._ended_at: float | None = None

    def start(self) -> None:
        """Note that the sync starts."""
        self._started_at = self._clock.monotonic()

    def end(self) -> None:
        """Note that the sync has ended: it is complete, or has failed."""
        self._ended_at = self._clock.monotonic()

    @property
    def has_started(self) -> bool:
        """Whether the sync has started."""
        return self._started_at is not None

    @property
    def has_ended(self) -> bool:
        """Whether the sync has ended by itself."""
        return self._ended_at is not None

    @property
    def duration(self) -> float:
        """The seconds from the start to the end, or to now."""
        if self._started_at is None:
            return 0.0
        ended_at = self._clock.monotonic() if self._ended_at is None else self._ended_at
        return ended_at - self._started_at


class RunSummary:
    """Logs a line for each stream, once, however the run ends."""

    def __init__(self, streams: Iterable[VendorStream[Any]], run: RunContext) -> None:
        """Summarize the syncs of these streams."""
        self._remaining = deque(streams)
        self.run = run

    def log(self) -> None:
        """Log the lines that have not been logged: a signal may arrive between two of them."""
        while self._remaining:
            self._log(self._remaining[0])
            self._remaining.popleft()

    def _log(self, stream: VendorStream[Any]) -> None:
        result, used, outcome = stream.result, stream.api_usage(), self._outcome(stream)
        read_up_to = result.read_up_to and format_utc(result.read_up_to)
        waited, duration = stream.usage.seconds_waited, result.duration
        extent = "not read to the end" if result.records else "nothing read"
        parts = [
            format_count(result.records, "record"),
            f"read up to {read_up_to}" if read_up_to else extent,
            *(format_count(count, noun) for noun, count in used.items()),
        ]
        if waited >= 1:
            parts.append(f"{format_duration(round(waited))} waiting for the rate limit")
        parts.append(f"{format_duration(round(duration))} in all")
        self.run.log(
            stream.name,
            "%s: %s",
            ", ".join(parts) if result.has_started else "not started",
            outcome.value,
            records=result.records,
            read_up_to=read_up_to,
            **{f"{noun}s".replace(" ", "_"): count for noun, count in used.items()},
            rate_limit_wait_seconds=round(waited, 3),
            duration_seconds=round(duration, 3),
            outcome=outcome.value,
        )

    def _outcome(self, stream: VendorStream[Any]) -> Outcome:
        if stream.name in self.run.failures:
            return Outcome.FAILED
        return Outcome.COMPLETE if stream.result.has_ended else Outcome.INTERRUPTED

"""The request budget of an account: 10 in any minute, for calls and legs together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_voicecalls.clock import Clock


class RequestBudget:
    """A sliding minute of requests. The first ones may be sent at once."""

    def __init__(self, requests_per_minute: int, clock: Clock) -> None:
        """Start with the whole budget."""
        self._bucket = InMemoryBucket([Rate(requests_per_minute, Duration.MINUTE)])
        self._clock = clock
        self.requests_per_minute = requests_per_minute
        self.requests_sent = 0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait for a request slot; the request is sent inside this context."""
        item = RateItem("request", self._now())
        while not self._bucket.put(item):
            # One millisecond more than the rest: the end of a window still belongs to it.
            self._clock.sleep((int(self._bucket.waiting(item)) + 1) / 1000)  # type: ignore[arg-type]
            item.timestamp = self._now()
        self.requests_sent += 1
        try:
            yield
        finally:
            # Zendesk may count a slow request later than it was sent. Counted from its end, no
            # minute can contain one too many.
            item.timestamp = self._now()
            self._bucket.leak(item.timestamp)

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1000)

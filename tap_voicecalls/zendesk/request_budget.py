"""The requests that Zendesk allows: 10 in any minute, for calls and legs together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_voicecalls.timestamps import Clock


class RequestBudget:
    """A sliding minute of requests; the first ones go at once."""

    def __init__(self, requests_per_minute: int, clock: Clock) -> None:
        """Takes the quota of the account."""
        self._minute = InMemoryBucket([Rate(requests_per_minute, Duration.MINUTE)])
        self._clock = clock
        self.requests_per_minute = requests_per_minute
        self.requests = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until a request may be sent, and counts what is sent inside this context."""
        item = RateItem("request", self._now())
        while not self._minute.put(item):
            # One more than is left: the end of a window still belongs to it.
            self._clock.sleep((int(self._minute.waiting(item)) + 1) / 1000)  # type: ignore[arg-type]
            item.timestamp = self._now()
        self.requests += 1
        try:
            yield
        finally:
            # A request that was long under way is counted by Zendesk later than it was sent:
            # counted from its end, no minute can hold one too many.
            item.timestamp = self._now()
            self._minute.leak(item.timestamp)

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1000)

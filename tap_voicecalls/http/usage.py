"""What a stream uses of its vendor's API, counted where it happens."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_voicecalls.clock import Clock


class ApiUsage:
    """The requests of one stream, and its waits for the vendor's quota. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        """Start without any."""
        self._clock = clock
        self._lock = threading.Lock()
        self._requests = 0
        self._waiting = 0
        self._waiting_since = 0.0
        self._waited = 0.0

    @property
    def requests(self) -> int:
        """How many requests were sent, each retry included."""
        return self._requests

    @property
    def seconds_waited(self) -> float:
        """For how many seconds the quota held up requests, of which several may wait at once."""
        with self._lock:
            return self._waited + self._current_wait()

    def count_request(self) -> None:
        """Count a request that is sent now."""
        with self._lock:
            self._requests += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time that is spent inside of the context as a wait for the quota."""
        with self._lock:
            if not self._waiting:
                self._waiting_since = self._clock.monotonic()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                if self._waiting == 1:
                    self._waited += self._current_wait()
                self._waiting -= 1

    def _current_wait(self) -> float:
        return self._clock.monotonic() - self._waiting_since if self._waiting else 0.0

"""Request slots: what a request takes, and what may not be taken by too many within a minute."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tap_voicecalls.clock import Clock


@dataclass(frozen=True)
class Quota:
    """What Zendesk allows an account.

    Attributes:
        account: The host and port of the account.
        requests: How many requests may be sent in any period.
        period: The length of a period in seconds.
        lease: After how many seconds a slot is free whose run died before it could release it.
            Longer than any request takes.
    """

    account: str
    requests: int
    period: float = 60.0
    lease: float = 600.0


class RequestSlots(Protocol):
    """The slots of one quota.

    Zendesk counts a request at some time between its start and its end. So a slot is taken from
    the start of a request to one period after its end.
    """

    def acquire(self, slot: str) -> float:
        """Take a slot, and return 0; if none is free, return after how many seconds to try again.

        Args:
            slot: A name that no other request uses.
        """

    def release(self, slot: str) -> None:
        """Let a slot's last period begin: its request has ended."""


class MemorySlots:
    """The slots of one process."""

    def __init__(self, quota: Quota, clock: Clock) -> None:
        """Start with all slots free."""
        self._quota = quota
        self._clock = clock
        self._in_flight = 0
        self._expirations: deque[float] = deque()
        self._lock = threading.Lock()

    def acquire(self, slot: str) -> float:  # noqa: ARG002 - all slots are alike
        """Take a slot; see `RequestSlots`."""
        with self._lock:
            now = self._clock.monotonic()
            while self._expirations and self._expirations[0] <= now:
                self._expirations.popleft()
            if self._in_flight + len(self._expirations) < self._quota.requests:
                self._in_flight += 1
                return 0.0
            return self._expirations[0] - now if self._expirations else self._quota.period

    def release(self, slot: str) -> None:  # noqa: ARG002 - all slots are alike
        """Let a slot's last period begin."""
        with self._lock:
            self._in_flight -= 1
            self._expirations.append(self._clock.monotonic() + self._quota.period)

"""How many report jobs run at once: as many as allowed, and as the account's quota has left."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.retry import RATE_LIMIT_TIMEOUT
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_voicecalls.clock import Clock

#: The first wait for the quota in seconds, and the longest. Jobs take seconds, so others free it
#: soon.
_MIN_WAIT = 2.0
_MAX_WAIT = 60.0
#: One more job runs after so many that Talkdesk accepted in a row.
_GROW_AFTER = 3


class JobSlots:
    """Slots for the report jobs of all reports, and of all threads: hold one while a job runs.

    Talkdesk refuses a job while the account's quota, which others use too, is used up. From then
    on no more jobs run at once than did, but one, and more again while Talkdesk accepts them.
    """

    def __init__(self, slots: int, clock: Clock) -> None:
        """Start with all slots free.

        Args:
            slots: How many jobs may run at once.
            clock: The clock.
        """
        self._max = self._limit = slots
        self._clock = clock
        self._changed = threading.Condition()
        self._held = 0
        self._accepted = 0
        self._next_wait = _MIN_WAIT
        self._used_up_since: float | None = None

    @contextmanager
    def hold(self, stop: threading.Event) -> Iterator[None]:
        """Wait for a slot, and hold it.

        Args:
            stop: Ends the wait, once `wake` is called: no more jobs of this report are wanted.

        Raises:
            VoiceCallsError: The wait was ended.
        """
        try:
            with self._changed:
                self._acquire(stop)
            yield
        finally:
            with self._changed:
                self._release()

    def wake(self) -> None:
        """Let the threads that wait for a slot see that they are stopped."""
        with self._changed:
            self._changed.notify_all()

    def accepted(self) -> None:
        """Note that Talkdesk accepted the job of a slot."""
        with self._changed:
            self._next_wait, self._used_up_since = _MIN_WAIT, None
            self._accepted += 1
            if self._accepted >= _GROW_AFTER and self._limit < self._max:
                self._accepted = 0
                self._limit += 1
                self._changed.notify()

    def refused(self, retry_after: float | None, stop: threading.Event) -> float:
        """Note that Talkdesk refused the job of a slot; return the seconds until the next attempt.

        If other jobs of this run hold slots, it waits here until one is freed, for that one can be
        used at once.

        Args:
            retry_after: How many seconds Talkdesk asked to wait, if it did.
            stop: Ends the wait, as in `hold`.

        Raises:
            VoiceCallsError: The quota has been used up for long enough, or the wait was ended.
        """
        with self._changed:
            self._accepted = 0
            if self._held > 1:
                self._limit = self._held - 1
                self._release()
                self._acquire(stop)
                return 0
            self._limit = 1
            now = self._clock.monotonic()
            if self._used_up_since is None:
                self._used_up_since = now
            elapsed = now - self._used_up_since
            if elapsed >= RATE_LIMIT_TIMEOUT:
                raise VoiceCallsError(
                    f"Talkdesk: rate limit reached (429 Too Many Requests): the account's quota of "
                    f"report jobs is still used up after {format_duration(elapsed)}. Find out who "
                    f"else runs reports in the account. Run the tap again later: it resumes from "
                    f"its last bookmark."
                )
            wait = retry_after or self._next_wait
            self._next_wait = min(2 * self._next_wait, _MAX_WAIT)
            return wait

    def _acquire(self, stop: threading.Event) -> None:
        self._changed.wait_for(lambda: self._held < self._limit or stop.is_set())
        self._held += 1
        if stop.is_set():
            raise VoiceCallsError("Talkdesk: the run is being stopped.")

    def _release(self) -> None:
        self._held -= 1
        self._changed.notify()

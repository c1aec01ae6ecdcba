"""Windows that are reported side by side, and handed out in order of time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from threading import Event

    from tap_voicecalls.talkdesk.jobs import WindowReports
    from tap_voicecalls.talkdesk.windows import Window


class ConcurrentReports:
    """Reports of windows, several under way at once, handed out in order of time.

    No more windows than `jobs` are under way or waiting to be handed out, so that neither memory
    nor disk grow with their number.
    """

    def __init__(
        self, report: Callable[[Window], WindowReports], *, jobs: int, stopped: Event
    ) -> None:
        """Starts nothing yet.

        Args:
            report: Makes the reports of one window.
            jobs: How many windows are under way at once.
            stopped: Is set when no more reports are wanted, which ends those under way.
        """
        self._report = report
        self._jobs = jobs
        self._stopped = stopped
        self._pending: deque[Future[WindowReports]] = deque()

    @property
    def under_way(self) -> int:
        """How many windows are being reported now."""
        return sum(not pending.done() for pending in self._pending)

    def __call__(self, windows: Iterable[Window]) -> Iterator[WindowReports]:
        """Gives the reports of each window."""
        left = iter(windows)
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="talkdesk") as pool:
            try:
                for window in islice(left, self._jobs):
                    self._pending.append(pool.submit(self._report, window))
                while self._pending:
                    made = self._pending.popleft().result()
                    if made.error is None:
                        self._pending.extend(
                            pool.submit(self._report, window) for window in islice(left, 1)
                        )
                    yield made
            finally:
                self._stopped.set()
                for pending in self._pending:
                    pending.cancel()

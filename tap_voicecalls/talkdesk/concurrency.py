"""Windows that are reported concurrently, and returned in order of time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from threading import Event

    from tap_voicecalls.talkdesk.window_reports import WindowReports
    from tap_voicecalls.talkdesk.windows import Window


class ConcurrentReports:
    """Reports of windows, several at a time.

    At most `jobs` windows are running or waiting to be returned, so that neither memory nor disk
    usage grow with the number of windows.
    """

    def __init__(
        self, report: Callable[[Window], WindowReports], *, jobs: int, stop: Event
    ) -> None:
        """Prepare the reports; none is started yet.

        Args:
            report: Reports one window.
            jobs: How many windows are reported at a time.
            stop: Is set when no more reports are wanted, which ends the running ones.
        """
        self._report = report
        self._jobs = jobs
        self._stop = stop
        self._pending: deque[Future[WindowReports]] = deque()

    @property
    def running(self) -> int:
        """How many windows are being reported now."""
        return sum(not pending.done() for pending in self._pending)

    def __call__(self, windows: Iterable[Window]) -> Iterator[WindowReports]:
        """Yield the reports of each window, in order."""
        remaining = iter(windows)
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="talkdesk") as pool:
            try:
                for window in islice(remaining, self._jobs):
                    self._pending.append(pool.submit(self._report, window))
                while self._pending:
                    reports = self._pending.popleft().result()
                    if reports.error is None:
                        self._pending.extend(
                            pool.submit(self._report, window) for window in islice(remaining, 1)
                        )
                    yield reports
            finally:
                self._stop.set()
                for pending in self._pending:
                    pending.cancel()

"""Windows that are reported concurrently, and returned in order of time."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, wait
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_voicecalls.talkdesk.window_reports import WindowReports
    from tap_voicecalls.talkdesk.windows import Window

#: How long the reports that are running may take to end once they are not wanted any more, in
#: seconds. A run that is terminated has few.
_STOP_TIMEOUT = 2.0


class ConcurrentReports:
    """Reports of windows, several at a time.

    At most `jobs` windows are running or waiting to be returned, so that neither memory nor disk
    usage grow with the number of windows.
    """

    def __init__(
        self, report: Callable[[Window], WindowReports], *, jobs: int, stop: Callable[[], object]
    ) -> None:
        """Prepare the reports; none is started yet.

        Args:
            report: Reports one window.
            jobs: How many windows are reported at a time.
            stop: Ends the running reports: no more are wanted.
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
        try:
            self._pending.extend(map(self._start, islice(remaining, self._jobs)))
            while self._pending:
                reports = self._pending[0].result()
                self._pending.popleft()
                if reports.error is None:
                    self._pending.extend(map(self._start, islice(remaining, 1)))
                yield reports
        finally:
            self._stop()
            # A report may be in the middle of a request that never ends: do not wait for that.
            wait(self._pending, _STOP_TIMEOUT)

    def _start(self, window: Window) -> Future[WindowReports]:
        future: Future[WindowReports] = Future()

        def work() -> None:
            try:
                future.set_result(self._report(window))
            except BaseException as error:  # noqa: BLE001 - raised again by `result`
                future.set_exception(error)

        # A daemon, unlike the threads of a pool: those keep a program from exiting.
        threading.Thread(target=work, name=f"talkdesk {window}", daemon=True).start()
        return future

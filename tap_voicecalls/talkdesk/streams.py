"""The stream of Talkdesk Explore."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from tap_voicecalls.sync.stream import CallStream, Slice
from tap_voicecalls.talkdesk.concurrency import ConcurrentReports
from tap_voicecalls.talkdesk.windows import windows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime

    from tap_voicecalls.sync.conform import Row

#: How far the last window ends before now: Talkdesk refreshes its reports every minute.
SAFETY_LAG = timedelta(minutes=2)


class TalkdeskCalls(CallStream):
    """Calls, each once it has ended, and again for as long as the lookback reaches."""

    vendor = "Talkdesk"
    name = "talkdesk_calls"
    primary_keys = ("call_id",)
    replication_key = "end_at"

    _windows_done = 0
    _windows = 0
    _rows_without_end = 0
    _reports: ConcurrentReports | None = None

    @property
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""
        return self.voicecalls.talkdesk_settings.lookback

    def slices(self, start: datetime, end: datetime | None) -> Generator[Slice]:
        """Reads windows side by side; each report of one is a portion."""
        settings = self.voicecalls.talkdesk_settings
        stop = self.started_at.replace(microsecond=0) - SAFETY_LAG
        if end is not None:
            stop = min(stop, end)
        self._windows = max(0, -(-(stop - start) // settings.window))
        stopped = Event()
        jobs = self.voicecalls.talkdesk.report_jobs(stopped)
        self._reports = ConcurrentReports(
            jobs.reports, jobs=settings.concurrent_jobs, stopped=stopped
        )
        try:
            for made in self._reports(windows(start, stop, settings.window)):
                self._windows_done += 1
                for window, report in made.parts:
                    yield Slice(self._counted(report.rows()), window.end)
                if made.error is not None:
                    raise made.error
        finally:
            if self._rows_without_end:
                self.logger.warning(
                    "%s: %d rows have no end_at; they are written all the same.",
                    self.name,
                    self._rows_without_end,
                )

    def _counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            if not row.get("end_at"):
                self._rows_without_end += 1
            yield row

    def progress(self, share: float) -> str:  # noqa: ARG002
        """Windows done and under way."""
        under_way = self._reports.under_way if self._reports else 0
        return f"{self._windows_done} of {self._windows} windows done, {under_way} under way"

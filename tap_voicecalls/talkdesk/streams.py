"""The streams of Talkdesk Explore."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tap_voicecalls.counts import format_count
from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.sync.conform import InvalidRowError
from tap_voicecalls.sync.slice import Slice
from tap_voicecalls.sync.stream import VendorStream
from tap_voicecalls.talkdesk.account import TalkdeskAccount
from tap_voicecalls.talkdesk.concurrency import ConcurrentReports
from tap_voicecalls.talkdesk.key_check import KeyCheck
from tap_voicecalls.talkdesk.report_types import CALLS, CONTACTS, RING_ATTEMPTS, USER_STATUS
from tap_voicecalls.talkdesk.window_reports import WindowReporter
from tap_voicecalls.talkdesk.windows import DAY, midnight, split

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import timedelta

    from tap_voicecalls.sync.conform import Record
    from tap_voicecalls.talkdesk.jobs import ReportJobs
    from tap_voicecalls.talkdesk.report_file import ReportFile
    from tap_voicecalls.talkdesk.report_types import ReportType
    from tap_voicecalls.timestamps import DateRange


class _ReportStream(VendorStream[TalkdeskAccount]):
    report: ClassVar[ReportType]

    _windows_done = 0
    _windows = 0
    _rows_without_end = 0
    _key_conflicts = 0
    _reports: ConcurrentReports | None = None
    _jobs: ReportJobs | None = None

    @property
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""
        return self.account.settings.lookback

    def slices(self, date_range: DateRange) -> Generator[Slice]:
        """Read windows concurrently; each report of one is a slice."""
        settings = self.account.settings
        jobs = self._jobs = self.account.report_jobs(self.report, self.usage)
        jobs.authenticate()  # the first response shows the vendor's clock
        server_started_at = self.account.server_clock.correct(self.started_at)
        start, length = date_range.start, settings.window
        end = server_started_at.replace(microsecond=0) - self.report.safety_lag
        if date_range.end is not None:
            end = min(end, date_range.end)
        if self.report.by_day:
            start, length = midnight(start), DAY
        self._windows = max(0, -(-(end - start) // length))
        self._reports = ConcurrentReports(
            WindowReporter(jobs, settings.job_timeout, self.logger),
            jobs=settings.concurrent_jobs,
            stop=jobs.stop,
        )
        try:
            for reports in self._reports(split(start, end, length)):
                self._windows_done += 1
                for window, file in reports.parts:
                    yield Slice(self._records(file), window.end)
                if reports.error is not None:
                    raise reports.error
        finally:
            self._warn_of_odd_rows()

    def _records(self, file: ReportFile) -> Iterator[Record]:
        check = None if self.report.is_key_documented else KeyCheck(self.report)
        for row in file.rows():
            try:
                record = self.conformer.conform(row)
            except InvalidRowError as error:
                raise VoiceCallsError(
                    f"Talkdesk's report has {error}. {self.report.invalid_row_hint}".rstrip()
                ) from None
            if not record.get(self.report.end_field):
                self._rows_without_end += 1
            if check is None or not check.is_superseded(record, row):
                yield record
        if check is not None:
            self._key_conflicts += check.conflicts

    def _warn_of_odd_rows(self) -> None:
        if self._rows_without_end:
            self._warn(
                "%s without %s, written all the same.",
                format_count(self._rows_without_end, "row"),
                self.report.end_field,
            )
        if self._key_conflicts:
            self._warn(
                "%s shared the %s of another row in the report and differed from it; targets keep "
                "the %s one.",
                format_count(self._key_conflicts, "row"),
                " and ".join(self.report.keys),
                "longest" if self.report.longest else "last",
            )

    def progress_details(self, share: float) -> str:  # noqa: ARG002
        """Return how many windows are done and running."""
        running = self._reports.running if self._reports else 0
        windows = format_count(self._windows, "window")
        return f"{self._windows_done} of {windows} done, {running} running"

    def api_usage(self) -> dict[str, int]:
        """Return the report jobs that were created, and the requests."""
        return {"report job": self._jobs.created if self._jobs else 0, **super().api_usage()}


class TalkdeskCalls(_ReportStream):
    """Calls, each once it has ended, and again for as long as the lookback reaches."""

    name = "talkdesk_calls"
    report = CALLS
    primary_keys = CALLS.keys
    replication_key = CALLS.end_field


class TalkdeskContacts(_ReportStream):
    """Contacts: one for each attempt to serve a call in a queue or with an agent."""

    name = "talkdesk_contacts"
    report = CONTACTS
    primary_keys = CONTACTS.keys
    replication_key = CONTACTS.end_field
    selected_by_default = False


class TalkdeskRingAttempts(_ReportStream):
    """Beta: ring attempts, one for each time that a contact rang at an agent."""

    name = "talkdesk_ring_attempts"
    report = RING_ATTEMPTS
    primary_keys = RING_ATTEMPTS.keys
    replication_key = RING_ATTEMPTS.end_field
    selected_by_default = False


class TalkdeskUserStatus(_ReportStream):
    """Statuses of users: one for each stretch of time, in whole days from midnight UTC."""

    name = "talkdesk_user_status"
    report = USER_STATUS
    primary_keys = USER_STATUS.keys
    replication_key = USER_STATUS.end_field
    selected_by_default = False

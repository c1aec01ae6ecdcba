"""The reports of one window: one job, another one if it fails, then narrower windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.talkdesk.jobs import IncompleteFileError, JobFailedError
from tap_voicecalls.talkdesk.windows import DAY, Window

if TYPE_CHECKING:
    from logging import Logger

    from tap_voicecalls.talkdesk.jobs import ReportJobs
    from tap_voicecalls.talkdesk.report_file import ReportFile

#: For how many job timeouts jobs may run without a report, before the stream fails.
_MAX_TIMEOUTS = 3


@dataclass
class WindowReports:
    """The reports of one window: one, or several where the window had to be split.

    Attributes:
        parts: The reports that succeeded, in order of time, each with its own window.
        error: Why there are no more of them; None if they cover the window.
    """

    parts: list[tuple[Window, ReportFile]] = field(default_factory=list)
    error: VoiceCallsError | None = None


class WindowReporter:
    """Reports windows; in parts where Talkdesk does not succeed with a whole one.

    A failed job is retried once. Then narrower windows are tried, down to a day, since narrower
    reports succeed where wide ones fail. Later windows begin with the length that succeeded.
    """

    def __init__(self, jobs: ReportJobs, timeout: timedelta, logger: Logger) -> None:
        """Prepare the reports; nothing is sent yet.

        Args:
            jobs: Runs the jobs.
            timeout: How long one job may take, from its creation to its file.
            logger: Gets a line for each job that fails.
        """
        self._jobs = jobs
        self._timeout = timeout
        self._logger = logger
        self._length = timedelta.max

    def __call__(self, window: Window) -> WindowReports:
        """Report a window."""
        reports, start = WindowReports(), window.start
        try:
            while start < window.end:
                part, file = self._report_first(Window(start, window.end).first(self._length))
                reports.parts.append((part, file))
                start = part.end
        except VoiceCallsError as error:
            reports.error = error
        return reports

    def _report_first(self, window: Window) -> tuple[Window, ReportFile]:
        """Report a window, or as much of it from its start as succeeds."""
        part, attempts, failures, spent = window, 0, 0, timedelta()
        while True:
            limit = min(self._timeout, _MAX_TIMEOUTS * self._timeout - spent)
            try:
                file = self._jobs.run(part, limit)
            except JobFailedError as error:
                self._logger.warning("Talkdesk: %s.", error)
                attempts, failures, spent = attempts + 1, failures + 1, spent + error.duration
                # The last attempt is the one that is most likely to succeed.
                is_last = spent >= (_MAX_TIMEOUTS - 1) * self._timeout
                narrower = part.half() and part.first(DAY) if is_last else part.half()
                if failures == 1 or (narrower is None and attempts == 1 and not is_last):
                    continue
                if (
                    narrower is None
                    or isinstance(error, IncompleteFileError)
                    or spent >= _MAX_TIMEOUTS * self._timeout
                ):
                    raise VoiceCallsError(
                        f"Talkdesk could not make the {self._jobs.type.name} report in "
                        f"{failures} attempts: {error}. {error.hint}"
                    ) from None
                part, attempts = narrower, 0
                self._logger.info("Talkdesk: trying the shorter window %s.", part)
            else:
                if part != window:
                    self._length = min(self._length, part.end - part.start)
                return part, file

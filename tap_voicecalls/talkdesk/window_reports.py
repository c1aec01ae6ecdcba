"""The reports of one window: one job, another one if it fails, then narrower windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.talkdesk.jobs import JobFailedError

if TYPE_CHECKING:
    from logging import Logger

    from tap_voicecalls.talkdesk.jobs import ReportJobs
    from tap_voicecalls.talkdesk.report_file import ReportFile
    from tap_voicecalls.talkdesk.windows import Window


@dataclass
class WindowReports:
    """The reports of one window: one, or several where the window had to be split.

    Attributes:
        parts: The reports that succeeded, in order of time, each with its own window.
        error: Why there are no more of them; None if they cover the window.
    """

    parts: list[tuple[Window, ReportFile]] = field(default_factory=list)
    error: VoiceCallsError | None = None


def report_window(window: Window, jobs: ReportJobs, logger: Logger) -> WindowReports:
    """Report a window, in several jobs if one does not succeed.

    A failed job is retried once. Then the window is split in two, since narrower reports succeed
    where wide ones fail.
    """
    reports = WindowReports()
    try:
        _add_reports(window, jobs, logger, reports)
    except VoiceCallsError as error:
        reports.error = error
    return reports


def _add_reports(window: Window, jobs: ReportJobs, logger: Logger, reports: WindowReports) -> None:
    for _ in range(2):
        try:
            reports.parts.append((window, jobs.run(window)))
        except JobFailedError as error:
            failure = error
            logger.warning("Talkdesk: %s.", error)
        else:
            return
    halves = window.halves()
    if halves is None:
        raise VoiceCallsError(
            f"Talkdesk could not make the {jobs.type.name} report for {window}: {failure}, and so "
            f"did the job before it. Run the tap again later; if the error persists, contact "
            f"Talkdesk's support with the ID of the job."
        )
    logger.info("Talkdesk: retrying %s in two halves.", window)
    for half in halves:
        _add_reports(half, jobs, logger, reports)

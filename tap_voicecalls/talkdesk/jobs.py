"""The life of a report job: create, poll, file.

From Talkdesk's documentation: "Execute a report", "Check a report status", "Download a report".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.client import read_json, same_origin
from tap_voicecalls.talkdesk.report_file import Job, ReportFile, read_answer
from tap_voicecalls.timestamps import format_duration, format_utc

if TYPE_CHECKING:
    from datetime import timedelta
    from logging import Logger

    import requests

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.http.oauth import BearerAuth
    from tap_voicecalls.talkdesk.windows import Window

JOBS = "/data/reports/calls/jobs"
FILES = "/data/reports/calls/files"

#: Seconds before the first look at a job (most reports take one or two) and at most between two.
MIN_POLL_INTERVAL = 1.0
MAX_POLL_INTERVAL = 30.0
#: For how many seconds a job, or the file of one that is done, may be unknown: it may be too new.
LONGEST_UNKNOWN = 60.0
#: How often a fresh URL of the file is asked for before the file counts as lost.
FILE_TRIES = 4
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
#: The API's answers to a job that is not ready, or not known (yet).
_NO_ANSWER = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})
#: A file store's answers to a presigned URL that has expired.
_EXPIRED = frozenset({400, 403, 404, 410})
_NEW_TOKEN = frozenset({401, 403})


class JobStatus(Enum):
    """The statuses of a report job; `sending` is the older Reporting API's."""

    CREATED = "created"
    PROCESSING = "processing"
    UPLOADING = "uploading"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    DELETED = "deleted"

    @property
    def is_failed(self) -> bool:
        """Whether the job ended without a file."""
        return self in {JobStatus.FAILED, JobStatus.CANCELED, JobStatus.DELETED}


class JobFailedError(Exception):
    """A job that will give no file."""


class _ExpiredError(Exception):
    """A presigned URL that the file store no longer takes."""


@dataclass
class WindowReports:
    """The reports of one window: one, or several where the window had to be cut.

    Attributes:
        parts: The reports that came, in order of time, each with its own window.
        error: Why there are no more of them; None if they cover the window.
    """

    parts: list[tuple[Window, ReportFile]] = field(default_factory=list)
    error: VoiceCallsError | None = None


class ReportJobs:
    """Makes reports of windows."""

    def __init__(
        self, *, url: str, api: ApiClient, auth: BearerAuth, timeout: timedelta, logger: Logger
    ) -> None:
        """Takes the way to the API; asks for nothing yet.

        Args:
            url: The API's base URL.
            api: Sends the requests.
            auth: The token.
            timeout: How long one job may take, from its creation to its file.
            logger: Takes a line for each surprise.
        """
        self._url = url
        self._api = api
        self._auth = auth
        self._timeout = timeout
        self._logger = logger

    def reports(self, window: Window) -> WindowReports:
        """Has a window reported, in several jobs if one does not succeed.

        A job that is lost is tried again once; then the window is cut in two, since narrower
        reports succeed where wide ones fail.
        """
        made = WindowReports()
        try:
            self._add_reports(window, made)
        except VoiceCallsError as error:
            made.error = error
        return made

    def _add_reports(self, window: Window, made: WindowReports) -> None:
        for _ in range(2):
            try:
                made.parts.append((window, self._report(window)))
            except JobFailedError as error:
                lost = error
                self._logger.warning("Talkdesk: %s.", error)
            else:
                return
        halves = window.halves()
        if halves is None:
            raise VoiceCallsError(
                f"Talkdesk can't make the calls report of {window}: {lost}, and a job before it "
                f"was lost too. Run the tap again later; if it stays so, give Talkdesk's support "
                f"the id of the job."
            )
        self._logger.info("Talkdesk: trying %s in two halves.", window)
        for half in halves:
            self._add_reports(half, made)

    def _report(self, window: Window) -> ReportFile:
        clock = self._api.clock
        job_id = self._create(window)
        created = clock.monotonic()
        pause, expired, odd, unknown_since = MIN_POLL_INTERVAL, 0, "", math.inf
        while True:
            self._api.wait(pause)
            pause = min(1.5 * pause, MAX_POLL_INTERVAL)
            waited = clock.monotonic() - created
            if waited >= self._timeout.total_seconds():
                raise JobFailedError(
                    f"job {job_id} of {window} was not done after {format_duration(waited)} "
                    f"(talkdesk_job_timeout_seconds)"
                )
            try:
                answer = self._look(job_id)
            except _ExpiredError as error:
                expired += 1
                if expired == FILE_TRIES:
                    raise JobFailedError(
                        f"the file of job {job_id} of {window} can't be had: {error}"
                    ) from None
                continue
            if isinstance(answer, ReportFile):
                return answer
            if answer is None:
                unknown_since = min(unknown_since, waited)
                if waited - unknown_since >= LONGEST_UNKNOWN:
                    raise JobFailedError(f"job {job_id} of {window} is not known any more")
                continue
            unknown_since = math.inf
            status = _status(answer)
            if status is None and answer.status != odd:
                odd = answer.status or ""
                self._logger.warning(
                    "Talkdesk: job %s has the unknown status %r; waiting on.", job_id, odd[:40]
                )
            elif status is not None and status.is_failed:
                raise JobFailedError(f"job {job_id} of {window} ended as {status.value}")

    def _look(self, job_id: str) -> ReportFile | Job | None:
        """Where a job has got to: its file, itself, or None where it is not known."""
        name = quote(job_id, safe="")
        answer = self._follow(f"{self._url}{JOBS}/{name}")
        if isinstance(answer, Job) and _status(answer) is JobStatus.DONE:
            # It said so without leading to the file.
            answer = self._follow(f"{self._url}{FILES}/{name}")
        return answer

    def _create(self, window: Window) -> str:
        body = {
            "name": "tap-voicecalls",
            # At the top level: inside `timespan` it would be ignored.
            "timezone": "UTC",
            "format": "json",
            "timespan": {"from": format_utc(window.start), "to": format_utc(window.end)},
        }
        answer = self._api.send(
            "POST",
            f"{self._url}{JOBS}",
            read_json,
            auth=self._auth,
            accept={HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED},
            new_token_on=_NEW_TOKEN,
            json=body,
        )
        job = answer.get("job", answer)
        job_id = job.get("id") if isinstance(job, dict) else None
        if not isinstance(job_id, str | int) or not job_id:
            raise VoiceCallsError(
                f"Talkdesk made a report job of {window} without telling its id. Check "
                f"talkdesk_api_url; if it is right, ask Talkdesk's support."
            )
        return str(job_id)

    def _follow(self, url: str) -> ReportFile | Job | None:
        """What a URL of a job leads to, however many redirects away.

        Raises:
            _ExpiredError: The file store refused its presigned URL.
        """
        for _ in range(_MOST_REDIRECTS):
            own = same_origin(url, self._url)
            status, location, found = self._api.send(
                "GET",
                url,
                _read,
                # The file store refuses a token, and it is none of its business.
                auth=self._auth if own else None,
                accept={HTTPStatus.OK, *_REDIRECTS, *(_NO_ANSWER if own else _EXPIRED)},
                new_token_on=_NEW_TOKEN if own else (),
            )
            if status not in _REDIRECTS:
                if found is None and not own:
                    raise _ExpiredError(f"the file store answered {status}")
                return found
            if not location:
                return Job(status=JobStatus.DONE.value)
            try:
                url = urljoin(url, location)
            except ValueError:
                raise VoiceCallsError(
                    "Talkdesk redirects a report's file to what is no URL. Try again later."
                ) from None
        raise VoiceCallsError("Talkdesk redirects a report's file in a circle. Try again later.")


def _read(response: requests.Response) -> tuple[int, str | None, ReportFile | Job | None]:
    """An answer's status, where it redirects to, and what it holds."""
    status = response.status_code
    found: ReportFile | Job | None = None
    if status == HTTPStatus.OK:
        found = read_answer(response)
    elif status == HTTPStatus.NO_CONTENT:
        found = Job(status=JobStatus.PROCESSING.value)
    return status, response.headers.get("Location"), found


def _status(job: Job) -> JobStatus | None:
    try:
        return JobStatus((job.status or "").lower())
    except ValueError:
        return None

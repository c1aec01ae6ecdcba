"""The life of a report job: create, poll, download.

From Talkdesk's documentation: "Execute a report", "Check a report status", "Download a report".
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import read_json_object
from tap_voicecalls.http.status_errors import retry_after
from tap_voicecalls.http.urls import host_of, origin, same_origin
from tap_voicecalls.talkdesk.report_file import ReportFile, read_status_or_report
from tap_voicecalls.talkdesk.report_parser import IncompleteReportError
from tap_voicecalls.timestamps import MAX_UTC_OFFSET, format_duration, format_utc, parse_timestamp

if TYPE_CHECKING:
    from logging import Logger
    from threading import Event
    from typing import Any

    import requests

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.http.oauth import BearerAuth
    from tap_voicecalls.talkdesk.job_slots import JobSlots
    from tap_voicecalls.talkdesk.report_types import ReportType
    from tap_voicecalls.talkdesk.windows import Window

#: Seconds before the first poll (most reports take one or two), and at most between two polls.
MIN_POLL_INTERVAL = 1.0
MAX_POLL_INTERVAL = 30.0
#: For how many seconds a job, or the file of a finished one, may be unknown: it may be too new.
MAX_MISSING = 60.0
#: How many presigned URLs of a file are tried, and how often a file that is not complete.
DOWNLOAD_ATTEMPTS = 4
COMPLETE_ATTEMPTS = 2
#: For how many (real) seconds the cancellation of a job is waited for.
CANCEL_TIMEOUT = 2.0
#: How far the timespan that a job states may be from its window's.
_MAX_ROUNDING = timedelta(minutes=1)
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
#: The API's responses for a job that is not ready, or not known (yet).
_NOT_READY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})
#: A file store's responses for a presigned URL that has expired.
_EXPIRED = frozenset({400, 403, 404, 410})
#: An ID that is safe in a URL and in a message; documented are UUIDs and hexadecimal digits.
_is_job_id = re.compile(r"[!-~]{0,100}[0-9A-Za-z][!-~]{0,100}").fullmatch


class JobStatus(Enum):
    """The status of a report job; `sending` is the older Reporting API's."""

    CREATED = "created"
    PROCESSING = "processing"
    UPLOADING = "uploading"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    DELETED = "deleted"

    @classmethod
    def parse(cls, text: str) -> JobStatus | None:
        """Return the status with this name in any case, or None for an unknown one."""
        try:
            return cls(text.lower())
        except ValueError:
            return None

    @property
    def is_failed(self) -> bool:
        """Whether the job ended without a file."""
        return self in {JobStatus.FAILED, JobStatus.CANCELED, JobStatus.DELETED}


class JobFailedError(Exception):
    """A job that gave no report; another one may.

    Attributes:
        hint: What to do if none does.
        duration: How long it ran.
    """

    hint = (
        "Run the tap again later; if the error persists, contact Talkdesk's support with the ID "
        "of the job."
    )
    duration = timedelta()


class JobTimeoutError(JobFailedError):
    """A job that was not done in time."""

    hint = (
        "Reduce talkdesk_window_days or raise talkdesk_job_timeout_seconds. If neither helps, "
        "contact Talkdesk's support with the ID of the job."
    )


class IncompleteFileError(JobFailedError):
    """A job whose file is not complete, however often it is downloaded."""


class _ExpiredUrlError(Exception):
    """A presigned URL that the file store no longer accepts."""


@dataclass
class _Job:
    """What was wrong with the responses for a job so far. Each check raises if it is too much."""

    name: str
    logger: Logger
    expired: int = 0
    incomplete: int = 0
    missing_since: float = math.inf
    unknown_status: str = ""

    def check_expired(self, error: _ExpiredUrlError) -> None:
        self.expired += 1
        if self.expired == DOWNLOAD_ATTEMPTS:
            raise JobFailedError(f"the file of {self.name} could not be downloaded: {error}")

    def check_incomplete(self, error: IncompleteReportError) -> None:
        self.incomplete += 1
        message = f"the report of {self.name} is not complete: {error}"
        if self.incomplete == COMPLETE_ATTEMPTS:
            raise IncompleteFileError(message)
        self.logger.warning("Talkdesk: %s; downloading it again.", message)

    def check_status(self, text: str | None, elapsed: float) -> None:
        """Check the status of a job; None if there is no such job."""
        status = JobStatus.parse(text) if text else None
        if text is None or status is JobStatus.DONE:
            self.missing_since = min(self.missing_since, elapsed)
            if elapsed - self.missing_since >= MAX_MISSING:
                problem = "no longer exists" if text is None else "is done and has no file"
                raise JobFailedError(f"{self.name} {problem}")
            return
        self.missing_since = math.inf
        if isinstance(status, JobStatus):
            if status.is_failed:
                raise JobFailedError(f"{self.name} ended as {status.value}")
        elif text != self.unknown_status:
            self.unknown_status = text
            self.logger.warning(
                "Talkdesk: %s has the unknown status %a; still waiting.", self.name, text[:40]
            )


@dataclass(frozen=True)
class _Rejection:
    """A 429 on creating a job: the account's quota of jobs is used up."""

    retry_after: float | None


class ReportJobs:
    """Runs the report jobs of one type."""

    def __init__(  # noqa: PLR0913
        self,
        report_type: ReportType,
        *,
        url: str,
        client: ApiClient,
        cancel_client: ApiClient,
        auth: BearerAuth,
        slots: JobSlots,
        stop: Event,
        logger: Logger,
    ) -> None:
        """Prepare the jobs; nothing is sent yet.

        Args:
            report_type: The type of report.
            url: The API's base URL.
            client: Sends the requests until `stop` is set.
            cancel_client: Sends a request once.
            auth: The token.
            slots: Limits how many jobs run at once.
            stop: Is set by `stop`.
            logger: Gets a line for each anomaly.
        """
        self.type = report_type
        self._base = url
        self._client = client
        self._cancel_client = cancel_client
        self._auth = auth
        self._slots = slots
        self._stop = stop
        self._logger = logger
        self._used: set[str] = set()

    @property
    def created(self) -> int:
        """How many jobs were created."""
        return len(self._used)

    def stop(self) -> None:
        """End the jobs that are running: their reports are not wanted any more."""
        self._stop.set()
        self._slots.wake()

    def authenticate(self) -> None:
        """Fetch a token, unless there is one.

        Raises:
            VoiceCallsError: The credentials are rejected, or the request still fails after retries.
        """
        self._auth.token()

    def run(self, window: Window, timeout: timedelta) -> ReportFile:
        """Run one job and return its file.

        Raises:
            JobFailedError: The job failed; another one may succeed.
            VoiceCallsError: No job can succeed.
        """
        clock = self._client.clock
        with self._slots.hold(self._stop):
            job_id = self._create(window)
            created = clock.monotonic()
            try:
                return self._wait_for_file(job_id, window, timeout.total_seconds())
            except JobFailedError as error:
                error.duration = timedelta(seconds=clock.monotonic() - created)
                if isinstance(error, JobTimeoutError):
                    self._cancel(job_id)
                raise
            except VoiceCallsError:
                self._cancel(job_id)
                raise

    def _wait_for_file(self, job_id: str, window: Window, timeout: float) -> ReportFile:
        clock = self._client.clock
        created = clock.monotonic()
        job = _Job(f"job {job_id} for {window}", self._logger)
        interval = MIN_POLL_INTERVAL
        while (elapsed := clock.monotonic() - created) < timeout:
            self._client.sleep(min(interval, timeout - elapsed))
            interval = min(1.5 * interval, MAX_POLL_INTERVAL)
            try:
                result = self._poll(job_id)
            except _ExpiredUrlError as error:
                job.check_expired(error)
            except IncompleteReportError as error:
                job.check_incomplete(error)
            else:
                if isinstance(result, ReportFile):
                    return result
                job.check_status(result, clock.monotonic() - created)
        raise JobTimeoutError(f"{job.name} was not done after {format_duration(timeout)}")

    def _cancel(self, job_id: str) -> None:
        """Cancel a job, so that it does not use up the account's quota. Best effort."""

        def send() -> None:
            with suppress(VoiceCallsError):
                self._cancel_client.send(
                    "DELETE",
                    self._job_url(job_id),
                    lambda _: None,
                    auth=self._auth,
                    accept=range(100, 600),
                )

        # In a thread, because no one may wait longer for it.
        thread = Thread(target=send, name=f"cancel {job_id}", daemon=True)
        thread.start()
        thread.join(CANCEL_TIMEOUT)

    def _create(self, window: Window) -> str:
        """Create a job and return its ID.

        Raises:
            JobFailedError: The response is about the job of another window.
            VoiceCallsError: No job can be created.
        """
        body = {
            "name": "tap-voicecalls",
            # At the top level: inside `timespan` it would be ignored.
            "timezone": "UTC",
            "format": "json",
            "timespan": {"from": format_utc(window.start), "to": format_utc(window.end)},
        }
        while True:
            created = self._client.send(
                "POST",
                f"{self._base}{self.type.jobs_path}",
                self._parse_created,
                auth=self._auth,
                accept={
                    HTTPStatus.OK,
                    HTTPStatus.CREATED,
                    HTTPStatus.ACCEPTED,
                    HTTPStatus.TOO_MANY_REQUESTS,
                },
                json=body,
            )
            if not isinstance(created, _Rejection):
                break
            if wait := self._slots.refused(created.retry_after, self._stop):
                self._logger.warning(
                    "Talkdesk: rate limit reached (429 Too Many Requests): the account's quota of "
                    "report jobs is used up; retrying in %s.",
                    format_duration(wait),
                )
                with self._client.usage.waiting():
                    self._client.sleep(wait)
        self._slots.accepted()
        job = created.get("job", created)
        job_id = job.get("id") if isinstance(job, dict) else None
        if isinstance(job_id, int) and not isinstance(job_id, bool):
            job_id = str(job_id)
        if not isinstance(job_id, str) or not _is_job_id(job_id):
            raise VoiceCallsError(
                f"Talkdesk created a report job for {window} without a valid ID. Check "
                f"talkdesk_api_url; if it is right, contact Talkdesk's support."
            )
        if job_id in self._used or not _may_cover(job.get("timespan"), window):
            raise JobFailedError(f"job {job_id} for {window} is another window's")
        self._used.add(job_id)
        return job_id

    def _parse_created(self, response: requests.Response) -> dict[str, Any] | _Rejection:
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return _Rejection(retry_after(response, self._client.clock.now()))
        return read_json_object(response)

    def _job_url(self, job_id: str) -> str:
        return f"{self._base}{self.type.jobs_path}/{quote(job_id, safe='')}"

    def _poll(self, job_id: str) -> ReportFile | str | None:
        """Return a job's file, or its status, or None where the job is not known."""
        result = self._follow(self._job_url(job_id))
        if isinstance(result, str) and JobStatus.parse(result) is JobStatus.DONE:
            # Done, without a redirect to the file.
            name = quote(job_id, safe="")
            result = self._follow(f"{self._base}{self.type.files_path}/{name}")
        return result

    def _follow(self, url: str) -> ReportFile | str | None:
        """Return what a URL of a job leads to, however many redirects away.

        Raises:
            IncompleteReportError: The report is not complete.
            _ExpiredUrlError: The file store rejected its presigned URL.
        """
        for _ in range(_MAX_REDIRECTS):
            is_own = same_origin(url, self._base)
            status, location, result = self._client.send(
                "GET",
                url,
                _parse,
                # The file store rejects a token, and must not see it.
                auth=self._auth if is_own else None,
                accept={HTTPStatus.OK, *_REDIRECTS, *(_NOT_READY if is_own else _EXPIRED)},
            )
            if status not in _REDIRECTS:
                if result is None and not is_own:
                    raise _ExpiredUrlError(f"the file store returned {status}")
                return result
            if not location:
                return JobStatus.DONE.value
            url = self._redirect_target(url, location)
        raise VoiceCallsError("Talkdesk redirects a report's file in a loop. Try again later.")

    def _redirect_target(self, url: str, location: str) -> str:
        """Return the URL of a redirect: an HTTPS URL, unless the API itself has none."""
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        found, own = origin(target), origin(self._base)
        if found is None or found[0] not in {"https", own and own[0]}:
            raise VoiceCallsError(
                f"Talkdesk redirects a report's file to {host_of(target)}, not to a valid https "
                f"URL. Check talkdesk_api_url, and HTTPS_PROXY if it is set; if they are right, "
                f"contact Talkdesk's support."
            )
        return target


def _may_cover(timespan: object, window: Window) -> bool:
    """Whether the timespan that a job states, if it does, can be a window's or more.

    No document says in which time zone it is stated, if not in UTC, nor whether it is rounded.
    """
    try:
        bounds = [timespan[bound] for bound in ("from", "to")]  # type: ignore[index]
        start, end = map(parse_timestamp, bounds)
        is_utc = all(text.endswith(("Z", "z")) for text in bounds)
    except (AttributeError, KeyError, TypeError, ValueError):
        return True
    leeway = _MAX_ROUNDING if is_utc else MAX_UTC_OFFSET
    return start - leeway <= window.start and window.end <= end + leeway


def _parse(response: requests.Response) -> tuple[int, str | None, ReportFile | str | None]:
    """Return a response's status, where it redirects to, and what it holds."""
    status = response.status_code
    result: ReportFile | str | None = None
    if status == HTTPStatus.OK:
        result = read_status_or_report(response)
    elif status == HTTPStatus.NO_CONTENT:
        result = JobStatus.PROCESSING.value
    return status, response.headers.get("Location"), result

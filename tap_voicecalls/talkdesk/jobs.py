"""The life of a report job: create, poll, download.

From Talkdesk's documentation: "Execute a report", "Check a report status", "Download a report".
"""

from __future__ import annotations

import math
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import read_json_object
from tap_voicecalls.http.urls import same_origin
from tap_voicecalls.talkdesk.report_file import ReportFile, read_status_or_report
from tap_voicecalls.timestamps import format_duration, format_utc

if TYPE_CHECKING:
    from datetime import timedelta
    from logging import Logger

    import requests

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.http.oauth import BearerAuth
    from tap_voicecalls.talkdesk.report_types import ReportType
    from tap_voicecalls.talkdesk.windows import Window

#: Seconds before the first poll (most reports take one or two), and at most between two polls.
MIN_POLL_INTERVAL = 1.0
MAX_POLL_INTERVAL = 30.0
#: For how many seconds a job, or the file of a finished one, may be unknown: it may be too new.
MAX_UNKNOWN = 60.0
#: How many presigned URLs of a file are tried.
DOWNLOAD_ATTEMPTS = 4
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
#: The API's responses for a job that is not ready, or not known (yet).
_NOT_READY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})
#: A file store's responses for a presigned URL that has expired.
_EXPIRED = frozenset({400, 403, 404, 410})


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
    """A job that will never have a file."""


class _ExpiredUrlError(Exception):
    """A presigned URL that the file store no longer accepts."""


class ReportJobs:
    """Runs the report jobs of one type."""

    def __init__(  # noqa: PLR0913
        self,
        report_type: ReportType,
        *,
        url: str,
        client: ApiClient,
        auth: BearerAuth,
        timeout: timedelta,
        logger: Logger,
    ) -> None:
        """Prepare the jobs; nothing is sent yet.

        Args:
            report_type: The type of report.
            url: The API's base URL.
            client: Sends the requests.
            auth: The token.
            timeout: How long one job may take, from its creation to its file.
            logger: Gets a line for each anomaly.
        """
        self.type = report_type
        self._base = url
        self._client = client
        self._auth = auth
        self._timeout = timeout
        self._logger = logger

    def run(self, window: Window) -> ReportFile:
        """Run one job and return its file.

        Raises:
            JobFailedError: The job failed; another one may succeed.
            VoiceCallsError: No job can succeed.
        """
        clock = self._client.clock
        job_id = self._create(window)
        created = clock.monotonic()
        interval, expired, unknown_status, unknown_since = MIN_POLL_INTERVAL, 0, "", math.inf
        while True:
            self._client.sleep(interval)
            interval = min(1.5 * interval, MAX_POLL_INTERVAL)
            elapsed = clock.monotonic() - created
            if elapsed >= self._timeout.total_seconds():
                raise JobFailedError(
                    f"job {job_id} for {window} was not done after {format_duration(elapsed)} "
                    f"(talkdesk_job_timeout_seconds)"
                )
            try:
                result = self._poll(job_id)
            except _ExpiredUrlError as error:
                expired += 1
                if expired == DOWNLOAD_ATTEMPTS:
                    raise JobFailedError(
                        f"the file of job {job_id} for {window} could not be downloaded: {error}"
                    ) from None
                continue
            if isinstance(result, ReportFile):
                return result
            if result is None:
                unknown_since = min(unknown_since, elapsed)
                if elapsed - unknown_since >= MAX_UNKNOWN:
                    raise JobFailedError(f"job {job_id} for {window} no longer exists")
                continue
            unknown_since = math.inf
            status = JobStatus.parse(result)
            if status is None and result != unknown_status:
                unknown_status = result
                self._logger.warning(
                    "Talkdesk: job %s has the unknown status %r; still waiting.",
                    job_id,
                    result[:40],
                )
            elif status is not None and status.is_failed:
                raise JobFailedError(f"job {job_id} for {window} ended as {status.value}")

    def _create(self, window: Window) -> str:
        body = {
            "name": "tap-voicecalls",
            # At the top level: inside `timespan` it would be ignored.
            "timezone": "UTC",
            "format": "json",
            "timespan": {"from": format_utc(window.start), "to": format_utc(window.end)},
        }
        created = self._client.send(
            "POST",
            f"{self._base}{self.type.jobs_path}",
            read_json_object,
            auth=self._auth,
            accept={HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED},
            json=body,
        )
        job = created.get("job", created)
        job_id = job.get("id") if isinstance(job, dict) else None
        if not isinstance(job_id, str | int) or not job_id:
            raise VoiceCallsError(
                f"Talkdesk created a report job for {window} without an ID. Check "
                f"talkdesk_api_url; if it is right, contact Talkdesk's support."
            )
        return str(job_id)

    def _poll(self, job_id: str) -> ReportFile | str | None:
        """Return a job's file, or its status, or None where the job is not known."""
        name = quote(job_id, safe="")
        result = self._follow(f"{self._base}{self.type.jobs_path}/{name}")
        if isinstance(result, str) and JobStatus.parse(result) is JobStatus.DONE:
            # Done, without a redirect to the file.
            result = self._follow(f"{self._base}{self.type.files_path}/{name}")
        return result

    def _follow(self, url: str) -> ReportFile | str | None:
        """Return what a URL of a job leads to, however many redirects away.

        Raises:
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
            try:
                url = urljoin(url, location)
            except ValueError:
                raise VoiceCallsError(
                    "Talkdesk redirects a report's file to an invalid URL. Try again later."
                ) from None
        raise VoiceCallsError("Talkdesk redirects a report's file in a loop. Try again later.")


def _parse(response: requests.Response) -> tuple[int, str | None, ReportFile | str | None]:
    """Return a response's status, where it redirects to, and what it holds."""
    status = response.status_code
    result: ReportFile | str | None = None
    if status == HTTPStatus.OK:
        result = read_status_or_report(response)
    elif status == HTTPStatus.NO_CONTENT:
        result = JobStatus.PROCESSING.value
    return status, response.headers.get("Location"), result

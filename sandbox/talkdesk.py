"""A fake Talkdesk: the token endpoint and the report jobs of the Explore API.

Follows Talkdesk's documentation ("Calls Report", "Execute a report", "Check a report status",
"Download a report", "Client credentials") and published responses of real accounts. The rows of
the reports are in `talkdesk_reports.py`.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.client_key import ClientKey
from sandbox.file_store import FileStore
from sandbox.history import format_utc
from sandbox.report_job import RUNNING, Job
from sandbox.talkdesk_reports import REPORTS, ReportRows
from sandbox.web import Tokens, json_response, read_json_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Faults
    from sandbox.history import History, Row
    from sandbox.talkdesk_reports import TimespanBy
    from sandbox.web import Clock

MAX_TIMESPAN = timedelta(days=31)
#: The reports whose files are documented, and have a type and a version; the others' were seen
#: without.
_DOCUMENTED = {"calls", "user_status"}


def jobs_path(report: str) -> str:
    """Return the path of a report's jobs."""
    return f"/data/reports/{report}/jobs"


def files_path(report: str) -> str:
    """Return the path of a report's files."""
    return f"/data/reports/{report}/files"


#: The paths of the report `calls`.
JOBS, FILES = jobs_path("calls"), files_path("calls")


class Talkdesk:
    """A Talkdesk account.

    Attributes:
        api_url: The base URL of the API.
        token_url: The URL of the token endpoint.
        files: The file store.
        reports: The rows of the reports.
        jobs: The report jobs so far, by id.
        granted_scope: The `scope` of a token response.
        done_status: The HTTP status of the response for a finished job: 303, 302, 300 or 200.
        file_direct: Whether `files/{id}` returns the file instead of a redirect to it.
    """

    client_id = "sandbox-talkdesk-client"
    client_secret = "sandbox-talkdesk-secret-d1f4"  # noqa: S105 - fake
    key_id = ClientKey.id

    def __init__(  # noqa: PLR0913
        self,
        history: History,
        *,
        clock: Clock,
        faults: Faults,
        timespan_by: TimespanBy,
        job_seconds: float | Callable[[datetime, datetime], float],
        job_quota: int,
        job_body: str,
        location: str,
        token_seconds: float,
        file_url_seconds: float,
    ) -> None:
        """Create an account with a call history.

        Args:
            history: The calls of the account.
            clock: Returns the current Unix time.
            faults: The faults that report jobs are subject to.
            timespan_by: Whether a report's timespan selects rows by their start or their end.
            job_seconds: The duration of a report job, or a function of its window.
            job_quota: The maximum number of running jobs.
            job_body: Whether a job is returned `nested` in `job`, or `flat`.
            location: Whether the `Location` of a finished job is `absolute` or `relative`.
            token_seconds: The lifetime of a token.
            file_url_seconds: The lifetime of a presigned URL.
        """
        self.api_url = self.token_url = ""
        self.granted_scope = "data-reports:read data-reports:write"
        self.done_status = 303
        self.file_direct = False
        self.jobs: dict[str, Job] = {}
        self.reports = ReportRows(history.talkdesk_calls, timespan_by=timespan_by)
        self._clock = clock
        self._faults = faults
        self._job_seconds = job_seconds
        self._job_quota = job_quota
        self._job_body = job_body
        self._location = location
        self._token_seconds = token_seconds
        self._tokens = Tokens(clock)
        self._key = ClientKey()
        self.public_key = self._key.public
        self.private_key = self._key.private
        self.private_key_pem = self._key.private_pem
        self.files = FileStore(clock=clock, url_seconds=file_url_seconds)

    @property
    def calls(self) -> dict[str, Row]:
        """The latest version of each call, by call_id."""
        return self.reports.calls.rows

    @property
    def rows(self) -> dict[str, dict[Any, Row]]:
        """The rows so far, by report and key."""
        now = _from_epoch(self._clock())
        return {name: self.reports.all(name, now) for name in REPORTS}

    def put_call(self, row: Row, visible_at: float | None = None) -> None:
        """Insert or replace a call, visible from `visible_at` (Unix time) or immediately."""
        self.reports.calls.put(row, visible_at)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were issued."""
        return self._tokens

    @property
    def files_url(self) -> str:
        """The base URL of the file store."""
        return self.files.url

    # Identity service

    def add_token_routes(self, app: web.Application) -> None:
        """Add the token endpoint to an application."""
        app.router.add_post("/oauth/token", self._token)

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400)
        if not (self._has_client_secret(request) or self._has_valid_assertion(form)):
            description = "Client authentication failed."
            return json_response({"error": "invalid_client", "error_description": description}, 401)
        return json_response(
            {
                "access_token": self._tokens.issue(self._token_seconds),
                "token_type": "Bearer",
                "expires_in": int(self._token_seconds),
                "scope": self.granted_scope,
            }
        )

    def _has_client_secret(self, request: web.Request) -> bool:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {basic}"

    def _has_valid_assertion(self, form: dict[str, str]) -> bool:
        return self._key.verify_assertion(
            form, client_id=self.client_id, audience=self.token_url, now=self._clock()
        )

    # Explore API

    def add_api_routes(self, app: web.Application) -> None:
        """Add the endpoints of the Explore API to an application."""
        names = f"{{report:{'|'.join(REPORTS)}}}"
        jobs, files = jobs_path(names), files_path(names)
        app.router.add_post(jobs, self._create)
        app.router.add_get(jobs + "/{id}", self._status)
        app.router.add_get(files + "/{id}", self._file)
        app.router.add_delete(jobs + "/{id}", self._cancel)
        app.router.add_delete(files + "/{id}", self._delete)
        app.on_response_prepare.append(_add_trace_id)

    def _check_token(self, request: web.Request) -> web.Response | None:
        """Return an error response, or None if the access token is valid."""
        if self._tokens.is_valid(request.headers.get("Authorization", "")):
            return None
        return _error(401, "0490001", "Unauthorized", "The access token is not valid.")

    async def _create(self, request: web.Request) -> web.Response:
        if unauthorized := self._check_token(request):
            return unauthorized
        report = request.match_info["report"]
        body = await read_json_object(request)
        now = self._clock()
        for field, accepted in (("format", {"json"}), ("timezone", {"UTC"})):
            if body.get(field) not in accepted:
                return _invalid(field, f"must be one of {accepted}")
        try:
            start, end = (_parse_utc(body["timespan"][bound]) for bound in ("from", "to"))
        except (KeyError, TypeError, ValueError):
            return _invalid("timespan", "from and to must be timestamps")
        if start >= end or end.timestamp() > now or end - start > MAX_TIMESPAN:
            return _invalid("timespan", "must be in the past, and at most a month")
        if sum(job.status(now) in RUNNING for job in self.jobs.values()) >= self._job_quota:
            return _error(429, "0490029", "Too many requests", "Too many simultaneous reports.")
        fault = self._faults.for_job(request.path, start, end)
        seconds = self._job_seconds
        job = Job(
            id=secrets.token_hex(16),
            report=report,
            from_=start,
            to=end,
            created_at=now,
            seconds=seconds(start, end) if callable(seconds) else seconds,
            final_status=fault.job_status if fault else "done",
            entries=self.reports.between(report, start, end, _from_epoch(now)),
        )
        self.jobs[job.id] = job
        return json_response(self._render_job(job, "created"), 202)

    async def _status(self, request: web.Request) -> web.Response:
        if unauthorized := self._check_token(request):
            return unauthorized
        job = self._find_job(request)
        if job is None:
            return web.Response(status=404, text="404 Not Found")
        status = job.status(self._clock())
        response = json_response(self._render_job(job, status))
        if status == "done" and self.done_status != HTTPStatus.OK:
            response.set_status(self.done_status)
            base_url = "" if self._location == "relative" else self.api_url
            response.headers["Location"] = f"{base_url}{files_path(job.report)}/{job.id}"
        return response

    async def _file(self, request: web.Request) -> web.Response:
        if unauthorized := self._check_token(request):
            return unauthorized
        job = self._find_job(request)
        status = job.status(self._clock()) if job else "unknown"
        if job is None or status not in {*RUNNING, "done"}:
            return web.Response(status=404, text="404 Not Found")
        if status != "done":
            return json_response(self._render_job(job, status))
        if self.file_direct:
            return json_response(_report(job))
        url = self.files.presign(job.report, f"{job.id}_0.json", lambda: _report(job))
        text = f"This resource has been moved temporarily to {url}."
        return web.Response(status=303, text=text, headers={"Location": url})

    async def _cancel(self, request: web.Request) -> web.Response:
        return self._end_job(request, "canceled")

    async def _delete(self, request: web.Request) -> web.Response:
        return self._end_job(request, "deleted")

    def _end_job(self, request: web.Request, status: str) -> web.Response:
        if unauthorized := self._check_token(request):
            return unauthorized
        job = self._find_job(request)
        if job is None:
            return web.Response(status=404, text="404 Not Found")
        job.end(status, self._clock())
        return web.Response(status=204)

    def _find_job(self, request: web.Request) -> Job | None:
        job = self.jobs.get(request.match_info["id"])
        return job if job and job.report == request.match_info["report"] else None

    def _render_job(self, job: Job, status: str) -> dict[str, Any]:
        body = {
            "id": job.id,
            "name": job.report.capitalize(),
            "created_at": format_utc(_from_epoch(job.created_at))[:-1],
            "status": status,
            "type": job.report,
            "format": "json",
            "timezone": "UTC",
            "timespan": {"from": format_utc(job.from_), "to": format_utc(job.to)},
        }
        if self._job_body == "flat":
            return body
        links = {
            "self": {"href": f"{self.api_url}{jobs_path(job.report)}/{job.id}"},
            "files": {"href": f"{self.api_url}{files_path(job.report)}/{job.id}"},
        }
        return {"job": body, "_links": links}


async def _add_trace_id(request: web.Request, response: web.StreamResponse) -> None:
    """Add the header with the trace id that Talkdesk's support needs."""
    response.headers.setdefault("platform-tid", f"sandbox-{id(request):x}")


def _report(job: Job) -> dict[str, Any]:
    envelope = {"type": job.report, "version": "v1"} if job.report in _DOCUMENTED else {}
    return {**envelope, "entries": job.entries, "total": len(job.entries)}


def _parse_utc(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def _from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _invalid(name: str, description: str) -> web.Response:
    return json_response(
        {
            "code": "0490000",
            "message": "input parameters validation failed",
            "description": "One of the fields is not valid.",
            "fields": [{"name": name, "description": description}],
        },
        400,
    )


def _error(status: int, code: str, message: str, description: str) -> web.Response:
    return json_response({"code": code, "message": message, "description": description}, status)

"""Talkdesk on loopback: the token endpoint and the report jobs of Explore.

After Talkdesk's documentation ("Calls Report", "Execute a report", "Check a report status",
"Download a report", "Client credentials") and answers of real accounts that were published.
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
from sandbox.history import utc
from sandbox.report_job import RUNNING, Job
from sandbox.table import Table
from sandbox.web import Tokens, answer, sent_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Faults
    from sandbox.history import History, Row
    from sandbox.web import Clock

JOBS = "/data/reports/calls/jobs"
FILES = "/data/reports/calls/files"
LONGEST_WINDOW = timedelta(days=31)


class Talkdesk:
    """One account.

    Attributes:
        api_url: The API's base URL.
        token_url: The token endpoint.
        files: The file store.
        jobs: The report jobs so far, by id.
        granted_scope: The scopes that a token's answer lists.
        done_status: With which status a job that is done is answered: 303, 302, 300 or 200.
        file_direct: Whether `files/{id}` gives the file itself instead of redirecting to it.
    """

    client_id = "sandbox-talkdesk-client"
    client_secret = "sandbox-talkdesk-secret-d1f4"  # noqa: S105 - of nothing
    key_id = ClientKey.id

    def __init__(  # noqa: PLR0913
        self,
        history: History,
        *,
        clock: Clock,
        faults: Faults,
        timespan_field: str,
        job_seconds: float | Callable[[datetime, datetime], float],
        job_quota: int,
        job_body: str,
        location: str,
        token_seconds: float,
        file_url_seconds: float,
    ) -> None:
        """Takes what happened; serves nothing yet."""
        self.api_url = self.token_url = ""
        self.granted_scope = "data-reports:read data-reports:write"
        self.done_status = 303
        self.file_direct = False
        self.jobs: dict[str, Job] = {}
        self._table = Table(history.talkdesk_calls, key="call_id", time=timespan_field)
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
        return self._table.rows

    def put_call(self, row: Row, visible_at: float | None = None) -> None:
        """Adds or replaces a call; it may become visible later."""
        self._table.put(row, visible_at)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were given out."""
        return self._tokens

    @property
    def files_url(self) -> str:
        """The file store's base URL."""
        return self.files.url

    # The identity service

    def add_token_routes(self, app: web.Application) -> None:
        """Puts the token endpoint into an application."""
        app.router.add_post("/oauth/token", self._token)

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form.get("grant_type") != "client_credentials":
            return answer({"error": "unsupported_grant_type"}, 400)
        if not (self._has_secret(request) or self._has_assertion(form)):
            said = "Client authentication failed."
            return answer({"error": "invalid_client", "error_description": said}, 401)
        return answer(
            {
                "access_token": self._tokens.issue(self._token_seconds),
                "token_type": "Bearer",
                "expires_in": int(self._token_seconds),
                "scope": self.granted_scope,
            }
        )

    def _has_secret(self, request: web.Request) -> bool:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {basic}"

    def _has_assertion(self, form: dict[str, str]) -> bool:
        return self._key.has_signed(
            form, client_id=self.client_id, audience=self.token_url, now=self._clock()
        )

    # The API

    def add_api_routes(self, app: web.Application) -> None:
        """Puts the Explore API into an application."""
        app.router.add_post(JOBS, self._create)
        app.router.add_get(JOBS + "/{id}", self._status)
        app.router.add_get(FILES + "/{id}", self._file)
        app.router.add_delete(JOBS + "/{id}", self._delete)
        app.router.add_delete(FILES + "/{id}", self._delete)
        app.on_response_prepare.append(_identify)

    def _refuse(self, request: web.Request) -> web.Response | None:
        if self._tokens.is_good(request.headers.get("Authorization", "")):
            return None
        return _error(401, "0490001", "Unauthorized", "The access token is not valid.")

    async def _create(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        body = await sent_object(request)
        now = self._clock()
        for field, accepted in (("format", {"json"}), ("timezone", {"UTC"})):
            if body.get(field) not in accepted:
                return _invalid(field, f"must be one of {accepted}")
        try:
            start, end = (_time(body["timespan"][edge]) for edge in ("from", "to"))
        except (KeyError, TypeError, ValueError):
            return _invalid("timespan", "from and to must be times")
        if start >= end or end.timestamp() > now or end - start > LONGEST_WINDOW:
            return _invalid("timespan", "must be in the past, and at most a month")
        if sum(job.status(now) in RUNNING for job in self.jobs.values()) >= self._job_quota:
            return _error(429, "0490029", "Too many requests", "Too many simultaneous reports.")
        fault = self._faults.for_job(request.path, start, end)
        seconds = self._job_seconds
        job = Job(
            id=secrets.token_hex(16),
            from_=start,
            to=end,
            created_at=now,
            seconds=seconds(start, end) if callable(seconds) else seconds,
            ends_as=fault.job_status if fault else "done",
            entries=[
                row
                for row in self._table.between(_second(start), _second(end), now=now)
                if row["end_at"] is None or row["end_at"] <= utc(_moment(now))
            ],
        )
        self.jobs[job.id] = job
        return answer(self._describe(job, "created"), 202)

    async def _status(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return web.Response(status=404, text="404 Not Found")
        status = job.status(self._clock())
        described = answer(self._describe(job, status))
        if status == "done" and self.done_status != HTTPStatus.OK:
            described.set_status(self.done_status)
            here = "" if self._location == "relative" else self.api_url
            described.headers["Location"] = f"{here}{FILES}/{job.id}"
        return described

    async def _file(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        job = self.jobs.get(request.match_info["id"])
        status = job.status(self._clock()) if job else "unknown"
        if job is None or status not in {*RUNNING, "done"}:
            return web.Response(status=404, text="404 Not Found")
        if status != "done":
            return answer(self._describe(job, status))
        if self.file_direct:
            return answer(_report(job))
        url = self.files.presign(f"{job.id}_0.json", lambda: _report(job))
        text = f"This resource has been moved temporarily to {url}."
        return web.Response(status=303, text=text, headers={"Location": url})

    async def _delete(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return web.Response(status=404, text="404 Not Found")
        job.end("canceled" if request.path.startswith(JOBS) else "deleted", self._clock())
        return web.Response(status=204)

    def _describe(self, job: Job, status: str) -> dict[str, Any]:
        described = {
            "id": job.id,
            "name": "Calls",
            "created_at": utc(_moment(job.created_at))[:-1],
            "status": status,
            "type": "calls",
            "format": "json",
            "timezone": "UTC",
            "timespan": {"from": utc(job.from_), "to": utc(job.to)},
        }
        if self._job_body == "flat":
            return described
        links = {
            "self": {"href": f"{self.api_url}{JOBS}/{job.id}"},
            "files": {"href": f"{self.api_url}{FILES}/{job.id}"},
        }
        return {"job": described, "_links": links}


async def _identify(request: web.Request, response: web.StreamResponse) -> None:
    """Puts the id on an answer that Talkdesk's support asks for."""
    response.headers.setdefault("platform-tid", f"sandbox-{id(request):x}")


def _report(job: Job) -> dict[str, Any]:
    return {"type": "calls", "version": "v1", "entries": job.entries, "total": len(job.entries)}


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def _second(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, timezone.utc)


def _invalid(name: str, description: str) -> web.Response:
    return answer(
        {
            "code": "0490000",
            "message": "input parameters validation failed",
            "description": "One of the fields is not valid.",
            "fields": [{"name": name, "description": description}],
        },
        400,
    )


def _error(status: int, code: str, message: str, description: str) -> web.Response:
    return answer({"code": code, "message": message, "description": description}, status)

"""Talkdesk on loopback: the token endpoint, the report jobs of Explore, and the file store.

After Talkdesk's documentation ("Calls Report", "Execute a report", "Check a report status",
"Download a report", "Client credentials") and answers of real accounts that were published.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.history import utc
from sandbox.table import Table
from sandbox.web import Tokens, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Faults
    from sandbox.history import History, Row
    from sandbox.web import Clock

JOBS = "/data/reports/calls/jobs"
FILES = "/data/reports/calls/files"
LONGEST_WINDOW = timedelta(days=31)
_RUNNING = ("created", "processing", "uploading")


@dataclass
class Job:
    """A report job.

    Attributes:
        ends_as: The status that it ends with; `stuck` for one that never ends.
    """

    id: str
    from_: datetime
    to: datetime
    created_at: float
    seconds: float
    ends_as: str
    entries: list[Row]

    def status(self, now: float) -> str:
        """Where the job is."""
        if self.ends_as == "stuck":
            return "processing"
        if now >= self.created_at + self.seconds:
            return self.ends_as
        share = (now - self.created_at) / self.seconds
        return _RUNNING[int(share * len(_RUNNING))]


class Talkdesk:
    """One account.

    Attributes:
        api_url: The API's base URL.
        token_url: The token endpoint.
        files_url: The file store's base URL.
        granted_scope: The scopes that a token's answer lists.
        done_status: With which status a job that is done is answered: 303, 302, 300 or 200.
        file_direct: Whether `files/{id}` gives the file itself instead of redirecting to it.
    """

    client_id = "sandbox-talkdesk-client"
    client_secret = "sandbox-talkdesk-secret-d1f4"  # noqa: S105 - of nothing
    key_id = "sandbox-talkdesk-key"

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
        self.api_url = self.token_url = self.files_url = ""
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
        self._file_url_seconds = file_url_seconds
        self._tokens = Tokens(clock)
        self._signatures: dict[str, tuple[str, float]] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())

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
    def private_key(self) -> str:
        """The OAuth client's private key as Talkdesk gives it: PKCS#8 in base64."""
        der = self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return base64.b64encode(der).decode()

    @property
    def private_key_pem(self) -> str:
        """The same as PEM."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

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
        assertion = form.get("client_assertion", "")
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        try:
            claims = jwt.decode(
                assertion,
                self._key.public_key(),
                algorithms=["ES256"],
                audience=self.token_url,
                # Checked below, by the sandbox's own clock.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "require": ["iss", "sub", "jti", "iat", "exp"],
                },
            )
        except jwt.InvalidTokenError:
            return False
        return (
            form.get("client_assertion_type") == kind
            and claims["iss"] == claims["sub"] == self.client_id
            and jwt.get_unverified_header(assertion).get("kid") == self.key_id
            and claims["iat"] - 5 <= self._clock() < claims["exp"]
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
        body: dict[str, Any] = msgspec.json.decode(await request.read())
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
        if sum(job.status(now) in _RUNNING for job in self.jobs.values()) >= self._job_quota:
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
                for row in self._table.between(int(start.timestamp()), int(end.timestamp()), now)
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
        if job is None or job.ends_as not in {"done", "stuck"}:
            return web.Response(status=404, text="404 Not Found")
        status = job.status(self._clock())
        if status != "done":
            return answer(self._describe(job, status))
        if self.file_direct:
            return answer(_report(job))
        signature = secrets.token_hex(32)
        ends = self._clock() + self._file_url_seconds
        self._signatures[signature] = (job.id, ends)
        url = (
            f"{self.files_url}/calls/{job.id}_0.json?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Expires={self._file_url_seconds:.0f}&X-Amz-SignedHeaders=host"
            f"&X-Amz-Signature={signature}"
        )
        text = f"This resource has been moved temporarily to {url}."
        return web.Response(status=303, text=text, headers={"Location": url})

    async def _delete(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return web.Response(status=404, text="404 Not Found")
        job.ends_as = "deleted"
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

    # The file store

    def add_file_routes(self, app: web.Application) -> None:
        """Puts the file store into an application."""
        app.router.add_get("/calls/{name}", self._stored)

    async def _stored(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        job_id, ends = self._signatures.get(request.query.get("X-Amz-Signature", ""), ("", 0.0))
        if self._clock() >= ends:
            return _xml(403, "AccessDenied", "Request has expired")
        return answer(_report(self.jobs[job_id]))


async def _identify(request: web.Request, response: web.StreamResponse) -> None:
    """Puts the id on an answer that Talkdesk's support asks for."""
    response.headers.setdefault("platform-tid", f"sandbox-{id(request):x}")


def _report(job: Job) -> dict[str, Any]:
    return {"type": "calls", "version": "v1", "entries": job.entries, "total": len(job.entries)}


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


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


def _xml(status: int, code: str, message: str) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")

"""What the four servers share: the request log, faults, JSON bodies and access tokens."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from sandbox.faults import misbehave

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.faults import Faults

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Clock = Callable[[], float]

#: The path prefix of the control API, which is neither logged nor subject to faults.
CONTROL_PREFIX = "/_sandbox"


@dataclass(frozen=True)
class Request:
    """A request that a server received.

    Attributes:
        vendor: The server: `zendesk`, `talkdesk`, `talkdesk-id` or `files`.
        status: The status of the response; 0 if there was none.
        at: The Unix time of its arrival.
        body: The decoded body if it is JSON or a form.
    """

    vendor: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int
    at: float
    body: Any


class RequestLog:
    """The requests to all servers, in the order of their responses. Thread-safe."""

    def __init__(self) -> None:
        """Create an empty log."""
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    def append(self, request: Request) -> None:
        """Append a request."""
        with self._lock:
            self._requests.append(request)

    def copy(self) -> list[Request]:
        """Return the requests so far."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._requests.clear()


def make_app(vendor: str, *, faults: Faults, log: RequestLog, clock: Clock) -> web.Application:
    """Return an application without routes that logs its requests and applies the faults."""

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)  # not part of any vendor's API
        at, status = clock(), 0
        fault = faults.for_request(request.method, request.path)
        try:
            response = (
                await handler(request)
                if fault is None
                else await misbehave(fault, request, lambda: handler(request))
            )
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            log.append(
                Request(
                    vendor,
                    request.method,
                    request.path,
                    dict(request.query),
                    dict(request.headers),
                    status,
                    at,
                    await _decoded_body(request),
                )
            )
        if not response.prepared:
            # By the sandbox's clock; later, aiohttp would take the machine's.
            date = format_datetime(datetime.fromtimestamp(clock(), timezone.utc), usegmt=True)
            response.headers.setdefault("Date", date)
        return response

    return web.Application(middlewares=[record])


async def _decoded_body(request: web.Request) -> Any:  # noqa: ANN401 - any JSON
    if not request.body_exists:
        return None
    if request.content_type != "application/json":
        return dict(await request.post())
    try:
        return msgspec.json.decode(await request.read())
    except msgspec.DecodeError:
        return None


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        web.HTTPBadRequest: The body is not a JSON object.
    """
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"Not a JSON object: {error}") from None


def json_response(
    body: object, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a response with a JSON body."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers=headers,
        content_type="application/json",
    )


class Tokens:
    """The access tokens that a server issued."""

    def __init__(self, clock: Clock) -> None:
        """Start without tokens."""
        self._clock = clock
        self._expires_at: dict[str, float] = {}

    def issue(self, seconds: float) -> str:
        """Return a new token that is valid for this many seconds."""
        token = f"sandbox-token-{secrets.token_hex(16)}"
        self._expires_at[token] = self._clock() + seconds
        return token

    def revoke(self) -> None:
        """Invalidate all tokens."""
        self._expires_at.clear()

    @property
    def issued(self) -> list[str]:
        """The tokens that were issued and not revoked."""
        return list(self._expires_at)

    def is_valid(self, authorization: str) -> bool:
        """Return whether an `Authorization` header holds a token that has not expired."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expires_at.get(token, 0.0) > self._clock()

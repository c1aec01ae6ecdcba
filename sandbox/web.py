"""What the four servers share: a log of requests, faults, and answers in JSON."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from sandbox.faults import misbehave

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.faults import Faults

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Clock = Callable[[], float]

#: Where the sandbox is told what to do; not logged, and without faults.
CONTROL = "/_sandbox"


@dataclass(frozen=True)
class Request:
    """A request that a server had.

    Attributes:
        vendor: Which server: `zendesk`, `talkdesk`, `talkdesk-id` or `files`.
        status: What it was answered with; 0 where it was not.
        at: When it came, in seconds since 1970.
        body: Its body, where that is JSON or a form.
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
    """The requests that all servers had, in the order of their answers."""

    def __init__(self) -> None:
        """Starts empty."""
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    def append(self, request: Request) -> None:
        """Adds a request."""
        with self._lock:
            self._requests.append(request)

    def copy(self) -> list[Request]:
        """The requests so far."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forgets them."""
        with self._lock:
            self._requests.clear()


def application(vendor: str, *, faults: Faults, log: RequestLog, clock: Clock) -> web.Application:
    """An empty application that logs its requests and meets the faults."""

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)  # no vendor has this
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
                    await _body(request),
                )
            )
        return response

    return web.Application(middlewares=[record])


async def _body(request: web.Request) -> Any:  # noqa: ANN401 - whatever was sent
    if not request.body_exists:
        return None
    if request.content_type != "application/json":
        return dict(await request.post())
    try:
        return msgspec.json.decode(await request.read())
    except msgspec.DecodeError:
        return None


async def sent_object(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises:
        web.HTTPBadRequest: It brings none.
    """
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"Not a JSON object: {error}") from None


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers=headers,
        content_type="application/json",
    )


class Tokens:
    """The access tokens that a server gave out."""

    def __init__(self, clock: Clock) -> None:
        """Starts without any."""
        self._clock = clock
        self._ends: dict[str, float] = {}

    def issue(self, seconds: float) -> str:
        """A new token that is good for so many seconds."""
        token = f"sandbox-token-{secrets.token_hex(16)}"
        self._ends[token] = self._clock() + seconds
        return token

    def revoke(self) -> None:
        """Makes all tokens invalid."""
        self._ends.clear()

    @property
    def issued(self) -> list[str]:
        """The tokens that were given out and not revoked."""
        return list(self._ends)

    def is_good(self, authorization: str) -> bool:
        """Whether an Authorization header carries a token that has not ended."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._ends.get(token, 0.0) > self._clock()

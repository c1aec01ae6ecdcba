"""Faults on demand: what a server returns, or does, instead of its regular response."""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from typing_extensions import Self, Unpack

    Handler = Callable[[], Awaitable[web.StreamResponse]]


class Effect(Protocol):
    """What happens to a request that a fault applies to."""

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return the response; `handler` returns the regular one."""


@dataclass(frozen=True)
class Respond:
    """Respond with a status, without calling the handler.

    Attributes:
        status: The HTTP status.
        body: A string, or an object to send as JSON.
        headers: Headers of the response.
    """

    status: int
    body: str | dict[str, Any] = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the response."""
        if isinstance(self.body, str):
            content_type, body = "text/plain; charset=utf-8", self.body.encode()
        else:
            content_type, body = "application/json", msgspec.json.encode(self.body)
        headers = {"Content-Type": content_type, **self.headers}
        return web.Response(status=self.status, body=body, headers=headers)


@dataclass(frozen=True)
class Echo:
    """Respond with a status and a string that quotes the request's query.

    Attributes:
        status: The HTTP status.
        text: The string, with `{name}` for the value of a parameter.
    """

    status: int
    text: str

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the response."""
        return web.Response(status=self.status, text=self.text.format_map(request.query))


@dataclass(frozen=True)
class NotJson:
    """Respond 200 with an HTML page."""

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the page."""
        page = "<html><body>Just a moment...</body></html>"
        return web.Response(text=page, content_type="text/html")


@dataclass(frozen=True)
class Reset:
    """Reset the connection before any response."""

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Abort the connection; the returned response is never sent."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@dataclass(frozen=True)
class Truncate:
    """Close the connection after half of the regular response's body."""

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send all headers and half of the body."""
        regular = await handler()
        body = _body(regular)
        headers = {**regular.headers, "Content-Length": str(len(body))}
        truncated = web.StreamResponse(status=regular.status, headers=headers)
        await truncated.prepare(request)
        await truncated.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()  # after sending what was written
        return truncated


@dataclass(frozen=True)
class Hang:
    """Hold a request, by default until the sandbox stops, and then handle it as usual.

    Attributes:
        seconds: For how many (real) seconds.
        until: Ends it earlier, once it returns True.
        meanwhile: Called once the request has arrived.
    """

    seconds: float = inf
    until: Callable[[], bool] = bool
    meanwhile: Callable[[], object] = bool

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the regular response at the end."""
        self.meanwhile()
        end = time.monotonic() + self.seconds
        # An event of asyncio can't be set by another thread, such as a test's.
        while not self.until() and (remaining := end - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(remaining, 0.01))
        return await handler()


@dataclass(frozen=True)
class Edit:
    """Change the JSON of the regular response.

    Attributes:
        edit: Takes the JSON and returns what to send.
        headers: Headers to add.
    """

    edit: Callable[[Any], Any]
    headers: dict[str, str] = field(default_factory=dict)

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the edited response."""
        regular = await handler()
        return web.Response(
            status=regular.status,
            body=msgspec.json.encode(self.edit(msgspec.json.decode(_body(regular)))),
            headers={**regular.headers, **self.headers},
        )


@dataclass(frozen=True)
class EditBytes:
    """Change the bytes of the regular response's body."""

    edit: Callable[[bytes], bytes]

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the edited response."""
        regular = await handler()
        return web.Response(
            status=regular.status, body=self.edit(_body(regular)), headers=regular.headers
        )


@dataclass(frozen=True)
class Flood:
    """Respond with a very large body of spaces.

    Attributes:
        megabytes: Its size, before compression.
        encoding: `gzip` to send it compressed, or `identity`.
        status: The HTTP status.
        headers: More headers.
    """

    megabytes: int
    encoding: str = "gzip"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Send the body, as far as the client reads it."""
        headers = {"Content-Encoding": self.encoding, **self.headers}
        response = web.StreamResponse(status=self.status, headers=headers)
        await response.prepare(request)
        compressor = zlib.compressobj(wbits=31)
        megabyte = b" " * 2**20
        for _ in range(self.megabytes):
            is_plain = self.encoding == "identity"
            await response.write(megabyte if is_plain else compressor.compress(megabyte))
        if self.encoding != "identity":
            await response.write(compressor.flush())
        return response


@dataclass(frozen=True)
class Trickle:
    """Send the body of the regular response byte by byte, and call a function after each."""

    meanwhile: Callable[[], object]

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send the response, as far as the client reads it."""
        regular = await handler()
        body = _body(regular)
        headers = {**regular.headers, "Content-Length": str(len(body))}
        response = web.StreamResponse(status=regular.status, headers=headers)
        await response.prepare(request)
        for byte in body:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.001)  # a packet of its own
            self.meanwhile()
        return response


@dataclass(frozen=True)
class Late:
    """Call a function while the request is in flight, before the server handles it."""

    meanwhile: Callable[[], object]

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the regular response, after the call."""
        self.meanwhile()
        return await handler()


@dataclass(frozen=True)
class EndJob:
    """End the report job that a request creates with a status other than `done`.

    Attributes:
        job_status: The status; `stuck` for a job that never ends.
        when: Limits the effect to some windows, by their start and end.
    """

    job_status: str = "failed"
    when: Callable[[datetime, datetime], bool] | None = None

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Return the regular response: the fault affects the job, not the request."""
        return await handler()


class Scope(TypedDict, total=False):
    """Which of the requests to a path a fault applies to: the attributes of `Fault`."""

    method: str | None
    times: int | None
    after: int


@dataclass(frozen=True)
class Fault:
    """An effect on some of the requests to a path.

    Each constructor makes one kind: `Fault.status("*/calls", 503, times=2)`.

    Attributes:
        path: A shell pattern for the path.
        effect: What happens.
        method: The HTTP method; None for any.
        times: How many requests are affected; None for all.
        after: How many matching requests are handled as usual first.
    """

    path: str
    effect: Effect
    method: str | None = None
    times: int | None = 1
    after: int = 0

    @classmethod
    def status(
        cls,
        path: str,
        status: int,
        *,
        body: str | dict[str, Any] = "",
        headers: dict[str, str] | None = None,
        **scope: Unpack[Scope],
    ) -> Self:
        """Respond with a status."""
        return cls(path, Respond(status, body, headers or {}), **scope)

    @classmethod
    def echo(cls, path: str, status: int, text: str, **scope: Unpack[Scope]) -> Self:
        """Respond with a status and a string that quotes the request's query."""
        return cls(path, Echo(status, text), **scope)

    @classmethod
    def not_json(cls, path: str, **scope: Unpack[Scope]) -> Self:
        """Respond 200 with an HTML page."""
        return cls(path, NotJson(), **scope)

    @classmethod
    def reset(cls, path: str, **scope: Unpack[Scope]) -> Self:
        """Reset the connection before any response."""
        return cls(path, Reset(), **scope)

    @classmethod
    def truncate(cls, path: str, **scope: Unpack[Scope]) -> Self:
        """Close the connection after half of the body."""
        return cls(path, Truncate(), **scope)

    @classmethod
    def hang(
        cls,
        path: str,
        *,
        seconds: float = inf,
        until: Callable[[], bool] = bool,
        meanwhile: Callable[[], object] = bool,
        **scope: Unpack[Scope],
    ) -> Self:
        """Do not respond for some (real) seconds, or until `until()`; by default never."""
        return cls(path, Hang(seconds, until, meanwhile), **scope)

    @classmethod
    def edit(
        cls,
        path: str,
        edit: Callable[[Any], Any],
        *,
        headers: dict[str, str] | None = None,
        **scope: Unpack[Scope],
    ) -> Self:
        """Respond with what `edit` returns for the JSON of the regular response."""
        return cls(path, Edit(edit, headers or {}), **scope)

    @classmethod
    def edit_bytes(cls, path: str, edit: Callable[[bytes], bytes], **scope: Unpack[Scope]) -> Self:
        """Respond with what `edit` returns for the body of the regular response."""
        return cls(path, EditBytes(edit), **scope)

    @classmethod
    def flood(
        cls,
        path: str,
        *,
        megabytes: int,
        encoding: str = "gzip",
        status: int = 200,
        headers: dict[str, str] | None = None,
        **scope: Unpack[Scope],
    ) -> Self:
        """Respond with very many spaces, by default compressed with gzip."""
        return cls(path, Flood(megabytes, encoding, status, headers or {}), **scope)

    @classmethod
    def trickle(cls, path: str, meanwhile: Callable[[], object], **scope: Unpack[Scope]) -> Self:
        """Send the body byte by byte, and call `meanwhile` after each."""
        return cls(path, Trickle(meanwhile), **scope)

    @classmethod
    def late(cls, path: str, meanwhile: Callable[[], object], **scope: Unpack[Scope]) -> Self:
        """Call `meanwhile` while the request is in flight, before the server handles it."""
        return cls(path, Late(meanwhile), **scope)

    @classmethod
    def job(
        cls,
        path: str,
        *,
        status: str = "failed",
        when: Callable[[datetime, datetime], bool] | None = None,
        **scope: Unpack[Scope],
    ) -> Self:
        """End report jobs with a status (`stuck`: never); `when` selects them by window."""
        return cls(path, EndJob(status, when), **scope)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Build a fault from JSON: the arguments of a constructor, and its name as `action`.

        Without `action` it is a `status`. Constructors that take a function can't be used.

        Raises:
            ValueError: The fields do not describe a fault.
        """
        arguments = {name: value for name, value in fields.items() if name != "action"}
        action = fields.get("action", "status")
        constructors: dict[str, Callable[..., Self]] = {
            "status": cls.status,
            "not_json": cls.not_json,
            "reset": cls.reset,
            "truncate": cls.truncate,
            "hang": cls.hang,
            "job": cls.job,
        }
        if action not in constructors:
            raise ValueError(f"unknown action: {action}")
        try:
            return constructors[action](**arguments)
        except TypeError as error:
            raise ValueError(str(error)) from None


@dataclass
class _ActiveFault:
    """A fault, and the number of requests that it has matched."""

    fault: Fault
    matched: int = 0

    def is_due(self) -> bool:
        fault, matched = self.fault, self.matched
        self.matched += 1
        return matched >= fault.after and (
            fault.times is None or matched < fault.after + fault.times
        )


class Faults:
    """The active faults, each with a count of the requests that it has matched."""

    def __init__(self) -> None:
        """Start without any."""
        self._active: list[_ActiveFault] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Activate faults; of several that match a request, the first one applies."""
        with self._lock:
            self._active += map(_ActiveFault, faults)

    def clear(self) -> None:
        """Deactivate all faults."""
        with self._lock:
            self._active.clear()

    def for_request(self, method: str, path: str) -> Fault | None:
        """Return the fault for an HTTP request, except those for report jobs."""
        return self._take(lambda fault: not isinstance(fault.effect, EndJob), method, path)

    def for_job(self, path: str, start: datetime, end: datetime) -> EndJob | None:
        """Return the effect on the report job of a window."""

        def applies(fault: Fault) -> bool:
            effect = fault.effect
            return isinstance(effect, EndJob) and (effect.when is None or effect.when(start, end))

        fault = self._take(applies, "POST", path)
        return fault.effect if fault and isinstance(fault.effect, EndJob) else None

    def _take(self, applies: Callable[[Fault], bool], method: str, path: str) -> Fault | None:
        with self._lock:
            for active in self._active:
                fault = active.fault
                if (
                    applies(fault)
                    and fnmatchcase(path, fault.path)
                    and fault.method in {None, method}
                    and active.is_due()
                ):
                    return fault
            return None


async def misbehave(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Apply a fault to a request; `handler` returns the regular response."""
    return await fault.effect.respond(request, handler)


def _body(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""

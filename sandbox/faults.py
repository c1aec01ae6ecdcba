"""Misbehaviour on demand: what a server does in place of, or to, its answer."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

#: The actions, and the field that one needs.
ACTIONS = {
    **dict.fromkeys(("reset", "cut", "hang", "not_json", "job")),
    "edit": "edit",
    "late": "meanwhile",
}


@dataclass(frozen=True)
class Fault:
    """One way to misbehave, for some of the requests of a path.

    Attributes:
        path: A shell pattern for the path.
        method: The method; None for any.
        times: How many requests it is for; None for all to come.
        after: How many matching requests pass before.
        status: An answer with this status, `body` and `headers`, instead of the true one.
        body: A text, or an object to send as JSON.
        headers: The headers of that answer.
        action: Instead of a status. `reset`: the connection breaks without an answer; `cut`: it
            breaks in the middle of the true answer's body; `hang`: no answer for `seconds`;
            `not_json`: a text in place of JSON; `edit`: the true answer's JSON after `edit`, with
            `headers` besides its own; `job`: the report job that the request creates ends as
            `job_status`, or never if that is `stuck`; `late`: the request arrives only after
            `meanwhile`.
        edit: Takes the true answer's JSON and gives another; for `edit`.
        meanwhile: What happens while the request is under way; for `late`.
        job_status: For `job`.
        job_filter: Which windows `job` is for, from their start and end; None for all.
        seconds: Real seconds, for `hang`; by default until the sandbox stops.
    """

    path: str
    method: str | None = None
    times: int | None = 1
    after: int = 0
    status: int | None = None
    body: str | dict[str, Any] = ""
    headers: dict[str, str] = field(default_factory=dict)
    action: str | None = None
    edit: Callable[[Any], Any] | None = None
    meanwhile: Callable[[], object] | None = None
    job_status: str = "failed"
    job_filter: Callable[[datetime, datetime], bool] | None = None
    seconds: float = inf

    def __post_init__(self) -> None:
        """Refuses what it could not do.

        Raises:
            ValueError: It has not exactly one effect, or not what this needs.
        """
        if (self.status is None) == (self.action is None):
            raise ValueError("a fault has a status or an action")
        if self.action is not None and self.action not in ACTIONS:
            raise ValueError(f"unknown action: {self.action}")
        needed = ACTIONS[self.action] if self.action else None
        if needed and getattr(self, needed) is None:
            raise ValueError(f"the action {self.action} goes with {needed}")


@dataclass
class _InForce:
    """A fault, and how many requests it was asked about."""

    fault: Fault
    matched: int = 0

    def is_due(self) -> bool:
        fault, seen = self.fault, self.matched
        self.matched += 1
        return seen >= fault.after and (fault.times is None or seen < fault.after + fault.times)


class Faults:
    """The faults in force, each counted by the requests that it matched."""

    def __init__(self) -> None:
        """Starts without any."""
        self._in_force: list[_InForce] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Puts faults in force; of those for one request, the first one counts."""
        with self._lock:
            self._in_force += map(_InForce, faults)

    def clear(self) -> None:
        """Makes the servers behave again."""
        with self._lock:
            self._in_force.clear()

    def for_request(self, method: str, path: str) -> Fault | None:
        """The fault that an HTTP request meets, other than on the job that it creates."""
        return self._take(lambda fault: fault.action != "job", method, path)

    def for_job(self, path: str, start: datetime, end: datetime) -> Fault | None:
        """The fault that a report job of a window meets."""
        return self._take(
            lambda fault: (
                fault.action == "job" and (fault.job_filter is None or fault.job_filter(start, end))
            ),
            "POST",
            path,
        )

    def _take(self, is_meant: Callable[[Fault], bool], method: str, path: str) -> Fault | None:
        with self._lock:
            for entry in self._in_force:
                fault = entry.fault
                if (
                    is_meant(fault)
                    and fnmatchcase(path, fault.path)
                    and fault.method in {None, method}
                    and entry.is_due()
                ):
                    return fault
            return None


async def misbehave(  # noqa: PLR0911 - one for each way
    fault: Fault,
    request: web.Request,
    answer: Callable[[], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Answers a request as a fault says.

    Args:
        fault: What to do.
        request: The request.
        answer: Makes the true answer.
    """
    match fault.action:
        case "reset":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        case "hang":
            await asyncio.sleep(fault.seconds)
            return web.Response(status=504)
        case "not_json":
            page = "<html><body>Just a moment...</body></html>"
            return web.Response(text=page, content_type="text/html")
        case "late" if fault.meanwhile is not None:
            fault.meanwhile()
            return await answer()
        case "cut":
            return await _cut(request, await answer())
        case "edit" if fault.edit is not None:
            return _edited(await answer(), fault.edit, fault.headers)
        case _:
            return _instead(fault)


def _instead(fault: Fault) -> web.Response:
    if isinstance(fault.body, str):
        kind, body = "text/plain; charset=utf-8", fault.body.encode()
    else:
        kind, body = "application/json", msgspec.json.encode(fault.body)
    headers = {"Content-Type": kind, **fault.headers}
    return web.Response(status=fault.status or 500, body=body, headers=headers)


async def _cut(request: web.Request, true: web.StreamResponse) -> web.StreamResponse:
    body = _body_of(true)
    headers = {**true.headers, "Content-Length": str(len(body))}
    cut = web.StreamResponse(status=true.status, headers=headers)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # once the half is sent
    return cut


def _edited(
    true: web.StreamResponse, edit: Callable[[Any], Any], headers: dict[str, str]
) -> web.Response:
    return web.Response(
        status=true.status,
        body=msgspec.json.encode(edit(msgspec.json.decode(_body_of(true)))),
        headers={**true.headers, **headers},
    )


def _body_of(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""

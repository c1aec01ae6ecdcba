"""Misbehaviour on demand: what a server does in place of, or to, its answer."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


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
            breaks in the middle of the true answer; `hang`: no answer for `seconds`; `not_json`:
            a text in place of JSON; `edit`: the true answer's JSON after `edit`; `job`: the report
            job that the request creates ends as `job_status`, or never if that is `stuck`; `late`:
            the request arrives only after `meanwhile`.
        edit: Takes the true answer's JSON and gives another; for `edit`.
        meanwhile: What happens while the request is under way; for `late`.
        job_status: For `job`.
        job_filter: Which windows `job` is for, from their start and end; None for all.
        seconds: Real seconds, for `hang`.
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
    seconds: float = 0.0


class Faults:
    """The faults in force, each counted by the requests that it matched."""

    def __init__(self) -> None:
        """Starts without any."""
        self._faults: list[Fault] = []
        self._matched: Counter[int] = Counter()
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Puts faults in force; of those for one request, the first one counts."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Makes the servers behave again."""
        with self._lock:
            self._faults.clear()
            self._matched.clear()

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
            for fault in self._faults:
                if not (
                    is_meant(fault) and fnmatch(path, fault.path) and fault.method in {None, method}
                ):
                    continue
                seen = self._matched[id(fault)]
                self._matched[id(fault)] += 1
                if seen >= fault.after and (
                    fault.times is None or seen < fault.after + fault.times
                ):
                    return fault
            return None


async def misbehave(  # noqa: PLR0911 - one for each way
    fault: Fault,
    request: web.Request,
    answer: Callable[[], Any],
) -> web.StreamResponse:
    """Answers a request as a fault says.

    Args:
        fault: What to do.
        request: The request.
        answer: Makes the true answer.
    """
    match fault.action:
        case None:
            body = fault.body if isinstance(fault.body, str) else _json(fault.body)
            return web.Response(status=fault.status or 500, text=body, headers=fault.headers)
        case "reset":
            _break_off(request)
            return web.Response()
        case "hang":
            await asyncio.sleep(fault.seconds)
            return web.Response(status=504)
        case "not_json":
            return web.Response(text="<html><body>Just a moment...</body></html>")
        case "late" if fault.meanwhile is not None:
            fault.meanwhile()
            late: web.StreamResponse = await answer()
            return late
        case "cut":
            return await _cut(request, await answer())
        case "edit" if fault.edit is not None:
            true: web.Response = await answer()
            edited = fault.edit(msgspec.json.decode(_body_of(true)))
            return web.Response(status=true.status, text=_json(edited), headers=fault.headers)
        case _:
            raise ValueError(f"unknown fault: {fault}")


async def _cut(request: web.Request, true: web.Response) -> web.StreamResponse:
    body = _body_of(true)
    cut = web.StreamResponse(status=true.status, headers={"Content-Length": str(len(body))})
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # once the half is sent
    return cut


def _body_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _break_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _json(body: object) -> str:
    return msgspec.json.encode(body).decode()

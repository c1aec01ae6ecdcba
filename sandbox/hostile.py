"""A hostile vendor: distorted responses, as no documentation describes them.

A `Distortion` changes one thing about a response: a field, the rows, the status, a header, the way
it is delivered. An `Attack` applies some of them to some of the requests to a path, and a `Journal`
keeps what was really sent. Texts may contain placeholders: `{own}` is the host and port that was
requested, `{foreign}` those of a server that must not see credentials, and `{authorization}` the
credentials of the request.
"""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from aiohttp import web

from sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.faults import Faults, Handler

#: A path to a field of a JSON body. An index may be too large: it counts around the list.
Path = tuple[str | int, ...]

#: Between two bytes of a response that trickles in: in real seconds, and in those of the clock.
_TRICKLE_INTERVAL = 0.002
_TRICKLE_SECONDS = 30
#: How far the clock advances while a response stalls.
_STALL_SECONDS = 120


@dataclass(frozen=True)
class Draft:
    """A response that has not been sent.

    Attributes:
        status: The status code and the reason, as in the status line.
        headers: The headers, also repeated ones.
        body: The body.
        delivery: Whether all of it is sent, or the connection breaks, stalls or trickles halfway.
        raw: What is sent instead of an HTTP response.
    """

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    delivery: Literal["whole", "break", "stall", "trickle"] = "whole"
    raw: bytes | None = None

    def with_header(self, name: str, value: str) -> Draft:
        """Return a copy with a header added or replaced."""
        return replace(self, headers=(*self.without_header(name).headers, (name, value)))

    def without_header(self, name: str) -> Draft:
        """Return a copy without a header."""
        kept = tuple(header for header in self.headers if header[0].lower() != name.lower())
        return replace(self, headers=kept)

    def encode(self) -> bytes:
        """Return the response as it goes over the network."""
        if self.raw is not None:
            return self.raw
        headers = dict.fromkeys(name.lower() for name, _ in self.headers)
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        if "content-length" not in headers and "transfer-encoding" not in headers:
            lines.append(f"Content-Length: {len(self.body)}")
        if "connection" not in headers:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + self.body


class Distortion(Protocol):
    """One change to a response."""

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:
        """Return the changed response; `fill` replaces placeholders."""


@dataclass(frozen=True)
class SetField:
    """Set a field of the JSON body, also one that was not there.

    Attributes:
        path: The field.
        value: The JSON of the value, which may be malformed.
    """

    path: Path
    value: bytes

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:
        """Return the response with the field."""
        return _edit(draft, self.path, lambda _: msgspec.Raw(fill(self.value)))


@dataclass(frozen=True)
class DropField:
    """Remove a field, or a row, of the JSON body."""

    path: Path

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response without the field."""
        return _edit(draft, self.path, None)


@dataclass(frozen=True)
class RenameField:
    """Rename a field of the JSON body."""

    path: Path
    name: str

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response with the other name."""
        body = _decode(draft.body)
        parent, last = _find(body, self.path)
        if not isinstance(parent, dict) or last not in parent:
            return draft
        parent[self.name] = parent.pop(last)
        return replace(draft, body=msgspec.json.encode(body))


@dataclass(frozen=True)
class AddToField:
    """Add to an integer field of the JSON body."""

    path: Path
    number: int

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response with the other number."""
        return _edit(
            draft, self.path, lambda old: old + self.number if isinstance(old, int) else old
        )


@dataclass(frozen=True)
class ArrangeRows:
    """Change which rows a list holds, and say nothing about it elsewhere in the response.

    Attributes:
        path: The list.
        arrangement: What is done: only the first row, or only the last, is left, all come twice,
            or in the reverse order.
    """

    path: Path
    arrangement: Literal["first", "last", "twice", "reversed"]

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response with these rows."""
        return _edit(draft, self.path, self._arrange)

    def _arrange(self, rows: object) -> object:
        if not isinstance(rows, list):
            return rows
        match self.arrangement:
            case "first":
                return rows[:1]
            case "last":
                return rows[-1:]
            case "twice":
                return rows + rows
            case "reversed":
                return rows[::-1]


@dataclass(frozen=True)
class SetStatus:
    """Set the status, and leave the rest of the response as it is."""

    status: str

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response with the other status."""
        return replace(draft, status=self.status)


@dataclass(frozen=True)
class SetHeader:
    """Set a header."""

    name: str
    value: str

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:
        """Return the response with the header."""
        value = fill(self.value.encode("utf-8", "surrogateescape"))
        return draft.with_header(self.name, value.decode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class DropHeader:
    """Remove a header."""

    name: str

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response without the header."""
        return draft.without_header(self.name)


@dataclass(frozen=True)
class SetBody:
    """Replace the body."""

    body: bytes

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:
        """Return the response with the other body."""
        return replace(draft, body=fill(self.body))


@dataclass(frozen=True)
class Inflate:
    """Pad the body with megabytes of spaces, and compress it to a few kilobytes."""

    megabytes: int

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the compressed response."""
        # Members of a gzip file may follow each other, so that this takes no memory here.
        padding = gzip.compress(b" " * 2**20, compresslevel=1) * self.megabytes
        compressed = replace(draft, body=gzip.compress(draft.body) + padding)
        return compressed.with_header("Content-Encoding", "gzip")


@dataclass(frozen=True)
class Deliver:
    """Do not deliver the response as a whole."""

    delivery: Literal["break", "stall", "trickle"]

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response, to be delivered in another way."""
        return replace(draft, delivery=self.delivery)


@dataclass(frozen=True)
class SendBytes:
    """Send something else than an HTTP response."""

    raw: bytes

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:
        """Return the response, to be sent as these bytes."""
        return replace(draft, raw=fill(self.raw))


@dataclass(frozen=True)
class Replay:
    """Send the previous response to the same path again, as a cache that ignores the query."""

    def apply(self, draft: Draft, fill: Callable[[bytes], bytes]) -> Draft:  # noqa: ARG002
        """Return the response; `Journal` replaces it."""
        return draft


@dataclass(frozen=True)
class Lie:
    """A distorted response, as it was sent.

    Attributes:
        path: The requested path, without the query.
        sent: The response that was sent.
        regular: The response that the request should have got.
    """

    path: str
    sent: Draft
    regular: Draft


@dataclass
class Journal:
    """What the hostile vendor sent.

    Attributes:
        foreign: The host and port of a server that must not see credentials.
        pass_time: Called whenever the vendor lets a client wait, with the seconds.
        lies: The distorted responses.
    """

    foreign: str
    pass_time: Callable[[float], object] = lambda _: None
    lies: list[Lie] = field(default_factory=list)
    _previous: dict[tuple[str, str], Draft] = field(default_factory=dict)

    def distort(
        self, request: web.Request, draft: Draft, distortions: tuple[Distortion, ...]
    ) -> Draft:
        """Return what to send instead of a response, and keep it."""

        def fill(text: bytes) -> bytes:
            for placeholder, value in (
                (b"{own}", request.host),
                (b"{foreign}", self.foreign),
                (b"{authorization}", request.headers.get("Authorization", "")),
            ):
                text = text.replace(placeholder, value.encode())
            return text

        regular, endpoint = draft, (request.method, request.path)
        if any(isinstance(distortion, Replay) for distortion in distortions):
            draft = self._previous.get(endpoint, draft)
        for distortion in distortions:
            draft = distortion.apply(draft, fill)
        self._previous[endpoint] = regular
        if draft != regular:
            self.lies.append(Lie(request.path, draft, regular))
        return draft


@dataclass(frozen=True)
class _Distort:
    """The effect of an attack."""

    distortions: tuple[Distortion, ...]
    journal: Journal

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send the distorted response; the returned one is never sent."""
        try:
            regular = await handler()
        except web.HTTPException as error:
            regular = error
        status = HTTPStatus(regular.status)
        headers = {name: value for name, value in regular.headers.items() if name != "Date"}
        headers.setdefault("Content-Type", regular.content_type)
        headers.pop("Content-Length", None)
        body = regular.body if isinstance(regular, web.Response) else None
        draft = Draft(
            f"{status.value} {status.phrase}",
            tuple(headers.items()),
            body if isinstance(body, bytes) else b"",
        )
        sent = self.journal.distort(request, draft, self.distortions)
        if sent == draft:
            if isinstance(regular, web.HTTPException):
                raise regular
            return regular
        with suppress(ConnectionError):
            await self._send(request, sent)
        return web.Response(status=_code(sent.status))

    async def _send(self, request: web.Request, draft: Draft) -> None:
        transport = request.transport
        if transport is None:
            return
        content = draft.encode()
        if draft.delivery == "whole":
            transport.write(content)
        else:
            middle = len(content) // 2
            transport.write(content[:middle])
            if draft.delivery == "stall":
                self.journal.pass_time(_STALL_SECONDS)
                await asyncio.sleep(inf)  # until the client closes the connection
            while draft.delivery == "trickle" and not transport.is_closing():
                transport.write(b" ")
                self.journal.pass_time(_TRICKLE_SECONDS)
                await asyncio.sleep(_TRICKLE_INTERVAL)
        transport.close()


@dataclass(frozen=True)
class Attack:
    """Distortions of some of the responses of an endpoint.

    Attributes:
        path: A shell pattern for the path.
        distortions: What is changed.
        method: The HTTP method; None for any.
        times: How many requests are affected; None for all.
        after: How many matching requests are handled as usual first.
    """

    path: str
    distortions: tuple[Distortion, ...]
    method: str | None = None
    times: int | None = 1
    after: int = 0

    def as_fault(self, journal: Journal) -> Fault:
        """Return the fault that carries the attack out."""
        effect = _Distort(self.distortions, journal)
        return Fault(self.path, effect, method=self.method, times=self.times, after=self.after)


def make_hostile(faults: Faults, attacks: Iterable[Attack], journal: Journal) -> None:
    """Let a sandbox's servers carry out attacks, and remember all other responses for `Replay`."""
    for attack in (*attacks, Attack("*", (), times=None)):
        faults.add(attack.as_fault(journal))


def _code(status: str) -> int:
    code = status.partition(" ")[0]
    return int(code) if code.isascii() and code.isdigit() else 0


def _decode(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # an earlier distortion made it malformed, or it is no JSON


def _find(body: Any, path: Path) -> tuple[Any, Any]:  # noqa: ANN401 - any JSON value
    """Return the object or list that holds a field, and the field's name or index in it."""
    parent: Any = None
    for name in path:
        parent, body = body, None
        if isinstance(parent, dict) and isinstance(name, str):
            last: str | int = name
            body = parent.get(name)
        elif isinstance(parent, list) and isinstance(name, int) and parent:
            last = name % len(parent)
            body = parent[last]
        else:
            return None, None
    return parent, last


def _edit(draft: Draft, path: Path, edit: Callable[[Any], Any] | None) -> Draft:
    """Return the response with a field replaced, or removed without `edit`."""
    body = _decode(draft.body)
    parent, last = _find(body, path)
    if parent is None:
        return draft
    if edit is not None:
        parent[last] = edit(parent.get(last) if isinstance(parent, dict) else parent[last])
    elif isinstance(parent, list):
        del parent[last]
    else:
        parent.pop(last, None)
    return replace(draft, body=msgspec.json.encode(body))

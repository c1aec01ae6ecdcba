"""The file store behind Talkdesk's reports: files at presigned URLs, as S3 serves them."""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from sandbox.web import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.web import Clock

_HEAD = "<?xml version='1.0' encoding='UTF-8'?>"


class FileStore:
    """Gives a file to whoever has a URL that is still good, and nothing else to show.

    Attributes:
        url: The base URL.
    """

    def __init__(self, *, clock: Clock, url_seconds: float) -> None:
        """Starts without files."""
        self.url = ""
        self._clock = clock
        self._url_seconds = url_seconds
        self._signed: dict[str, tuple[str, Callable[[], object], float]] = {}

    def presign(self, name: str, content: Callable[[], object]) -> str:
        """A URL that is good for a while.

        Args:
            name: The file's name.
            content: Makes what the file holds, to be sent as JSON.
        """
        now, signature = self._clock(), secrets.token_hex(32)
        path = f"/calls/{name}"
        self._signed[signature] = (path, content, now + self._url_seconds)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ"),
            "X-Amz-Expires": f"{self._url_seconds:.0f}",
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": signature,
        }
        return f"{self.url}{path}?{urlencode(query)}"

    def add_routes(self, app: web.Application) -> None:
        """Puts the store into an application."""
        app.router.add_get("/calls/{name}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return _refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
        signature = request.query.get("X-Amz-Signature")
        if signature is None:
            return _refusal(403, "AccessDenied", "Access Denied")
        path, content, ends = self._signed.get(signature, ("", dict, 0.0))
        if path != request.path:
            return _refusal(403, "SignatureDoesNotMatch", "The signature does not match.")
        if self._clock() >= ends:
            return _refusal(403, "AccessDenied", "Request has expired")
        return answer(content())


def _refusal(status: int, code: str, message: str) -> web.Response:
    text = f"{_HEAD}<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")

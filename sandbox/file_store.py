"""The file store behind Talkdesk's reports: files at presigned URLs, as in S3."""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from sandbox.web import json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.web import Clock

_XML_DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>"


class FileStore:
    """Serves a file to any request with an unexpired presigned URL and no other credentials.

    Attributes:
        url: The base URL.
    """

    def __init__(self, *, clock: Clock, url_seconds: float) -> None:
        """Create an empty store.

        Args:
            clock: Returns the current Unix time.
            url_seconds: How long a presigned URL is valid.
        """
        self.url = ""
        self._clock = clock
        self._url_seconds = url_seconds
        self._signed: dict[str, tuple[str, Callable[[], object], float]] = {}

    def presign(self, folder: str, name: str, content: Callable[[], object]) -> str:
        """Return a presigned URL of a file.

        Args:
            folder: The folder of the file.
            name: The name of the file.
            content: Returns the content of the file, which is served as JSON.
        """
        now, signature = self._clock(), secrets.token_hex(32)
        path = f"/{folder}/{name}"
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
        """Add the route that serves files to an application."""
        app.router.add_get("/{folder}/{name}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
        signature = request.query.get("X-Amz-Signature")
        if signature is None:
            return _error(403, "AccessDenied", "Access Denied")
        path, content, expires_at = self._signed.get(signature, ("", dict, 0.0))
        if path != request.path:
            return _error(403, "SignatureDoesNotMatch", "The signature does not match.")
        if self._clock() >= expires_at:
            return _error(403, "AccessDenied", "Request has expired")
        return json_response(content())


def _error(status: int, code: str, message: str) -> web.Response:
    text = f"{_XML_DECLARATION}<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")

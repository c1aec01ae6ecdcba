"""Error messages for people: what an API or the network reported, redacted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import requests

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_MESSAGE = 300
_MAX_BODY = 64 * 1024
_URL_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
#: Where error bodies keep their texts, the more general ones first.
_FIELDS = (
    *("code", "name", "error", "title", "message", "description", "error_description"),
    *("detail", "details", "errors", "fields"),
)


def api_error_message(response: requests.Response, secrets: Iterable[str]) -> str:
    """Return the error message in a response, from any of the forms that APIs use.

    These are JSON with `error` as a string or an object, OAuth's `error_description`, lists of
    field errors, problem details (`title` and `detail`), HTML, and plain text.

    Args:
        response: The response.
        secrets: Strings to redact. Query strings of URLs, which may be signed, always are.
    """
    try:
        text = response.content[:_MAX_BODY].decode("utf-8", "replace")
    except requests.RequestException:
        return ""
    try:
        message = ", ".join(dict.fromkeys(_texts(msgspec.json.decode(text))))
    except msgspec.DecodeError:
        message = " ".join(_TAG.sub(" ", text).split())
    return redact(message, secrets)[:_MAX_MESSAGE]


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets and the query strings of URLs."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _URL_QUERY.sub(r"\1?***", text)


def _texts(body: object) -> Iterable[str]:
    """Yield the texts of an error body."""
    if isinstance(body, str | int):
        yield str(body)
    elif isinstance(body, list):
        for part in body:
            yield from _texts(part)
    elif isinstance(body, dict):
        for name in _FIELDS:
            if body.get(name):
                yield from _texts(body[name])

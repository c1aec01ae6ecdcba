"""Error messages for people: what an API or the network reported, on one line and redacted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import requests

from tap_voicecalls.http.body import InvalidResponseError, read_at_most
from tap_voicecalls.http.clean_json import clean_json

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_MESSAGE = 300
#: How much of an error body is read, in bytes after decompression.
_MAX_BODY = 64 * 1024
#: How deep the texts of an error body may be nested.
_MAX_DEPTH = 8
_QUERY = re.compile(r"\?[^\s\"'<>]+")
# Both take linear time: a script without an end reaches to the end, a tag contains no other one.
_SCRIPT = re.compile(r"<(script|style)\b.*?(</\1|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
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
        body = clean_json(read_at_most(response, _MAX_BODY))
    except (requests.RequestException, InvalidResponseError):
        return ""
    try:
        message = ", ".join(dict.fromkeys(_texts(msgspec.json.decode(body))))
    except (msgspec.DecodeError, RecursionError):
        message = _TAG.sub(" ", _SCRIPT.sub(" <", body.decode()))
    return redact(printable(message), secrets)[:_MAX_MESSAGE]


def printable(text: str) -> str:
    """Return a vendor's text as one line of printable characters.

    A log line can then not be forged: it holds no line breaks, escape sequences, NUL or
    characters that change the direction of text.
    """
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets and the query strings of URLs."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _QUERY.sub("?***", text)


def _texts(body: object, depth: int = 0) -> Iterable[str]:
    """Yield the texts of an error body."""
    if isinstance(body, str | int):
        yield str(body)
    elif depth == _MAX_DEPTH:
        return
    elif isinstance(body, list):
        for part in body:
            yield from _texts(part, depth + 1)
    elif isinstance(body, dict):
        for name in _FIELDS:
            if body.get(name):
                yield from _texts(body[name], depth + 1)

"""What an API says when it refuses, as it may be shown to people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import requests

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_WORDS = 300
_LONGEST_BODY = 64 * 1024
_URL_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def api_error_message(response: requests.Response, secrets: Iterable[str]) -> str:
    """What an API says in a refusal, from any of the forms that both vendors use.

    They are JSON with `error` as a text or an object, OAuth's `error_description`, Talkdesk's
    `code`, `message`, `description` and `fields`, the edge's `title` and `detail`; HTML; plain
    text.

    Args:
        response: The refusal.
        secrets: Texts that are not to be shown; queries of URLs, which may be signed, never are.
    """
    try:
        text = response.content[:_LONGEST_BODY].decode("utf-8", "replace")
    except requests.RequestException:
        return ""
    try:
        words = ", ".join(dict.fromkeys(_said(msgspec.json.decode(text))))
    except msgspec.DecodeError:
        words = " ".join(_TAG.sub(" ", text).split())
    for secret in secrets:
        words = words.replace(secret, "***")
    return _URL_QUERY.sub(r"\1?***", words)[:_LONGEST_WORDS]


def _said(body: object) -> Iterable[str]:
    """The texts of an error body, the more general ones first."""
    if isinstance(body, str | int):
        yield str(body)
    elif isinstance(body, list):
        for part in body:
            yield from _said(part)
    elif isinstance(body, dict):
        names = "code", "name", "error", "title", "message", "description", "error_description"
        for name in (*names, "detail", "details", "errors", "fields"):
            if body.get(name):
                yield from _said(body[name])

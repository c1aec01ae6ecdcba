"""JSON made decodable: what UTF-8 or PostgreSQL can't hold is replaced, and the rows are kept."""

from __future__ import annotations

import codecs
import re

_HIGH = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
#: Escapes of surrogates and NUL, behind any number of escaped backslashes. A pair of surrogates is
#: one character; any other surrogate is none, and PostgreSQL has no NUL.
_ESCAPES = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(" + _HIGH + _LOW + rb")|" + _HIGH + rb"|" + _LOW + rb"|\\u0000)"
)
_TRIGGERS = b"\\u0000", b"\\ud", b"\\uD"
_ESCAPE_BYTES = b"\\u0123456789abcdefABCDEF"
#: The beginning of an escape, or of a pair of surrogates, at the end of a chunk.
_INCOMPLETE = re.compile(
    rb"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?|" + _HIGH + rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?)\Z"
)


def clean_json(content: bytes) -> bytes:
    """Return JSON that can be decoded, stored and written anywhere, in keys and values alike.

    Lone surrogates, NUL and bytes that are not UTF-8 become U+FFFD, and a byte order mark is
    dropped. For a body that arrives in chunks, see `JsonCleaner`.
    """
    cleaner = JsonCleaner()
    return cleaner.feed(content) + cleaner.finish()


class JsonCleaner:
    """Cleans JSON that arrives in chunks, as `clean_json` does.

    Pass each chunk to `feed` and use what it returns; in the end, use what `finish` returns.
    """

    def __init__(self) -> None:
        """Start at the beginning of a body."""
        self._pending = b""
        self._is_start = True

    def feed(self, chunk: bytes) -> bytes:
        """Return the cleaned bytes so far, without an escape or character that is incomplete."""
        content, cut = self._decodable(chunk, final=False)
        tail = content[len(content.rstrip(_ESCAPE_BYTES)) :]
        if b"\\" in tail and (incomplete := _INCOMPLETE.search(tail)):
            start = len(content) - len(tail) + incomplete.start(1)
            content, cut = content[:start], content[start:] + cut
        self._pending = cut
        return _replace_escapes(content)

    def finish(self) -> bytes:
        """Return the cleaned rest."""
        content, _ = self._decodable(b"", final=True)
        self._pending = b""
        return _replace_escapes(content)

    def _decodable(self, chunk: bytes, *, final: bool) -> tuple[bytes, bytes]:
        """Return valid UTF-8, and the incomplete character that follows it."""
        content, cut = self._pending + chunk, b""
        if not content.isascii():
            try:
                _, used = codecs.utf_8_decode(content, "strict", final)
                content, cut = content[:used], content[used:]
            except UnicodeDecodeError:
                text, used = codecs.utf_8_decode(content, "replace", final)
                content, cut = text.encode(), content[used:]
        if self._is_start and content:
            self._is_start = False
            content = content.removeprefix(codecs.BOM_UTF8)
        return content, cut


def _replace_escapes(content: bytes) -> bytes:
    if not any(trigger in content for trigger in _TRIGGERS):
        return content
    return _ESCAPES.sub(lambda found: found[0] if found[2] else found[1] + rb"\ufffd", content)

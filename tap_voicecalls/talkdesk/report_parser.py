"""A report that is parsed while it arrives, without holding it in memory.

A report is one JSON object with an array, `entries`, of any length. The parser returns the JSON of
each row as it was sent, undecoded: numbers and fields stay exactly as they are.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from tap_voicecalls.http.body import MAX_DOCUMENT, InvalidResponseError, decode_json
from tap_voicecalls.http.clean_json import decode_cleaned

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bytes that are split into rows at once, for each job that runs, and the most of one row.
BUFFER_SIZE = 128 * 2**10
MAX_ROW = 16 * 2**20
_ENTRIES = re.compile(rb'"entries"\s*:\s*\[')
#: How many arrays of this name are looked at: one may be inside of another field.
_MAX_CANDIDATES = 16
#: A string, a quotation mark without an end, or a character that structures JSON.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_OPENING, _CLOSING, _COMMA, _QUOTE = b"[{", b"]}", ord(","), ord('"')

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


class IncompleteReportError(Exception):
    """A report that is not complete, or contradicts itself."""


class ReportParser:
    """Splits a report into rows, and collects the fields around them.

    Pass each chunk to `feed`, then call `finish`; both return rows.

    Attributes:
        count: How many rows there were so far.
    """

    def __init__(self) -> None:
        """Start at the beginning of a body."""
        self.count = 0
        self._buffer = bytearray()
        self._wanted = 0
        self._head: bytes | None = None
        self._is_tail = False

    def feed(self, chunk: bytes) -> Sequence[msgspec.Raw]:
        """Return the rows that are complete.

        Raises:
            InvalidResponseError: The body can't be a report, nor a job.
            IncompleteReportError: It is a report that can't be parsed.
        """
        # Outside of strings a line break is a space, and inside of them JSON has none.
        self._buffer += chunk.replace(b"\n", b" ")
        # Twice as much each time: however small the chunks, each byte is read a few times only.
        return self._rows() if len(self._buffer) >= self._wanted else ()

    def finish(self) -> Sequence[msgspec.Raw]:
        """Return the last rows.

        Raises:
            InvalidResponseError: The body can't be a report, nor a job.
            IncompleteReportError: It is a report that can't be parsed.
        """
        rows = [*self._rows(), *self._rows()]
        if self._head is not None and not self._is_tail:
            raise IncompleteReportError(f"it ends, or is not JSON, after row {self.count:,}")
        return rows

    def document(self) -> dict[str, Any]:
        """Return the whole body, with no rows in `entries`.

        Raises:
            InvalidResponseError: It is not a JSON object.
            IncompleteReportError: It is a report that can't be parsed.
        """
        try:
            document = decode_json((self._head or b"") + bytes(self._buffer))
        except InvalidResponseError:
            if self._head is None:
                raise
            raise IncompleteReportError("it is not JSON after its rows") from None
        if not isinstance(document, dict):
            raise InvalidResponseError("JSON that is not an object")
        return document

    def _rows(self) -> Sequence[msgspec.Raw]:
        rows: list[msgspec.Raw] = []
        if self._head is None:
            self._find_entries()
        if self._head is not None and not self._is_tail:
            rows = self._take_rows()
            self.count += len(rows)
        if self._head is None or self._is_tail:
            self._limit_document()
        return rows

    def _find_entries(self) -> None:
        """Set the head, up to the array of rows, once that begins."""
        content = bytes(self._buffer)
        for found in islice(_ENTRIES.finditer(content), _MAX_CANDIDATES):
            head = content[: found.end()]
            try:
                # A field of the report itself, not of an object inside it.
                decode_json(head + b"]}")
            except InvalidResponseError:
                continue
            self._head = head
            del self._buffer[: len(head)]
            return

    def _take_rows(self) -> list[msgspec.Raw]:
        """Return the rows that are complete, and remove them from the buffer."""
        # Almost always the end of a row; if it is not, what precedes it is not an array of rows.
        end, is_last = self._buffer.rfind(b"},") + 1, False
        rows = self._decode(end)
        if not rows:
            end, is_last = _find_end(self._buffer)
            rows = self._decode(end)
        if rows is None:
            raise IncompleteReportError(f"it is not JSON after row {self.count:,}")
        if rows or is_last:
            del self._buffer[: end if is_last else end + 1]
        elif len(self._buffer) >= MAX_ROW:
            limit = MAX_ROW // 2**20
            raise IncompleteReportError(f"row {self.count + 1:,} has more than {limit} MiB")
        self._is_tail = is_last
        self._wanted = min(max(BUFFER_SIZE, 2 * len(self._buffer)), MAX_ROW)
        return rows

    def _decode(self, end: int) -> list[msgspec.Raw] | None:
        """Return the rows that end here, or None if this is not the end of a row."""
        try:
            return decode_cleaned(_decode_rows, b"[" + self._buffer[:end] + b"]")
        except (msgspec.DecodeError, RecursionError):
            return None

    def _limit_document(self) -> None:
        size = len(self._buffer)
        if size > MAX_DOCUMENT:
            limit = f"more than {MAX_DOCUMENT // 2**20} MiB"
            if self._is_tail:
                raise IncompleteReportError(f"it has {limit} after its rows")
            raise InvalidResponseError(f"a body of {limit} that has no `entries`")
        self._wanted = 2 * size


def _find_end(buffer: bytearray) -> tuple[int, bool]:
    """Return where the last complete row ends, and whether that is the end of the array."""
    depth = end = 0
    for token in _TOKEN.finditer(buffer):
        start = token.start()
        character = buffer[start]
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            if not depth:
                return start, True
            depth -= 1
        elif character == _COMMA and not depth:
            end = start
        elif character == _QUOTE and token.end() - start == 1:
            break
    return end, False

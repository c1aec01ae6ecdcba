"""Singer messages on standard output, encoded once and written in large pieces."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of records that are kept back at most; any other message sends them on their way.
PIECE = 256 * 1024


def _as_text(value: object) -> str:
    """What msgspec does not write by itself, as the SDK's own writer has it."""
    return str(value)


def abandon_output() -> None:
    """Sends whatever is still written nowhere, so that the program can end without a reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes what the SDK's own writer writes, without a flush for each record."""

    def __init__(self) -> None:
        """Starts with nothing to write."""
        super().__init__()
        self._encode = msgspec.json.Encoder(enc_hook=_as_text, decimal_format="number").encode
        self._lines = bytearray()
        self._is_writing = False
        self._is_ending = False
        self._afterwards: Callable[[], object] | None = None

    def serialize_message(self, message: Message) -> bytes:
        """A message as a line, without its end."""
        fields = message.to_dict()
        if isinstance(moment := fields.get("time_extracted"), datetime):
            fields["time_extracted"] = moment.isoformat()
        return self._encode(fields)

    def write_message(self, message: Message) -> None:
        """Writes a message; records wait for enough of them, or for another message."""
        self._lines += self.format_message(message) + b"\n"
        if not isinstance(message, RecordMessage) or len(self._lines) > PIECE:
            self._write()

    def record_writer(self, stream: str) -> Callable[[dict[str, Any], bytes], None]:
        """What writes the records of one stream the short way.

        Args:
            stream: The stream's name.

        Returns:
            A function of a record, ready for JSON, and of the time that it was read at, which is
            the end of its line: see `line_end`.
        """
        begin = b'{"type":"RECORD","stream":' + self._encode(stream) + b',"record":'
        encode = self._encode

        def write(record: dict[str, Any], end: bytes) -> None:
            # In one piece, for a signal may come between two.
            self._lines += begin + encode(record) + end
            if len(self._lines) > PIECE:
                self._write()

        return write

    @staticmethod
    def line_end(time_extracted: datetime) -> bytes:
        """The end of the lines of records that were read at a time."""
        return f',"time_extracted":"{time_extracted.isoformat()}"}}\n'.encode()

    def end_with(self, action: Callable[[], object]) -> None:
        """Does what ends the program, but not in the middle of a write.

        Asked for a second time in a write, which a target that reads no more may hold up for ever,
        it does so at once.
        """
        if self._is_writing and not self._is_ending:
            self._afterwards = action
            self._is_ending = True
            return
        if self._is_writing:
            abandon_output()
        self._is_ending = True
        action()

    def _write(self) -> None:
        self._is_writing = True
        try:
            sys.stdout.buffer.write(self._lines)
            sys.stdout.buffer.flush()
            self._lines.clear()
        finally:
            self._is_writing = False
        if self._afterwards is not None:
            action, self._afterwards = self._afterwards, None
            action()

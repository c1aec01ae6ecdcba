"""Singer messages on standard output, encoded once and written in large chunks."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_voicecalls.sync.conform import Record

#: RECORD messages are buffered up to this many bytes; any other message flushes them.
BUFFER_SIZE = 256 * 1024


class OutputClosedError(BaseException):
    """Standard output can't be written any more.

    It is not an `Exception`: those count as the failure of one stream, and the next one is synced.
    """


class _RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD", gc=False):
    """A RECORD message; the names are the Singer specification's."""

    stream: str
    record: object
    time_extracted: str


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes what the SDK's own writer writes, without a flush per record."""

    def __init__(self, output: BinaryIO | None = None) -> None:
        """Start with an empty buffer.

        Args:
            output: Where to write; by default standard output.
        """
        super().__init__()
        # Values that msgspec can't encode are written as the SDK's own writer writes them.
        encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
        self._encode = encoder.encode
        self._encode_lines = encoder.encode_lines
        self._output = output
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._is_writing = False
        self._is_ending = False
        self._after_write: Callable[[], object] | None = None

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as one line, without the line break."""
        fields = message.to_dict()
        if isinstance(moment := fields.get("time_extracted"), datetime):
            fields["time_extracted"] = moment.isoformat()
        return self._encode(fields)

    def write_message(self, message: Message) -> None:
        """Write a message; a RECORD waits for a full buffer or another message."""
        self._append(self.format_message(message) + b"\n")
        if not isinstance(message, RecordMessage) or self._buffered > BUFFER_SIZE:
            self._flush()

    def write_records(
        self, stream: str, records: Iterable[Record], time_extracted: datetime
    ) -> None:
        """Write RECORD messages of one stream, extracted at one time."""
        extracted = time_extracted.isoformat()
        self._append(
            self._encode_lines([_RecordMessage(stream, record, extracted) for record in records])
        )
        if self._buffered > BUFFER_SIZE:
            self._flush()

    def end_with(self, action: Callable[[], object]) -> None:
        """Run the action that ends the program, but not in the middle of a write.

        The second time it is called during one write, which a target that no longer reads can
        block forever, the action runs at once.
        """
        if self._is_writing and not self._is_ending:
            self._after_write = action
            self._is_ending = True
            return
        if self._is_writing:
            discard_output()
        self._is_ending = True
        action()

    def _append(self, lines: bytes) -> None:
        # Whole lines in one piece: a signal may arrive between two.
        self._buffer.append(lines)
        self._buffered += len(lines)

    def _flush(self) -> None:
        output = self._output or sys.stdout.buffer
        self._is_writing = True
        try:
            output.write(b"".join(self._buffer))
            output.flush()
            self._buffer.clear()
            self._buffered = 0
        except OSError as error:
            # What is left in Python's own buffer must not fail again at exit.
            discard_output()
            if isinstance(error, BrokenPipeError):
                message = "The target closed the pipe before everything was written: see its log."
            else:
                message = f"Standard output could not be written: {error.strerror}."
            raise OutputClosedError(message) from None
        finally:
            self._is_writing = False
        if self._after_write is not None:
            action, self._after_write = self._after_write, None
            action()


def discard_output() -> None:
    """Redirect standard output to nowhere, so that the program can end without a reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Singer messages on standard output, encoded once and written in large chunks."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage, StateMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_voicecalls.sync.conform import Record

#: For how many seconds the end of the program waits for a write that a target blocks.
BLOCKED_WRITE_TIMEOUT = 2.0
#: RECORD messages are buffered up to this many bytes; any other message flushes them.
BUFFER_SIZE = 256 * 1024


class OutputClosedError(BaseException):
    """Standard output can't be written any more.

    It is not an `Exception`: those count as the failure of one stream, and the next one is synced.
    """


class _RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD", gc=False, omit_defaults=True):
    """A RECORD message; the names are the Singer specification's."""

    stream: str
    record: object
    time_extracted: str
    version: int | None = None


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes what the SDK's own writer writes, without a flush per record.

    Threads may share it: messages are written one at a time, in one order.
    """

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
        self._lock = RLock()
        self._is_writing = False
        self._after_write: Callable[[], object] | None = None
        self._has_ended = False

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as one line, without the line break."""
        if isinstance(message, StateMessage):
            # In one step, because another vendor's thread may change the state at any time.
            return self._encode({"type": "STATE", "value": message.value})
        fields = message.to_dict()
        if isinstance(moment := fields.get("time_extracted"), datetime):
            fields["time_extracted"] = moment.isoformat()
        return self._encode(fields)

    def write_message(self, message: Message) -> None:
        """Write a message; a RECORD waits for a full buffer or another message."""
        with self._lock:
            # A state is encoded here: no other thread writes between the two.
            self._append(self.format_message(message) + b"\n")
            if not isinstance(message, RecordMessage) or self._buffered > BUFFER_SIZE:
                self._flush()

    def write_records(
        self,
        stream: str,
        records: Iterable[Record],
        time_extracted: datetime,
        version: int | None = None,
    ) -> None:
        """Write RECORD messages of one stream, extracted at one time."""
        extracted = time_extracted.isoformat()
        messages = [_RecordMessage(stream, record, extracted, version) for record in records]
        lines = self._encode_lines(messages)
        with self._lock:
            self._append(lines)
            if self._buffered > BUFFER_SIZE:
                self._flush()

    def end_with(self, last: Callable[[], object], end: Callable[[], object]) -> None:
        """Write last messages and end the program, in a signal handler, but not during a write.

        Where a target blocks a write, the last messages are not written.

        Args:
            last: Writes the last messages.
            end: Ends the program.
        """
        if not self._lock.acquire(timeout=BLOCKED_WRITE_TIMEOUT):
            end()
            return
        try:
            if self._is_writing:  # in this thread, which the signal interrupted
                self._after_write = lambda: self.end_with(last, end)
                return
            with suppress(OutputClosedError):
                last()
            self._has_ended = True
        finally:
            self._lock.release()
        end()

    def _append(self, lines: bytes) -> None:
        if self._has_ended:
            raise OutputClosedError("The run has ended.")
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

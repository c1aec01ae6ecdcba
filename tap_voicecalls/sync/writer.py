"""Singer messages on standard output, encoded once and written in large pieces."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Bytes of records that are kept back at most; any other message sends them on their way.
PIECE = 256 * 1024


def _as_text(value: object) -> str:
    """What msgspec does not write by itself, as the SDK's own writer has it."""
    return str(value)


def abandon_output() -> None:
    """Sends whatever is still written nowhere, so that the program can end without a reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class OutputClosedError(BaseException):
    """Nothing can be written any more, for the reason that it tells in a sentence.

    It is no `Exception`: those are taken for the trouble of one stream, and the next is read.
    """


class _RecordLine(msgspec.Struct, tag_field="type", tag="RECORD", gc=False):
    """A RECORD message; the names are the specification's."""

    stream: str
    record: object
    time_extracted: str


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes what the SDK's own writer writes, without a flush for each record."""

    def __init__(self) -> None:
        """Starts with nothing to write."""
        super().__init__()
        encoder = msgspec.json.Encoder(enc_hook=_as_text, decimal_format="number")
        self._encode = encoder.encode
        self._encode_lines = encoder.encode_lines
        self._pieces: list[bytes] = []
        self._size = 0
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
        self._add(self.format_message(message) + b"\n")
        if not isinstance(message, RecordMessage) or self._size > PIECE:
            self._write()

    def write_records(
        self, stream: str, records: Iterable[object], time_extracted: datetime
    ) -> None:
        """Writes records of one stream, ready for JSON, that were read at one time."""
        extracted = time_extracted.isoformat()
        self._add(
            self._encode_lines([_RecordLine(stream, record, extracted) for record in records])
        )
        if self._size > PIECE:
            self._write()

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

    def _add(self, lines: bytes) -> None:
        # Whole lines in one piece, for a signal may come between two.
        self._pieces.append(lines)
        self._size += len(lines)

    def _write(self) -> None:
        self._is_writing = True
        try:
            sys.stdout.buffer.write(b"".join(self._pieces))
            sys.stdout.buffer.flush()
            self._pieces.clear()
            self._size = 0
        except OSError as error:
            # What is still in Python's own buffer must not fail again at the exit.
            abandon_output()
            if isinstance(error, BrokenPipeError):
                said = "The target went away before everything was written: look at its messages."
            else:
                said = f"The output can't be written: {error.strerror}."
            raise OutputClosedError(said) from None
        finally:
            self._is_writing = False
        if self._afterwards is not None:
            action, self._afterwards = self._afterwards, None
            action()

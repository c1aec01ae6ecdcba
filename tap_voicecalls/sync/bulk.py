"""Writing records past the SDK's loop, where the SDK has nothing to do for each of them.

For every record the SDK looks up stream maps, selection, flattening and counters again. That costs
several times as much as the record itself: `zendesk_calls` take about a seventh of the CPU of the
SDK's defaults this way (`make bench` measures it). This is the only module that does so.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from singer_sdk.mapper import SameRecordTransform

from tap_voicecalls.sync.writer import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from singer_sdk.streams import Stream

    from tap_voicecalls.sync.conform import Record

#: Records that are encoded at once.
_BATCH = 250


def selected_columns(stream: Stream) -> list[str]:
    """Return the columns that are selected and that the SCHEMA message has."""
    written = stream.effective_schema["properties"]
    return [
        name
        for name in stream.schema["properties"]
        if name in written and stream.mask["properties", name]
    ]


class BulkRecordWriter:
    """Writes the records of one stream."""

    def __init__(self, stream: Stream, writer: MessageWriter) -> None:
        """Write the records of a stream with the tap's message writer."""
        self._stream = stream
        self._writer = writer

    @classmethod
    def for_stream(cls, stream: Stream, writer: object) -> BulkRecordWriter | None:
        """Return a writer, or None if the SDK has to handle each record.

        It has to where something is mapped, flattened, deselected, batched or limited.
        """
        (first_map, *more_maps) = stream.stream_maps
        is_plain = (
            not more_maps
            and type(first_map) is SameRecordTransform
            and not first_map.flattening_enabled
            and len(selected_columns(stream)) == len(stream.schema["properties"])
            and stream.ABORT_AT_RECORD_COUNT is None
            and not stream.get_batch_config(stream.config)
        )
        return cls(stream, writer) if is_plain and isinstance(writer, MessageWriter) else None

    def write(
        self,
        records: Iterable[Record],
        time_extracted: datetime,
        count: Callable[[int], object],
        *,
        version: int | None,
    ) -> int:
        """Write records and count them, some at a time; return how many they were."""
        written = 0
        remaining = iter(records)
        while batch := tuple(islice(remaining, _BATCH)):
            self._writer.write_records(self._stream.name, batch, time_extracted, version)
            written += len(batch)
            count(len(batch))
        # The SDK writes a STATE message only if something was written since the last one.
        self._stream.state_manager.is_flushed = False
        return written

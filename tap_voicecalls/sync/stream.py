"""What the three streams share: their start, how their bookmark moves, the shape of a record."""

from __future__ import annotations

import abc
import math
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import StateMessage
from singer_sdk.streams import Stream

from tap_voicecalls import schemas
from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.sync.conform import RecordConformer
from tap_voicecalls.sync.writer import MessageWriter
from tap_voicecalls.timestamps import format_utc

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_voicecalls.sync.conform import AnyRow
    from tap_voicecalls.tap import TapVoiceCalls

#: Seconds between two lines of progress.
PROGRESS_EVERY = 5.0
#: How far back the vendor is asked, to see whether it can be read.
CHECKED = timedelta(hours=1)
#: Records that are written at once.
AT_ONCE = 250


@dataclass(frozen=True)
class Slice:
    """What a vendor gives at a time: a page, or a window.

    Attributes:
        rows: The rows, as the vendor sent them.
        reached: Once these rows are written, everything before this time has been.
    """

    rows: Iterable[AnyRow]
    reached: datetime


class CallStream(Stream, abc.ABC):
    """An incremental stream whose bookmark says up to where everything has been read.

    After each portion is written, the bookmark becomes the point up to which everything has been
    read, but never later than the start of the sync less the lookback, and never earlier than it
    was. What is newer is written too, and read again next time: targets upsert on the key.
    """

    vendor: ClassVar[str]
    schema = StreamSchema(SchemaDirectory(schemas))
    # Records are conformed once, by their `RecordConformer`. The SDK's way would read the text "false"
    # as true.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapVoiceCalls) -> None:
        """Makes the stream; nothing is asked of the vendor."""
        super().__init__(tap)
        self.voicecalls = tap
        self.slices_read = 0
        self._rows_read = 0
        self._reached = ""
        self._record_counter: Counter | None = None

    @property
    @abc.abstractmethod
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""

    @abc.abstractmethod
    def slices(self, start: datetime, end: datetime | None) -> Generator[Slice]:
        """Reads from the vendor, in the order of time, from `start` to `end` or up to now.

        Raises:
            VoiceCallsError: It can't be read further.
        """

    @abc.abstractmethod
    def progress(self, share: float) -> str:
        """What the vendor's way of reading says of its progress, a `share` of the way along."""

    def check(self) -> None:
        """Reads a little from the vendor, and writes nothing.

        Raises:
            VoiceCallsError: It can't be read.
        """
        now = self.voicecalls.clock.now()
        with closing(self.slices(now - CHECKED, None)) as slices:
            next(slices, None)

    @cached_property
    def started_at(self) -> datetime:
        """When the sync of this stream began."""
        return self.voicecalls.clock.now()

    @property
    def max_bookmark(self) -> datetime:
        """No bookmark of this run is later: what is newer may still change unseen."""
        return self.started_at - self.lookback

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002
        """None: the bookmark has a limit of its own, `max_bookmark`."""
        return

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Gives each row that the SDK is to write, and moves the bookmark behind each portion.

        Where nothing maps, flattens, deselects or batches the records they are written here, many
        at once: the SDK looks all of that up again for each of them, which costs several times as
        much as the record itself.

        A failure ends this stream alone; the tap tells it at the end of the run.
        """
        start = self.get_starting_timestamp(context)
        assert start is not None  # noqa: S101 - start_date is required
        try:
            yield from self._rows(start, self.voicecalls.span.end)
        except VoiceCallsError as error:
            self.voicecalls.report_failure(self.name, str(error))
        except Exception as error:
            self.logger.debug("What went wrong in %s:", self.name, exc_info=True)
            self.voicecalls.report_failure(
                self.name,
                f"an error of the tap itself, {type(error).__name__} in {_place(error)}. Its "
                f"bookmark is safe; run with TAP_VOICECALLS_LOGLEVEL=DEBUG and report it.",
            )

    def _rows(self, start: datetime, end: datetime | None) -> Iterator[Record]:
        limit = self.started_at if end is None else min(self.started_at, end)
        if start >= limit:
            self.logger.warning(
                "%s: nothing to read, as its bookmark %s is not before %s.",
                self.name,
                format_utc(start),
                "now" if end is None else "end_date or now",
            )
            return
        told_at = self.voicecalls.clock.monotonic()
        for portion in self.slices(start, end):
            if self._writer is None:
                before = self._rows_read
                for self._rows_read, row in enumerate(portion.rows, before + 1):
                    yield row if isinstance(row, dict) else row.fields()
            else:
                self._write_rows(portion.rows, self._writer)
            # Here every row of the portion has been written.
            self.slices_read += 1
            self._move_bookmark(portion.reached if end is None else min(portion.reached, end))
            if self.voicecalls.clock.monotonic() - told_at >= PROGRESS_EVERY:
                told_at = self.voicecalls.clock.monotonic()
                self._log_progress(portion.reached, start, limit)
        self._log_progress(limit, start, limit)

    def _move_bookmark(self, reached: datetime) -> None:
        self._reached = format_utc(min(reached, self.max_bookmark))
        # With BATCH the rows so far are in no message yet: `get_batches` goes on from here.
        if not self.get_batch_config(self.config):
            self._set_bookmark()
            self.state_manager.finalize_state(self.stream_state)
            # Even if it stayed the same: some targets forget the one before the records.
            self.voicecalls.write_message(StateMessage(value=self.tap_state))

    def _set_bookmark(self) -> None:
        state = self.stream_state
        if self._reached and (
            state.get("replication_key") != self.replication_key
            or (state.get("replication_key_value") or "") < self._reached
        ):
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = self._reached

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Gives the batches, and moves the bookmark once the message of one has been written.

        Earlier, a termination would write a STATE ahead of the rows.
        """
        for batch in super().get_batches(batch_config, context):
            yield batch
            self._set_bookmark()
        self._set_bookmark()

    def _log_progress(self, reached: datetime, start: datetime, limit: datetime) -> None:
        share = min(1.0, max(0.0, (reached - start) / (limit - start)))
        self.logger.info(
            "%s: %s rows, read up to %s (%d %% of the way), %s.",
            self.name,
            f"{self._rows_read:,}",
            format_utc(min(reached, limit)),
            math.floor(100 * share),
            self.progress(share),
        )

    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        """Nothing: the SDK's bookmark follows each row, ours the slices.

        There is no public way to switch the SDK's off.
        """

    def _write_rows(self, rows: Iterable[AnyRow], writer: MessageWriter) -> None:
        time_extracted = self.voicecalls.clock.now()
        left = iter(rows)
        while some := tuple(islice(left, AT_ONCE)):
            records = self.shape.records(some)
            writer.write_records(self.name, records, time_extracted)
            self._rows_read += len(records)
            if self._record_counter is not None:
                self._record_counter.increment(len(records))
        self.state_manager.is_flushed = False

    @cached_property
    def _writer(self) -> MessageWriter | None:
        """What writes many records at once; None where the SDK has to look at each."""
        writer = self.voicecalls.message_writer
        is_unchanged = (
            len(self.stream_maps) == 1
            and type(self.stream_maps[0]) is SameRecordTransform
            and not self.stream_maps[0].flattening_enabled
            and all(self.mask["properties", name] for name in self.schema["properties"])
        )
        is_whole = self.ABORT_AT_RECORD_COUNT is None and not self.get_batch_config(self.config)
        return writer if is_unchanged and is_whole and isinstance(writer, MessageWriter) else None

    def get_record_counter(self, *args: Any, **kwargs: Any) -> Counter:
        """The SDK's, and kept: it counts the records that are written here too."""
        self._record_counter = super().get_record_counter(*args, **kwargs)
        return self._record_counter

    @cached_property
    def shape(self) -> RecordConformer:
        """What the stream's records look like."""
        return RecordConformer(
            self.schema, lambda said: self.logger.warning("%s: %s", self.name, said)
        )

    def post_process(self, row: Record, context: Context | None = None) -> Record:  # noqa: ARG002
        """Makes the record of a row."""
        (record,) = self.shape.conform((row,))
        return record


def _place(error: BaseException) -> str:
    """The file and line where an error arose, without its path."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"

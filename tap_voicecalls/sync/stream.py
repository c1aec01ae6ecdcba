"""What all streams share: where they start, how the bookmark moves, how records are written."""

from __future__ import annotations

import abc
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import StateMessage
from singer_sdk.streams import Stream

from tap_voicecalls import schemas
from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.sync.bulk import BulkRecordWriter
from tap_voicecalls.sync.conform import RecordConformer
from tap_voicecalls.sync.progress import Progress
from tap_voicecalls.timestamps import DateRange, format_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_voicecalls.http.server_clock import ServerClock
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.sync.slice import Slice


class VendorAccount(Protocol):
    """What every vendor's account has."""

    server_clock: ServerClock


AccountT = TypeVar("AccountT", bound=VendorAccount)

#: How far back a connection test reads.
_TEST_RANGE = timedelta(hours=1)


class VendorStream(Stream, abc.ABC, Generic[AccountT]):
    """An incremental stream that is read slice by slice.

    The bookmark contract: after each slice is written, the bookmark becomes the slice's watermark,
    the time up to which everything has been read, but never later than the start of the sync minus
    the lookback, and never earlier than it was. Newer rows are written too, and read again in the
    next run: targets upsert on the key.
    """

    schema = StreamSchema(SchemaDirectory(schemas))
    # `RecordConformer` has already conformed the records. The SDK would read "false" as true.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(
        self, tap: Tap, *, run: Callable[[], RunContext], account: Callable[[], AccountT]
    ) -> None:
        """Make the stream.

        Args:
            tap: The tap, for the SDK.
            run: Returns the current run. It is called once the sync starts: a catalog can be
                discovered without any settings.
            account: Returns the account, likewise.
        """
        super().__init__(tap)
        self._get_run = run
        self._get_account = account
        self._write_message = tap.write_message
        self._message_writer = tap.message_writer
        self._record_counter: Counter | None = None
        self._watermark = ""
        self.slices_read = 0

    @cached_property
    def run(self) -> RunContext:
        """The current run."""
        return self._get_run()

    @cached_property
    def account(self) -> AccountT:
        """The account that the vendor's streams share."""
        return self._get_account()

    @property
    @abc.abstractmethod
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""

    @abc.abstractmethod
    def slices(self, date_range: DateRange) -> Generator[Slice]:
        """Read slices from the vendor, in order of time.

        Raises:
            VoiceCallsError: The range can't be read completely.
        """

    @abc.abstractmethod
    def progress_details(self, share: float) -> str:
        """Return what a progress line says about requests or jobs, given the share done."""

    def check_connection(self) -> None:
        """Read a little from the vendor, and write nothing.

        Raises:
            VoiceCallsError: The stream can't be read.
        """
        with closing(self.slices(DateRange(self.run.clock.now() - _TEST_RANGE, None))) as slices:
            next(slices, None)

    # Reading

    @cached_property
    def started_at(self) -> datetime:
        """When the sync of this stream started."""
        return self.run.clock.now()

    @property
    def max_bookmark(self) -> datetime:
        """The latest bookmark of this run: what is newer may still change unseen."""
        server_started_at = self.account.server_clock.correct(self.started_at)
        return min(self.started_at, server_started_at) - self.lookback

    def read_limit(self, end: datetime | None) -> datetime:
        """Return the time up to which this run reads: its start, or `end` if that is earlier.

        Where the vendor's clock is ahead of the local one, its time counts.
        """
        started_at = max(self.started_at, self.account.server_clock.correct(self.started_at))
        return started_at if end is None else min(started_at, end)

    @cached_property
    def conformer(self) -> RecordConformer:
        """Makes records of the vendor's rows."""
        return RecordConformer(
            self.schema,
            self.primary_keys[0],
            lambda message: self.logger.warning("%s: %s", self.name, message),
        )

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records that the SDK has to handle, and write the others.

        A failure ends this stream alone; the tap reports it at the end of the run.
        """
        start = self.get_starting_timestamp(context)
        assert start is not None  # noqa: S101 - start_date is required
        try:
            yield from self._sync_slices(DateRange(start, self.run.date_range.end))
        except VoiceCallsError as error:
            self.run.report_failure(self.name, str(error))
        except Exception as error:
            self.logger.debug("Traceback of the failure of %s:", self.name, exc_info=True)
            self.run.report_failure(
                self.name,
                f"internal error, {type(error).__name__} in {_location(error)}. The bookmark is "
                f"safe. Run with TAP_VOICECALLS_LOGLEVEL=DEBUG and report the traceback.",
            )

    def _sync_slices(self, date_range: DateRange) -> Iterator[Record]:
        start, end = date_range.start, date_range.end
        limit = self.read_limit(end)
        if start >= limit:
            self.logger.warning(
                "%s: nothing to read, because its bookmark %s is not before %s.",
                self.name,
                format_utc(start),
                "now" if end is None else "end_date or now",
            )
            return
        bulk_writer = BulkRecordWriter.for_stream(self, self._message_writer)
        progress = Progress(
            self.name, start, limit, self.run.clock, self.logger, self.progress_details
        )
        for part in self.slices(date_range):
            if bulk_writer is not None:
                progress.rows += bulk_writer.write(
                    part.records, self.run.clock.now(), self._record_counter
                )
            else:
                for record in part.records:
                    progress.rows += 1
                    yield record.to_dict()
            # Here every record of the slice has been written.
            self.slices_read += 1
            self._advance_bookmark(part.watermark if end is None else min(part.watermark, end))
            progress.update(part.watermark)
        progress.finish()

    # The bookmark

    def _advance_bookmark(self, watermark: datetime) -> None:
        self._watermark = format_utc(min(watermark, self.max_bookmark))
        # With BATCH the records are in no message yet: `get_batches` sets the bookmark.
        if not self.get_batch_config(self.config):
            self._set_bookmark()
            self.state_manager.finalize_state(self.stream_state)
            # Also if it did not move: some targets forget the state before the records.
            self._write_message(StateMessage(value=self.tap_state))

    def _set_bookmark(self) -> None:
        state = self.stream_state
        if self._watermark and (
            state.get("replication_key") != self.replication_key
            or (state.get("replication_key_value") or "") < self._watermark
        ):
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = self._watermark

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield the batches, and set the bookmark once a BATCH message has been written.

        Any earlier, a termination would write a STATE message ahead of the records.
        """
        for batch in super().get_batches(batch_config, context):
            yield batch
            self._set_bookmark()
        self._set_bookmark()

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002
        """Return None: the bookmark has a limit of its own, `max_bookmark`."""
        return

    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        """Do nothing: the SDK's bookmark follows each record, ours the slices.

        There is no public way to switch off the SDK's.
        """

    def get_record_counter(self, *args: Any, **kwargs: Any) -> Counter:
        """Return the SDK's counter, and keep it for the records that are written in bulk."""
        self._record_counter = super().get_record_counter(*args, **kwargs)
        return self._record_counter


def _location(error: BaseException) -> str:
    """Return the file and line where an error was raised, without the folder."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"

"""What all streams share: where they start, how the bookmark moves, how records are written."""

from __future__ import annotations

import abc
import logging
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.exceptions import (
    AbortedSyncFailedException,
    AbortedSyncPausedException,
)
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.metrics import Status, Tag
from singer_sdk.singerlib import StateMessage
from singer_sdk.streams import Stream

from tap_voicecalls import schemas
from tap_voicecalls.errors import VoiceCallsError, failure_message
from tap_voicecalls.http.usage import ApiUsage
from tap_voicecalls.sync.bulk import BulkRecordWriter, selected_columns
from tap_voicecalls.sync.conform import RecordConformer
from tap_voicecalls.sync.progress import Progress
from tap_voicecalls.sync.summary import StreamResult
from tap_voicecalls.timestamps import DateRange, format_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter, Timer
    from singer_sdk.singerlib import Catalog, RecordMessage

    from tap_voicecalls.http.server_clock import ServerClock
    from tap_voicecalls.sync.conform import Record as ConformingRecord
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.sync.slice import Slice


class VendorAccount(Protocol):
    """What every vendor's account has."""

    server_clock: ServerClock


AccountT = TypeVar("AccountT", bound=VendorAccount)

#: How far back a connection test reads.
_TEST_RANGE = timedelta(hours=1)


class VendorStream(Stream, abc.ABC, Generic[AccountT]):
    """A stream that is read slice by slice; an incremental one, unless it is a `FullTableStream`.

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
        self._sync_timer: Timer | None = None
        self._watermark = ""
        # The stream's own keys; a catalog can change what the SDK takes for them.
        self._own_keys = tuple(self.primary_keys)
        self._own_replication_key = self.replication_key
        #: What is wrong with the stream's bookmark or catalog entry, so that it can't be synced.
        self.invalid_input = ""
        self.slices_read = 0

    @cached_property
    def run(self) -> RunContext:
        """The current run."""
        return self._get_run()

    @cached_property
    def account(self) -> AccountT:
        """The account that the vendor's streams share."""
        return self._get_account()

    @cached_property
    def result(self) -> StreamResult:
        """What the sync has achieved so far."""
        return StreamResult(self.run.clock)

    @cached_property
    def usage(self) -> ApiUsage:
        """What the stream uses of the vendor's API."""
        return ApiUsage(self.run.clock)

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

    def api_usage(self) -> dict[str, int]:
        """Return what the summary counts at the vendor, by its noun in the singular."""
        return {"request": self.usage.requests}

    def check_connection(self) -> None:
        """Read a little from the vendor, and write nothing.

        Raises:
            VoiceCallsError: The stream can't be read.
        """
        with closing(self.slices(DateRange(self.run.clock.now() - _TEST_RANGE, None))) as slices:
            next(slices, None)

    # The catalog

    def apply_catalog(self, catalog: Catalog) -> None:
        """Apply a catalog: its selection, its schema, and FULL_TABLE."""
        super().apply_catalog(catalog)
        # No choice: the vendor can be read in no other order.
        self.replication_key = self._own_replication_key
        entry = catalog.get_stream(self.name)
        if entry is None:
            return
        if not entry.key_properties:
            entry.key_properties = self.primary_keys = self._own_keys
        columns = self.effective_schema.get("properties", {})
        if missing := [key for key in self._own_keys if key not in columns]:
            self.invalid_input = (
                f"The catalog's schema for {self.name} lacks the primary key {missing[0]}. "
                f"Create the catalog again, with --discover."
            )

    @property
    def is_timestamp_replication_key(self) -> bool:
        """True; the SDK looks in the catalog's schema, which may lack the column."""
        return True

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
            self._own_keys,
            lambda message: self._warn("%s", message),
        )

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc] # final: extended
        """Sync the stream. What fails, fails this stream alone.

        Its errors must not reach the SDK, which would end the run.
        """
        if self.invalid_input:
            self.run.report_failure(self.name, self.invalid_input)
            return
        self.result.start()
        try:
            super().sync(context)
            self.finalize_state_progress_markers()
        except (AbortedSyncFailedException, AbortedSyncPausedException):
            raise  # the record limit of a dry run
        except Exception as error:  # noqa: BLE001 - of the SDK, such as a stream map's
            self._report_failure(error)
        self.result.end()

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records that the SDK has to handle, and write the others."""
        start = self.get_starting_timestamp(context) or self.run.date_range.start
        try:
            yield from self._sync_slices(DateRange(start, self.run.date_range.end))
        except Exception as error:  # noqa: BLE001 - reported
            self._report_failure(error)

    def _report_failure(self, error: Exception) -> None:
        """Record a failure, which the tap reports at the end of the run."""
        self.logger.debug("Traceback of the failure of %s:", self.name, exc_info=error)
        self.run.report_failure(self.name, failure_message(error))
        if self._sync_timer is not None:
            # The SDK sees no failure, because the error does not reach it.
            self._sync_timer.tags[Tag.STATUS] = Status.FAILED

    def _warn(self, message: str, *args: object) -> None:
        self.run.log(self.name, message, *args, level=logging.WARNING)

    def _sync_slices(self, date_range: DateRange) -> Iterator[Record]:
        start, end = date_range.start, date_range.end
        limit = self.read_limit(end)
        if start >= limit:
            self._warn(
                "nothing to read, because its bookmark %s is not before %s.",
                format_utc(start),
                "now" if end is None else "end_date or now",
            )
            return
        progress = Progress(self.name, start, limit, self.run, self.progress_details)
        for part in self.slices(date_range):
            progress.rows += yield from self._write_records(part.records)
            # Here every record of the slice has been written.
            self.slices_read += 1
            assert part.watermark is not None  # noqa: S101 - for the type checker
            watermark = part.watermark if end is None else min(part.watermark, end)
            self._advance_bookmark(watermark)
            self.result.read_up_to = watermark
            progress.update(watermark)
        progress.finish(self.result.read_up_to or start)

    def _count_written(self, records: int) -> None:
        """Count records that were written past the SDK."""
        self.result.records += records
        if self._record_counter is not None:
            self._record_counter.increment(records)

    def _write_records(self, records: Iterable[ConformingRecord]) -> Generator[Record, None, int]:
        """Write the records of a slice, or yield those that the SDK has to handle.

        Returns:
            How many they are.
        """
        bulk_writer = BulkRecordWriter.for_stream(self, self._message_writer)
        if bulk_writer is not None:
            return bulk_writer.write(
                records, self.run.clock.now(), self._count_written, version=self._stream_version
            )
        columns, rows = selected_columns(self), 0
        for record in records:
            rows += 1
            yield {name: record.get(name) for name in columns}
        return rows

    # Selection and stream maps, where the SDK applies them to each record

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage]:
        """Yield and count the RECORD messages of a record.

        There is no public hook around the stream maps.

        Raises:
            VoiceCallsError: An expression in the stream maps fails for this record.
        """
        try:
            for message in super()._generate_record_messages(record):
                self.result.records += 1
                yield message
        except Exception as error:
            self.logger.debug("Traceback of the stream map:", exc_info=True)
            raise VoiceCallsError(
                f"stream_maps can't be applied to a record: {type(error).__name__}. Correct the "
                f"expressions for {self.name}: they have to accept every value, also null."
            ) from None

    def post_process(
        self,
        row: Record,
        context: Context | None = None,  # noqa: ARG002
    ) -> Record | None:
        """Return a record as its RECORD message has it, also for a BATCH file.

        The SDK writes to these files what the stream maps remove.
        """
        if not self._has_batches:
            return row
        message = next(self._generate_record_messages(row), None)
        return None if message is None else dict(message.record)

    @property
    def emit_activate_version_messages(self) -> bool:
        """False: the SDK would write the message before the first record.

        An incremental stream is never read as a whole, since it begins at `start_date`.
        """
        return False

    # The bookmark

    def _advance_bookmark(self, watermark: datetime) -> None:
        self._watermark = format_utc(min(watermark, self.max_bookmark))
        # With BATCH the records are in no message yet: `get_batches` sets the bookmark.
        if not self._has_batches:
            self._set_bookmark()
            self._write_state()

    def _write_state(self) -> None:
        """Write a STATE message, which flushes the records before it.

        Also if the state did not change: some targets forget the one before the records.
        """
        self.state_manager.finalize_state(self.stream_state)
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

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        """Return the SDK's, with a file system of its own.

        The SDK writes each file in a transaction of the file system, which fsspec's cache would
        share between the vendors' threads.
        """
        batch_config = super().get_batch_config(config)
        if batch_config is not None:
            batch_config.storage.params["skip_instance_cache"] = True
        return batch_config

    @cached_property
    def _has_batches(self) -> bool:
        return self.get_batch_config(self.config) is not None

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

    def get_sync_timer(self) -> Timer:
        """Return the SDK's timer, and keep it for the status of a failure."""
        self._sync_timer = super().get_sync_timer()
        return self._sync_timer

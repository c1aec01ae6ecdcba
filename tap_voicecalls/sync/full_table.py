"""Streams that are read as a whole: tables without a replication key, such as the groups."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tap_voicecalls.sync.progress import Progress
from tap_voicecalls.sync.stream import AccountT, VendorStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Record

    from tap_voicecalls.timestamps import DateRange


class FullTableStream(VendorStream[AccountT]):
    """A stream that each run reads as a whole. It has no bookmark; its slices have no watermark.

    Once the whole table has been written, and only then, an ACTIVATE_VERSION message can tell the
    target that what is missing is gone. The SDK writes it before the first record: if the read then
    fails, the target has marked every row as deleted.
    """

    lookback = timedelta()

    def _sync_slices(self, date_range: DateRange) -> Iterator[Record]:
        now = self.started_at
        if self._emits_version:
            self._stream_version = int(now.timestamp())
        progress = Progress(self.name, now, now, self.run, self.progress_details)
        for part in self.slices(date_range):
            progress.rows += yield from self._write_records(part.records)
            self.slices_read += 1
            if not self._has_batches:
                self._write_state()
            progress.update(None)
        self.result.read_up_to = now
        if not progress.rows:
            self._warn("there are no rows, which is unusual. The rows in the target are kept.")
        elif self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)
            self._write_state()

    @property
    def _emits_version(self) -> bool:
        """Whether ACTIVATE_VERSION is wanted, and can be trusted.

        Records in BATCH files have no version, and a dry run does not read the whole table.
        """
        return (
            bool(self.config.get("emit_activate_version_messages"))
            and self.ABORT_AT_RECORD_COUNT is None
            and not self._has_batches
        )

"""Rows that share a key which Talkdesk does not document as unique."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_voicecalls.sync.conform import Record
    from tap_voicecalls.talkdesk.report_types import ReportType

#: The rows of a report that are compared with each other, at most: memory has a bound.
_MAX_ROWS = 100_000


class KeyCheck:
    """Compares the rows of one report by their key.

    Targets upsert, so of rows with the same key the last one counts. Here it is also the longest
    one, where the report type has a field for that: a status without a duration must not replace
    the one that began in the same second.

    Attributes:
        conflicts: How many rows had the key of an earlier one, and differed from it.
    """

    def __init__(self, report: ReportType) -> None:
        """Start before the first row."""
        self.conflicts = 0
        self._key = attrgetter(*report.keys)
        self._longest = report.longest
        self._seen: dict[object, tuple[int, int]] = {}

    def is_superseded(self, record: Record, row: bytes) -> bool:
        """Whether an earlier row counts instead, or is the same.

        Args:
            record: The row's record.
            row: The row, as it was sent.
        """
        key, content = self._key(record), hash(row)
        length = record.get(self._longest) or 0 if self._longest else 0
        before = self._seen.get(key)
        if before is not None:
            if before[1] == content:
                return True
            self.conflicts += 1
            if before[0] > length:
                return True
        if before is not None or len(self._seen) < _MAX_ROWS:
            self._seen[key] = length, content
        return False

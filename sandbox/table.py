"""Rows indexed by a timestamp field."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from sandbox.history import to_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.history import Row

K = TypeVar("K", int, str)


class Table(Generic[K]):
    """Rows by primary key and by timestamp. Thread-safe."""

    def __init__(self, rows: Mapping[K, Row], *, key: str, order_by: str) -> None:
        """Index rows.

        Args:
            rows: The rows by primary key.
            key: The field with the primary key.
            order_by: The field with the timestamp that orders the rows.
        """
        self.rows: dict[K, Row] = dict(rows)
        self._key = key
        self._order_by = order_by
        self._visible_at: dict[K, float] = {}
        self._order: list[tuple[int, K]] = sorted(
            (to_epoch(row[order_by]), name) for name, row in self.rows.items()
        )
        self._lock = threading.Lock()

    def put(self, row: Row, visible_at: float | None = None) -> None:
        """Insert a row, or replace the row with the same primary key.

        Args:
            row: The row.
            visible_at: The Unix time from which reads return it; by default immediately.
        """
        name: K = row[self._key]
        entry = (to_epoch(row[self._order_by]), name)
        with self._lock:
            self._remove(name)
            self.rows[name] = row
            insort(self._order, entry)
            self._visible_at[name] = visible_at or 0.0

    def delete(self, name: K) -> None:
        """Delete the row with a primary key."""
        with self._lock:
            self._remove(name)

    def _remove(self, name: K) -> None:
        if old := self.rows.pop(name, None):
            del self._order[bisect_left(self._order, (to_epoch(old[self._order_by]), name))]

    def page(self, start: int, size: int, *, now: float, lag: float = 0.0) -> list[Row]:
        """Return the first visible rows at or after a timestamp, in order.

        Args:
            start: The Unix time of the first row, inclusive.
            size: The maximum number of rows.
            now: The current Unix time.
            lag: How many seconds after its timestamp a row stays hidden.
        """
        with self._lock:
            end = self._index_of(int(now - lag) + 1) if lag else len(self._order)
            return list(islice(self._visible(self._index_of(start), end, now), size))

    def between(self, start: int, end: int, *, now: float) -> list[Row]:
        """Return the visible rows from `start` (inclusive) to `end` (exclusive), in order."""
        with self._lock:
            return list(self._visible(self._index_of(start), self._index_of(end), now))

    def _index_of(self, second: int) -> int:
        """Return the index of the first row at or after a Unix time."""
        return bisect_left(self._order, second, key=lambda entry: entry[0])

    def _visible(self, first: int, end: int, now: float) -> Iterator[Row]:
        for index in range(first, end):
            name = self._order[index][1]
            if self._visible_at.get(name, 0.0) <= now:
                yield self.rows[name]

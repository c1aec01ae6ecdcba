"""Rows in the order of one of their times, found without looking at all of them."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from sandbox.history import epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.history import Row

K = TypeVar("K", int, str)


class Table(Generic[K]):
    """The rows of one kind, by key and by time; safe to change while the servers read it."""

    def __init__(self, rows: Mapping[K, Row], *, key: str, time: str) -> None:
        """Takes rows.

        Args:
            rows: The rows, by their key.
            key: The field that holds the key.
            time: The field that they are ordered by.
        """
        self.rows: dict[K, Row] = dict(rows)
        self._key = key
        self._time = time
        self._visible_at: dict[K, float] = {}
        self._order: list[tuple[int, K]] = sorted(
            (epoch(row[time]), name) for name, row in self.rows.items()
        )
        self._lock = threading.Lock()

    def put(self, row: Row, visible_at: float | None = None) -> None:
        """Adds a row, or replaces the one with its key.

        Args:
            row: The row.
            visible_at: From when on it is shown, in seconds since 1970; at once without.
        """
        name: K = row[self._key]
        entry = (epoch(row[self._time]), name)
        with self._lock:
            if old := self.rows.get(name):
                del self._order[bisect_left(self._order, (epoch(old[self._time]), name))]
            self.rows[name] = row
            insort(self._order, entry)
            self._visible_at[name] = visible_at or 0.0

    def page(self, start: int, size: int, *, now: float, lag: float = 0.0) -> list[Row]:
        """The first visible rows from a second on, in order.

        Args:
            start: The second.
            size: How many rows at most.
            now: The time.
            lag: For how many seconds after its time a row stays hidden.
        """
        with self._lock:
            end = self._place(int(now - lag) + 1) if lag else len(self._order)
            return list(islice(self._visible(self._place(start), end, now), size))

    def between(self, start: int, end: int, *, now: float) -> list[Row]:
        """The visible rows from a second on and before another, in order."""
        with self._lock:
            return list(self._visible(self._place(start), self._place(end), now))

    def _place(self, second: int) -> int:
        """Where the rows of a second begin."""
        return bisect_left(self._order, second, key=lambda entry: entry[0])

    def _visible(self, first: int, end: int, now: float) -> Iterator[Row]:
        for index in range(first, end):
            name = self._order[index][1]
            if self._visible_at.get(name, 0.0) <= now:
                yield self.rows[name]

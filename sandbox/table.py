"""Rows in the order of one of their times, found without looking at all of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Generic, TypeVar

from sandbox.history import epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.history import Row

K = TypeVar("K", int, str)


class Table(Generic[K]):
    """The rows of one kind, by key and by time."""

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

    def put(self, row: Row, visible_at: float | None = None) -> None:
        """Adds a row, or replaces the one with its key.

        Args:
            row: The row.
            visible_at: From when on it is shown, in seconds since 1970; at once without.
        """
        name: K = row[self._key]
        if old := self.rows.get(name):
            entry = (epoch(old[self._time]), name)
            del self._order[bisect_left(self._order, entry)]
        self.rows[name] = row
        insort(self._order, (epoch(row[self._time]), name))
        if visible_at is not None:
            self._visible_at[name] = visible_at

    def since(self, second: int, now: float) -> Iterator[Row]:
        """The rows from a second on that are visible now, in order."""
        start = bisect_left(self._order, second, key=lambda entry: entry[0])
        for index in range(start, len(self._order)):
            name = self._order[index][1]
            if self._visible_at.get(name, 0.0) <= now:
                yield self.rows[name]

    def between(self, start: int, end: int, now: float) -> list[Row]:
        """The visible rows from a second on and before another, in order."""
        rows: list[Row] = []
        for row in self.since(start, now):
            if epoch(row[self._time]) >= end:
                break
            rows.append(row)
        return rows

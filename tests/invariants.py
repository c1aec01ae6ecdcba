"""What the property tests of delivery share: the invariant of every state, and transient errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sandbox.faults import NotJson, Reset, Respond, Truncate
from tests.harness import REPLICATION_KEYS, Killed, as_written, row_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.faults import Effect
    from sandbox.history import Row

slow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)

#: Errors that a retry resolves, for any request.
TRANSIENT_ERRORS: tuple[Effect, ...] = (
    Respond(429, headers={"Retry-After": "5"}),
    Respond(503),
    Reset(),
    Truncate(),
    NotJson(),
)
transient_errors = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(TRANSIENT_ERRORS)),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@dataclass
class StateInvariantChecker:
    """Checks each message: no STATE may be ahead of the records before it, or move back.

    Attributes:
        stream: The stream to check.
        rows: The vendor's rows, by key.
        since: The start date.
        is_visible: Whether the API returns the row with this key yet.
        records: The latest record of each key.
        bookmark: The latest bookmark.
        kill_after: The number of messages after which the tap is killed; None for never.
    """

    stream: str
    rows: dict[Any, Row]
    since: str = "2026"
    is_visible: Callable[[Any], bool] = lambda _: True
    records: dict[Any, Row] = field(default_factory=dict)
    bookmark: str = ""
    kill_after: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise Killed
        if message["type"] == "RECORD" and message["stream"] == self.stream:
            self.records[row_key(self.stream, message["record"])] = message["record"]
        if message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"].get(self.stream, {})
            self.check_state(bookmark.get("replication_key_value") or "")

    def check_state(self, bookmark: str) -> None:
        """Assert that every visible row before the bookmark has been written."""
        assert bookmark >= self.bookmark
        self.bookmark = bookmark
        time = REPLICATION_KEYS[self.stream]
        for key, row in self._written_rows():
            if row[time] < bookmark and self.is_visible(key):
                assert key in self.records, (bookmark, row)
                assert self.records[key][time] >= row[time]

    def check_complete(self) -> None:
        """Assert that a target holds the vendor's latest version of every row."""
        for key, row in self._written_rows():
            assert {name: self.records[key][name] for name in row} == row

    def _written_rows(self) -> Iterator[tuple[Any, Row]]:
        """Yield the rows that have to be read, by the key of their record."""
        for row in self.rows.values():
            written = as_written(self.stream, row)
            if written[REPLICATION_KEYS[self.stream]] >= self.since:
                yield row_key(self.stream, written), written

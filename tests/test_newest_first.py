"""The newest calls first: an hourly job from a recent date on, and a backfill of what is before.

Both load into the same tables, each with a state of its own; docs/operating.md has the recipe.

* One after the other, no row is missed, and none ends up in an older version.
* At the same time, that holds if the hourly job's lookback is as long as the backfill.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Sandbox
from tests.harness import DEFAULT_STREAMS, NOW, REPLICATION_KEYS, FakeClock, sync, timestamp
from tests.invariants import slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.history import Row
    from tests.harness import Output

START = timestamp(NOW - timedelta(days=60))
#: Where the two ranges meet.
RECENT = timestamp(NOW - timedelta(days=3))
NEW_CHARGE = "9.99"


class Jobs:
    """The hourly job and the backfill, which upsert into the same tables.

    Attributes:
        tables: The stored records, by stream and key.
    """

    def __init__(self, sandbox: Sandbox, clock: FakeClock, **settings: Any) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._settings: dict[str, dict[str, Any]] = {
            "hourly": {"start_date": RECENT, **settings},
            "backfill": {"start_date": START, "end_date": RECENT},
        }
        self._states: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, dict[Any, Row]] = {stream: {} for stream in DEFAULT_STREAMS}

    def run(
        self,
        job: str,
        *,
        on_message: Callable[[dict[str, Any]], None] = lambda _: None,
        stored: int | None = None,
    ) -> Output:
        """Run a job.

        Args:
            job: `hourly` or `backfill`.
            on_message: Called with each message. The target stores all of them at the end.
            stored: The number of messages after which the run is killed; by default never.
        """
        output = sync(
            # The clock jumps while report jobs are running.
            {**self._sandbox.config, **self._settings[job], "talkdesk_job_timeout_seconds": 10**6},
            clock=self._clock,
            state=self._states.get(job),
            on_message=on_message,
        )
        output.messages[:] = output.messages[:stored]
        assert output.failures == {}
        for stream in DEFAULT_STREAMS:
            self.tables[stream].update(output.latest(stream))
        self._states[job] = output.state or self._states.get(job, {})
        return output

    def assert_tables_are_current(self) -> None:
        """Assert that the tables hold the latest version of every row."""
        for stream, table in self.tables.items():
            for key, row in self._sandbox.rows[stream].items():
                if row[REPLICATION_KEYS[stream]] >= START:
                    assert version(table[key]) == version(row)


def version(row: Row) -> tuple[Any, ...]:
    """Return the fields that the tests change."""
    return tuple(row.get(name) for name in ("updated_at", "call_charge", "csat_score"))


def change_call(sandbox: Sandbox, clock: FakeClock, call_id: int) -> None:
    """Change a call as Zendesk does once it knows the charge."""
    change = {"updated_at": timestamp(clock.now()), "call_charge": NEW_CHARGE}
    sandbox.zendesk.put_call(sandbox.zendesk.calls[call_id] | change)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=60, days=50, page_size=20, zendesk_requests_per_minute=None)


def test_first_run_has_the_newest_calls_and_the_backfill_the_others(
    sandbox: Sandbox, clock: FakeClock
) -> None:
    (call, *_) = sandbox.zendesk.calls.values()
    for number, updated_at in enumerate((RECENT, timestamp(NOW - timedelta(days=3, seconds=1)))):
        sandbox.zendesk.put_call(call | {"id": number, "updated_at": updated_at})
    jobs = Jobs(sandbox, clock)
    jobs.run("hourly")
    for stream, table in jobs.tables.items():
        rows = sandbox.rows[stream].items()
        assert table.keys() == {key for key, row in rows if row[REPLICATION_KEYS[stream]] >= RECENT}
    hourly = {stream: set(table) for stream, table in jobs.tables.items()}
    backfill = jobs.run("backfill")
    for stream in DEFAULT_STREAMS:
        assert not hourly[stream] & set(backfill.latest(stream))
    jobs.assert_tables_are_current()
    assert not any(jobs.run("backfill").records(stream) for stream in DEFAULT_STREAMS)


def run_backfill_while_a_call_changes(
    jobs: Jobs, sandbox: Sandbox, clock: FakeClock, meanwhile: Callable[[], object] = bool
) -> int:
    """Run the backfill for four hours; a call that it has read changes after one hour.

    Args:
        jobs: The jobs.
        sandbox: The vendors.
        clock: The clock.
        meanwhile: What happens after three hours.

    Returns:
        The ID of the call, of which the backfill has stored the older version.
    """
    changed: list[int] = []

    def change(message: dict[str, Any]) -> None:
        if message["type"] == "RECORD" and message["stream"] == "zendesk_calls" and not changed:
            changed.append(message["record"]["id"])
            clock.advance(hours=1)
            change_call(sandbox, clock, changed[0])
            clock.advance(hours=2)
            change_call(sandbox, clock, max(sandbox.zendesk.calls))  # the bookmark moves past
            meanwhile()
            clock.advance(hours=1)

    jobs.run("backfill", on_message=change)
    assert not is_current(jobs, changed[0])
    return changed[0]


def is_current(jobs: Jobs, call_id: int) -> bool:
    """Return whether the newer version of a call that has changed is stored."""
    return bool(jobs.tables["zendesk_calls"][call_id]["call_charge"] == NEW_CHARGE)


def test_call_that_changes_during_the_backfill_is_loaded_by_the_next_hourly_run(
    sandbox: Sandbox, clock: FakeClock
) -> None:
    jobs = Jobs(sandbox, clock)
    jobs.run("hourly")
    run_backfill_while_a_call_changes(jobs, sandbox, clock)
    jobs.run("hourly")
    jobs.assert_tables_are_current()


@pytest.mark.parametrize(("lookback", "suffices"), [(300, False), (4 * 3600, True)])
def test_backfill_at_the_same_time_needs_a_lookback_as_long_as_it_takes(
    sandbox: Sandbox, clock: FakeClock, *, lookback: int, suffices: bool
) -> None:
    jobs = Jobs(sandbox, clock, zendesk_lookback_seconds=lookback)
    jobs.run("hourly")
    call_id = run_backfill_while_a_call_changes(
        jobs, sandbox, clock, meanwhile=lambda: jobs.run("hourly")
    )
    jobs.run("hourly")
    assert is_current(jobs, call_id) is suffices


@slow
@given(
    ages=st.lists(st.floats(0, 24 * 6), max_size=25),
    runs=st.lists(
        st.tuples(
            st.sampled_from(("hourly", "backfill")),
            st.none() | st.integers(0, 60),  # the messages after which it is killed
            st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=3),
        ),
        max_size=5,
    ),
    page_size=st.integers(5, 12),
)
def test_tables_are_current_after_any_runs_one_after_the_other(
    ages: list[float],
    runs: list[tuple[str, int | None, list[tuple[int, int]]]],
    page_size: int,
) -> None:
    """Calls change between any two messages; runs are killed, and their target loses the rest."""
    clock = FakeClock()
    with Sandbox(
        calls=0, page_size=page_size, clock=clock.time, zendesk_requests_per_minute=None
    ) as sandbox:
        (call,), (talkdesk_call,) = sandbox.zendesk.calls.values(), sandbox.talkdesk.calls.values()
        for number, hours in enumerate(ages):
            at = timestamp(NOW - timedelta(hours=hours, seconds=number))
            sandbox.zendesk.put_call(call | {"id": number, "updated_at": at})
            at = timestamp(NOW - timedelta(hours=hours, minutes=5))
            sandbox.talkdesk.put_call(talkdesk_call | {"call_id": f"call-{number}", "end_at": at})
        jobs = Jobs(sandbox, clock)
        for job, stored, changes in [*runs, ("backfill", None, []), ("hourly", None, [])]:
            count = 0

            def change(_: dict[str, Any], changes: list[tuple[int, int]] = changes) -> None:
                nonlocal count
                count += 1
                for after, number in changes:
                    if after == count and number < len(ages):
                        clock.advance(seconds=30)
                        change_call(sandbox, clock, number)

            jobs.run(job, on_message=change, stored=stored)
            clock.advance(minutes=10)
        jobs.assert_tables_are_current()

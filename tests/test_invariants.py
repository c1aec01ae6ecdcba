"""Delivery guarantees, for accounts, errors and kills that Hypothesis generates.

* No STATE is ever ahead of the records written before it.
* After any number of kills and transient errors, a target holds the latest version of every row.
* The sync ends, with no more requests or longer windows than the data and the settings call for.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from sandbox.talkdesk import jobs_path
from sandbox.zendesk import PATH
from tests.harness import NOW, REPLICATION_KEYS, FakeClock, sync, timestamp
from tests.invariants import StateInvariantChecker, slow, transient_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Effect
    from sandbox.talkdesk_reports import TimespanBy

ages = st.one_of(
    st.integers(0, 400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 40).map(lambda hours: timedelta(hours=hours)),
)


@slow
@given(
    bursts=st.lists(st.tuples(ages, st.integers(1, 4)), max_size=12),
    page_size=st.integers(8, 20),
    shuffle=st.booleans(),
    late=st.lists(st.integers(10, 200), max_size=2),
    updates=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=3),
    errors=transient_errors,
    kills=st.lists(st.integers(0, 30), max_size=3),
    data=st.data(),
)
def test_zendesk_calls_are_synced_completely(  # noqa: C901
    bursts: list[tuple[timedelta, int]],
    page_size: int,
    shuffle: bool,  # noqa: FBT001
    late: list[int],
    updates: list[tuple[int, int]],
    errors: list[tuple[int, Effect]],
    kills: list[int],
    data: st.DataObject,
) -> None:
    clock = FakeClock()
    path = f"{PATH}/calls"
    with Sandbox(
        calls=0, page_size=page_size, clock=clock.time, zendesk_requests_per_minute=10
    ) as sandbox:
        template = sandbox.zendesk.calls[10217]
        hidden: dict[int, float] = {}
        second_sizes: dict[str, int] = {}
        for age, size in bursts:
            updated_at = timestamp(NOW - age)
            for _ in range(size):
                second_sizes[updated_at] = second_sizes.get(updated_at, 0) + 1
                # A full second would rightly be an error.
                if second_sizes[updated_at] < page_size - len(updates) - len(late):
                    row = template | {"id": len(sandbox.zendesk.calls), "updated_at": updated_at}
                    sandbox.zendesk.put_call(row)
        for seconds in late:
            call_id = 50_000 + len(hidden)
            # The row becomes visible two minutes after its `updated_at`.
            row = template | {
                "id": call_id,
                "updated_at": timestamp(NOW - timedelta(seconds=seconds)),
            }
            hidden[call_id] = clock.time() - seconds + 120
            sandbox.zendesk.put_call(row, visible_at=hidden[call_id])

        def update(choice: int) -> Callable[[Any], Any]:
            def edit(body: Any) -> Any:
                ids = sorted(set(sandbox.zendesk.calls) - {10217} - set(hidden))
                if ids:
                    row = sandbox.zendesk.calls[ids[choice % len(ids)]]
                    change = {"updated_at": timestamp(clock.now()), "call_charge": f"0.{choice}"}
                    sandbox.zendesk.put_call(row | change)
                return body

            return edit

        for after, choice in updates:
            sandbox.faults.add(Fault.edit(path, update(choice), after=after))
        for after, effect in errors:
            sandbox.faults.add(Fault(path, effect, after=after))
        sandbox.zendesk.shuffle = shuffle

        config = {name: value for name, value in sandbox.config.items() if "talkdesk" not in name}
        config["start_date"] = "2026-01-01T00:00:00Z"
        checker = StateInvariantChecker(
            "zendesk_calls",
            sandbox.zendesk.calls,
            is_visible=lambda call_id: hidden.get(call_id, 0) <= clock.time(),
        )
        state: dict[str, Any] | None = None
        for kill in kills:
            checker.kill_after = kill
            killed = sync(
                config, clock=clock, state=state, only="zendesk_calls", on_message=checker
            )
            assert killed.failures == {}
            state = killed.state or state
            clock.advance(seconds=data.draw(st.integers(0, 400)))
        checker.kill_after = None
        clock.advance(minutes=10)
        sandbox.faults.clear()
        sandbox.forget_requests()
        output = sync(config, clock=clock, state=state, only="zendesk_calls", on_message=checker)
        assert output.failures == {}
        checker.check_complete()
        request_count = sum(request.path == path for request in sandbox.requests)
        # Each page advances by at least its size less the rows that share its first second.
        row_count = len(sandbox.zendesk.calls)
        smallest_step = max(1, page_size - max([*second_sizes.values(), 1]))
        assert request_count <= row_count / smallest_step + 5


@slow
@given(
    stream=st.sampled_from([name for name in REPLICATION_KEYS if name.startswith("talkdesk_")]),
    hours_ago=st.lists(st.floats(0, 60 * 24), max_size=25),
    window_days=st.integers(1, 31),
    jobs=st.integers(1, 6),
    job_seconds=st.sampled_from((0.0, 3.0, 90.0)),
    timespan_by=st.sampled_from(("start", "end")),
    # At most one: a one-day window whose job fails twice is rightly an error.
    failed_jobs=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(("failed", "deleted"))), max_size=1
    ),
    errors=transient_errors,
    kills=st.lists(st.integers(0, 30), max_size=3),
)
def test_talkdesk_reports_are_synced_completely(
    stream: str,
    hours_ago: list[float],
    window_days: int,
    jobs: int,
    job_seconds: float,
    timespan_by: TimespanBy,
    failed_jobs: list[tuple[int, str]],
    errors: list[tuple[int, Effect]],
    kills: list[int],
) -> None:
    clock = FakeClock()
    with Sandbox(
        calls=0, clock=clock.time, job_seconds=job_seconds, timespan_by=timespan_by
    ) as sandbox:
        path = jobs_path(stream.removeprefix("talkdesk_"))
        is_by_day = stream == "talkdesk_user_status"
        (template,) = sandbox.talkdesk.calls.values()
        template |= {"type": "inbound", "wait_time": 30, "csat_survey_time": None}
        for number, ago in enumerate(hours_ago):
            ended = NOW - timedelta(hours=ago, seconds=1)
            times = {
                "start_at": timestamp(ended - timedelta(minutes=20)),
                "end_at": timestamp(ended),
            }
            sandbox.talkdesk.put_call(template | times | {"call_id": f"call-{number}"})
        sandbox.talkdesk.calls.pop(template["call_id"])
        for after, status in failed_jobs:
            sandbox.faults.add(Fault.job(path, after=after, status=status))
        for after, effect in errors:
            sandbox.faults.add(Fault("/*", effect, after=after))

        config = {name: value for name, value in sandbox.config.items() if "zendesk" not in name}
        config |= {
            "start_date": timestamp(NOW - timedelta(days=9 if is_by_day else 61)),
            "talkdesk_window_days": window_days,
            "talkdesk_concurrent_jobs": jobs,
        }
        checker = StateInvariantChecker(stream, sandbox.rows[stream], since=config["start_date"])
        state: dict[str, Any] | None = None
        for kill in kills:
            checker.kill_after = kill
            killed = sync(config, clock=clock, state=state, only=stream, on_message=checker)
            assert killed.failures == {}
            state = killed.state or state
        checker.kill_after = None
        clock.advance(minutes=20)
        sandbox.forget_requests()
        output = sync(config, clock=clock, state=state, only=stream, on_message=checker)
        assert output.failures == {}
        checker.check_complete()
        _assert_no_gaps(
            [
                (request.body["timespan"]["from"], request.body["timespan"]["to"])
                for request in sandbox.requests
                if request.path == path and request.status == 202
            ],
            timedelta(days=1 if is_by_day else window_days),
        )


def _assert_no_gaps(windows: list[tuple[str, str]], longest: timedelta) -> None:
    """Assert that the windows, also retried and split ones, leave no gap and are not too long."""
    times = [tuple(map(_parse, window)) for window in windows]
    reached = min(start for start, _ in times)
    for start, end in sorted(times):
        assert end - start <= longest
        assert start <= reached
        reached = max(reached, end)
    assert reached >= NOW


def _parse(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp[:-1]).replace(tzinfo=timezone.utc)

"""Whatever happens at a vendor, and wherever the tap is killed: nothing is lost, and it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from sandbox.faults import NotJson, Reset, Respond, Truncate
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH
from tests.harness import NOW, FakeClock, Killed, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Effect
    from sandbox.history import Row

slow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)

#: Trouble that passes, for any request.
PASSING: tuple[Effect, ...] = (
    Respond(429, headers={"Retry-After": "5"}),
    Respond(503),
    Reset(),
    Truncate(),
    NotJson(),
)
passing_trouble = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(PASSING)),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@dataclass
class StateInvariantChecker:
    """Watches every message, and what the vendor holds at that moment.

    Attributes:
        key: The records' key.
        time: The field that the bookmark is about.
        truth: The vendor's rows, by key.
        visible: Which of them the vendor shows.
    """

    stream: str
    key: str
    time: str
    truth: dict[Any, Row]
    visible: Callable[[Any], bool]
    written: dict[Any, Row]
    kill_after: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise Killed
        if message["type"] == "RECORD":
            self.written[message["record"][self.key]] = message["record"]
        if message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"].get(self.stream, {})
            self._is_behind(bookmark.get("replication_key_value") or "")

    def _is_behind(self, bookmark: str) -> None:
        """No STATE is ahead of what was written."""
        for name, row in self.truth.items():
            if row[self.time] < bookmark and row[self.time] >= "2026" and self.visible(name):
                assert name in self.written, (bookmark, row)
                assert self.written[name][self.time] >= row[self.time]

    def is_complete(self) -> None:
        """What a target holds is the vendor's latest version of every row."""
        for name, row in self.truth.items():
            if row[self.time] >= "2026":
                assert {field: self.written[name][field] for field in row} == row


ages = st.one_of(
    st.integers(0, 400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 40).map(lambda hours: timedelta(hours=hours)),
)


@slow
@given(
    bursts=st.lists(st.tuples(ages, st.integers(1, 4)), max_size=12),
    page_size=st.integers(5, 20),
    shuffle=st.booleans(),
    late=st.lists(st.integers(10, 200), max_size=2),
    updates=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=3),
    trouble=passing_trouble,
    kills=st.lists(st.integers(0, 30), max_size=3),
    data=st.data(),
)
def test_zendesk_is_read_completely(  # noqa: C901
    bursts: list[tuple[timedelta, int]],
    page_size: int,
    shuffle: bool,  # noqa: FBT001
    late: list[int],
    updates: list[tuple[int, int]],
    trouble: list[tuple[int, Effect]],
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
                if second_sizes[updated_at] < page_size:
                    row = template | {"id": len(sandbox.zendesk.calls), "updated_at": updated_at}
                    sandbox.zendesk.put_call(row)
        for seconds in late:
            call_id = 50_000 + len(hidden)
            # Visible up to two minutes after it says that it changed.
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
        for after, effect in trouble:
            sandbox.faults.add(Fault(path, effect, after=after))
        sandbox.zendesk.shuffle = shuffle

        config = {name: value for name, value in sandbox.config.items() if "talkdesk" not in name}
        config["start_date"] = "2026-01-01T00:00:00Z"
        witness = StateInvariantChecker(
            "zendesk_calls",
            "id",
            "updated_at",
            sandbox.zendesk.calls,
            lambda call_id: hidden.get(call_id, 0) <= clock.time(),
            {},
        )
        state: dict[str, Any] | None = None
        for kill in kills:
            witness.kill_after = kill
            killed = sync(
                config, clock=clock, state=state, only="zendesk_calls", on_message=witness
            )
            assert killed.failures == {}
            state = killed.state or state
            clock.advance(seconds=data.draw(st.integers(0, 400)))
        witness.kill_after = None
        clock.advance(minutes=10)
        sandbox.faults.clear()
        sandbox.forget_requests()
        output = sync(config, clock=clock, state=state, only="zendesk_calls", on_message=witness)
        assert output.failures == {}
        witness.is_complete()
        asked = sum(request.path == path for request in sandbox.requests)
        # A page that is read brings at least one row more than those of its first second.
        rows = len(sandbox.zendesk.calls)
        smallest_step = max(1, page_size - max([*second_sizes.values(), 1]))
        assert asked <= rows / smallest_step + 5


@slow
@given(
    hours_ago=st.lists(st.floats(0, 60 * 24), max_size=25),
    window_days=st.integers(1, 31),
    jobs=st.integers(1, 6),
    job_seconds=st.sampled_from((0.0, 3.0, 90.0)),
    timespan_field=st.sampled_from(("start_at", "end_at")),
    # Two in a row would rightly end a window of one day.
    lost=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(("failed", "deleted"))), max_size=1
    ),
    trouble=passing_trouble,
    kills=st.lists(st.integers(0, 30), max_size=3),
)
def test_talkdesk_is_read_completely(
    hours_ago: list[float],
    window_days: int,
    jobs: int,
    job_seconds: float,
    timespan_field: str,
    lost: list[tuple[int, str]],
    trouble: list[tuple[int, Effect]],
    kills: list[int],
) -> None:
    clock = FakeClock()
    with Sandbox(
        calls=0, clock=clock.time, job_seconds=job_seconds, timespan_field=timespan_field
    ) as sandbox:
        (template,) = sandbox.talkdesk.calls.values()
        for number, ago in enumerate(hours_ago):
            ended = NOW - timedelta(hours=ago, seconds=1)
            times = {
                "start_at": timestamp(ended - timedelta(minutes=20)),
                "end_at": timestamp(ended),
            }
            sandbox.talkdesk.put_call(
                template | times | {"call_id": f"call-{number}", "csat_survey_time": None}
            )
        sandbox.talkdesk.calls.pop(template["call_id"])
        for after, status in lost:
            sandbox.faults.add(Fault.job(JOBS, after=after, status=status))
        for after, effect in trouble:
            sandbox.faults.add(Fault("/*", effect, after=after))

        config = {name: value for name, value in sandbox.config.items() if "zendesk" not in name}
        config |= {
            "start_date": timestamp(NOW - timedelta(days=61)),
            "talkdesk_window_days": window_days,
            "talkdesk_concurrent_jobs": jobs,
        }
        witness = StateInvariantChecker(
            "talkdesk_calls", "call_id", "end_at", sandbox.talkdesk.calls, lambda _: True, {}
        )
        state: dict[str, Any] | None = None
        for kill in kills:
            witness.kill_after = kill
            killed = sync(config, clock=clock, state=state, on_message=witness)
            assert killed.failures == {}
            state = killed.state or state
        witness.kill_after = None
        clock.advance(minutes=10)
        sandbox.forget_requests()
        output = sync(config, clock=clock, state=state, on_message=witness)
        assert output.failures == {}
        witness.is_complete()
        _tile(
            [
                (request.body["timespan"]["from"], request.body["timespan"]["to"])
                for request in sandbox.requests
                if request.path == JOBS and request.status == 202
            ],
            timedelta(days=window_days),
        )


def _tile(spans: list[tuple[str, str]], longest: timedelta) -> None:
    """Windows touch each other and leave no gap, whatever was tried twice or cut."""
    times = [tuple(map(_time, span)) for span in spans]
    reached = min(start for start, _ in times)
    for start, end in sorted(times):
        assert end - start <= longest
        assert start <= reached
        reached = max(reached, end)
    assert reached >= NOW


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written[:-1]).replace(tzinfo=timezone.utc)

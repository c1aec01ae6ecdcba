"""Both vendors in one output, their records alternating: what holds for one vendor holds for both.

* No STATE is ahead of a record of any stream, and no bookmark moves back.
* Wherever the output is cut, a run from the last STATE before the cut delivers the rest.
* A vendor that fails in the middle costs the other one nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tests.harness import (
    DEFAULT_STREAMS,
    KEYS,
    NOW,
    REPLICATION_KEYS,
    FakeClock,
    make_tap,
    sync,
    timestamp,
)
from tests.interleaving import SMALL_SLICES, alternations, interleave
from tests.invariants import StateInvariantChecker, slow, transient_errors
from tests.vendors import CALLS, LEGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.faults import Effect

START = timestamp(NOW - timedelta(days=25))
#: How many slices of each vendor are read in pairs; both have more.
ROUNDS = 10


@pytest.fixture(autouse=True)
def _frequent_thread_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    started = start_sandbox(calls=60, days=20, page_size=20)
    interleave(started, ROUNDS)
    return started


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.config | {"start_date": START} | SMALL_SLICES


def expected_keys(sandbox: Sandbox) -> dict[str, set[Any]]:
    """Return the keys of the vendors' rows since the start date, by stream."""
    return {
        stream: {
            key
            for key, row in sandbox.rows[stream].items()
            if row[REPLICATION_KEYS[stream]] >= START
        }
        for stream in DEFAULT_STREAMS
    }


class StateInvariantCheckers:
    """Check each message for every stream."""

    def __init__(self, sandbox: Sandbox, since: str) -> None:
        self._checkers = [
            StateInvariantChecker(stream, sandbox.rows[stream], since) for stream in DEFAULT_STREAMS
        ]

    def __call__(self, message: dict[str, Any]) -> None:
        for checker in self._checkers:
            checker(message)

    def kill_after(self, count: int | None) -> None:
        """Kill the tap after a number of messages; None for never."""
        self._checkers[0].kill_after = count

    def check_complete(self) -> None:
        for checker in self._checkers:
            checker.check_complete()


@pytest.mark.parametrize(
    ("settings", "deselected"),
    [
        ({}, None),
        ({}, "extra_fields"),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, None),
        ({"stream_maps": {stream: {"more": "'x'"} for stream in DEFAULT_STREAMS}}, None),
    ],
    ids=["plain", "deselected", "flattened", "mapped"],
)
def test_no_state_is_ahead_of_a_record_of_any_stream(
    sandbox: Sandbox,
    config: dict[str, Any],
    clock: FakeClock,
    settings: dict[str, Any],
    deselected: str | None,
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if deselected in entry["breadcrumb"]:
                entry["metadata"]["selected"] = False
    checkers = StateInvariantCheckers(sandbox, START)
    output = sync(config | settings, clock=clock, catalog=catalog, on_message=checkers)
    assert alternations(output.messages) >= ROUNDS // 2  # some windows are empty
    assert output.failures == {}
    for stream, keys in expected_keys(sandbox).items():
        assert set(output.latest(stream)) == keys


def test_output_can_be_cut_at_any_line(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    messages = sync(config, clock=clock).messages
    assert alternations(messages) >= ROUNDS // 2
    resumed: dict[str, dict[str, set[Any]]] = {}
    written: dict[str, set[Any]] = {stream: set() for stream in DEFAULT_STREAMS}
    state = ""
    for message in [{}, *messages]:  # cut after each of them
        if message.get("type") == "RECORD":
            written[message["stream"]].add(message["record"][KEYS[message["stream"]]])
        elif message.get("type") == "STATE":
            state = json.dumps(message["value"])
        if state not in resumed:
            run = sync(config, clock=clock, state=json.loads(state) if state else None)
            resumed[state] = {stream: set(run.latest(stream)) for stream in DEFAULT_STREAMS}
        assert expected_keys(sandbox) == {
            stream: written[stream] | resumed[state][stream] for stream in DEFAULT_STREAMS
        }
    assert len(resumed) > 2 * ROUNDS


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (Fault.status(CALLS, 403, after=3, times=None), ["zendesk_calls"]),
        (Fault.status(LEGS, 403, after=3, times=None), ["zendesk_legs"]),
        (Fault.status(JOBS, 400, after=5, times=None), ["talkdesk_calls"]),
    ],
    ids=["zendesk_calls", "zendesk_legs", "talkdesk_calls"],
)
def test_vendor_that_fails_in_the_middle_spares_the_other(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock, fault: Fault, failed: list[str]
) -> None:
    sandbox = start_sandbox(calls=60, days=20, page_size=20)
    sandbox.faults.add(fault)
    lockstep = interleave(sandbox, 3)
    config = sandbox.config | {"start_date": START} | SMALL_SLICES
    checkers = StateInvariantCheckers(sandbox, START)
    output = sync(config, clock=clock, on_message=checkers)
    assert lockstep.rounds == 3
    assert list(output.failures) == failed
    written = {stream: set(output.latest(stream)) for stream in DEFAULT_STREAMS}
    for stream, keys in expected_keys(sandbox).items():
        assert (written[stream] < keys) if stream in failed else (written[stream] == keys)
        assert output.bookmark(stream) is not None  # the slices before the failure are not lost
    sandbox.faults.clear()
    again = sync(config, clock=clock, state=output.state, on_message=checkers)
    assert again.failures == {}
    for stream in failed:
        assert len(again.records(stream)) < len(expected_keys(sandbox)[stream])
    checkers.check_complete()


hours_ago = st.lists(st.floats(0, 24 * 30), max_size=20)


@slow
@given(
    zendesk=hours_ago,
    talkdesk=hours_ago,
    page_size=st.integers(3, 10),
    window_days=st.integers(1, 31),
    jobs=st.integers(1, 4),
    rounds=st.integers(0, 8),
    errors=transient_errors,
    kills=st.lists(st.integers(0, 40), max_size=3),
)
def test_both_vendors_are_synced_completely(
    zendesk: list[float],
    talkdesk: list[float],
    page_size: int,
    window_days: int,
    jobs: int,
    rounds: int,
    errors: list[tuple[int, Effect]],
    kills: list[int],
) -> None:
    clock = FakeClock()
    with Sandbox(calls=0, page_size=page_size, clock=clock.time) as sandbox:
        (call,), (leg, *_) = sandbox.zendesk.calls.values(), sandbox.zendesk.legs.values()
        for number, ago in enumerate(zendesk):
            updated_at = {"updated_at": timestamp(NOW - timedelta(hours=ago, seconds=number))}
            sandbox.zendesk.put_call(call | updated_at | {"id": number})
            sandbox.zendesk.put_leg(leg | updated_at | {"id": number, "call_id": number})
        (call,) = sandbox.talkdesk.calls.values()
        for number, ago in enumerate(talkdesk):
            # Talkdesk's reports are some minutes behind.
            end_at = {"end_at": timestamp(NOW - timedelta(hours=ago, minutes=5))}
            sandbox.talkdesk.put_call(
                call | end_at | {"call_id": f"call-{number}", "csat_survey_time": None}
            )
        for after, effect in errors:
            sandbox.faults.add(Fault("/*", effect, after=after))
        interleave(sandbox, rounds, timeout=0.1)

        start = timestamp(NOW - timedelta(days=40))
        config = sandbox.config | {
            "start_date": start,
            "talkdesk_window_days": window_days,
            "talkdesk_concurrent_jobs": jobs,
        }
        checkers = StateInvariantCheckers(sandbox, start)
        state: dict[str, Any] | None = None
        for kill in kills:
            checkers.kill_after(kill)
            killed = sync(config, clock=clock, state=state, on_message=checkers)
            assert killed.failures == {}
            state = killed.state or state
        checkers.kill_after(None)
        output = sync(config, clock=clock, state=state, on_message=checkers)
        assert output.failures == {}
        checkers.check_complete()


@pytest.mark.parametrize("jobs", [1, 4])
def test_blocked_target_stops_both_vendors(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock, jobs: int
) -> None:
    """While the target does not read, the tap holds one page, and at most `jobs` + 1 reports."""
    sandbox = start_sandbox(calls=60, days=20, page_size=10)
    interleave(sandbox, 2)
    written: dict[str, set[str]] = {stream: set() for stream in DEFAULT_STREAMS}
    requests: list[Counter[str]] = []

    def block(message: dict[str, Any]) -> None:
        if requests or message["type"] != "STATE":
            return
        for stream, bookmark in message["value"]["bookmarks"].items():
            if value := bookmark.get("replication_key_value"):
                written[stream].add(value)  # after each slice another
        if sum(map(len, written.values())) >= 5:
            while not requests or len(sandbox.requests) > requests[-1].total():
                requests.append(Counter(request.path for request in sandbox.requests))
                time.sleep(0.5)  # until there are no more requests

    config = sandbox.config | SMALL_SLICES | {"start_date": START}
    config["talkdesk_concurrent_jobs"] = jobs
    output = sync(config, clock=clock, on_message=block)
    assert requests[-1][LEGS] == 0  # there are more pages of calls
    pages = requests[-1][CALLS] - len(written["zendesk_calls"])
    reports = requests[-1][JOBS] - len(written["talkdesk_calls"])
    assert pages <= 1
    assert reports <= jobs + 1
    assert output.failures == {}
    for stream, keys in expected_keys(sandbox).items():
        assert set(output.latest(stream)) == keys

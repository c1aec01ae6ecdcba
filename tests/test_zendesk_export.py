"""Zendesk's incremental exports end, lose nothing and keep to their quota."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.zendesk import PATH
from tap_voicecalls.http import client as http
from tests.harness import NOW, FakeClock, bookmarks, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.history import Row
    from sandbox.web import Request

CALLS = f"{PATH}/calls"
LEGS = f"{PATH}/legs"


@pytest.fixture
def start(start_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Starts an account that is empty but for the examples, unless it is said otherwise."""

    def start_empty(**options: Any) -> Sandbox:
        return start_sandbox(**{"calls": 0, "page_size": 10} | options)

    return start_empty


def config(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """The settings of Zendesk alone, from 2026 on."""
    own = {name: value for name, value in sandbox.config.items() if "talkdesk" not in name}
    return own | {"start_date": "2026-01-01T00:00:00Z"} | settings


def add_calls(sandbox: Sandbox, *ages: timedelta, **fields: Any) -> list[int]:
    """Adds a call for each age, last changed so long before now; gives their ids."""
    template = sandbox.zendesk.calls[10217]
    ids = range(len(sandbox.zendesk.calls) + 1, len(sandbox.zendesk.calls) + 1 + len(ages))
    for call_id, age in zip(ids, ages, strict=True):
        sandbox.zendesk.put_call(
            template | {"id": call_id, "updated_at": timestamp(NOW - age)} | fields,
        )
    return list(ids)


def exports(sandbox: Sandbox, path: str = CALLS) -> list[Request]:
    return [request for request in sandbox.requests if request.path == path]


def hours(*numbers: float) -> list[timedelta]:
    return [timedelta(hours=number) for number in numbers]


def written(output: Any, stream: str = "zendesk_calls") -> list[int]:
    return [record["id"] for record in output.records(stream)]


# The end


def test_it_ends_although_the_last_page_repeats_for_ever(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(45, 20, -1)))
    output = sync(config(sandbox), clock=clock)
    assert written(output) == ids
    # Three pages, and the last second again to see that there is no more.
    assert len(exports(sandbox)) == 4


def test_it_ends_where_several_legs_share_the_last_second(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    leg = sandbox.zendesk.legs[10402]
    for leg_id in range(1, 5):
        updated_at = timestamp(NOW - timedelta(hours=1))
        sandbox.zendesk.put_leg(leg | {"id": leg_id, "updated_at": updated_at})
    output = sync(config(sandbox), clock=clock, only="zendesk_legs")
    assert written(output, "zendesk_legs") == [1, 2, 3, 4]
    assert len(exports(sandbox, LEGS)) <= 3


@pytest.mark.parametrize("next_page", [None, "same"])
def test_an_empty_account_is_an_empty_success(
    start: Callable[..., Sandbox], clock: FakeClock, next_page: str | None
) -> None:
    sandbox = start()
    sandbox.zendesk.empty_next_page = next_page
    output = sync(config(sandbox), clock=clock)
    assert output.failures == {}
    assert written(output) == []
    assert output.bookmark("zendesk_calls") is None
    assert len(exports(sandbox)) == 1


def test_it_ends_on_an_account_that_never_goes_quiet(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(2, 1))

    def another_call(body: Any) -> Any:
        if len(exports(sandbox)) > 20:  # it would go on for ever, but a test should not
            return body
        clock.advance(seconds=7)
        sandbox.zendesk.put_call(
            sandbox.zendesk.calls[10217]
            | {"id": 10_000 + len(sandbox.requests), "updated_at": timestamp(clock.now())}
        )
        return body

    sandbox.faults.add(Fault.edit(CALLS, another_call, times=None))
    output = sync(config(sandbox), clock=clock)
    assert output.failures == {}
    assert len(exports(sandbox)) <= 4


def test_a_start_that_zendesk_calls_too_recent_means_caught_up(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    body = {"error": "StartTimeTooRecent", "description": "Too recent start_time."}
    sandbox.faults.add(Fault.status(CALLS, 400, body=body))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}


def test_it_never_asks_for_the_last_minute(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    state = bookmarks(zendesk_calls=timestamp(NOW - timedelta(seconds=5)))
    sync(config(sandbox), clock=clock, state=state, only="zendesk_calls")
    assert int(exports(sandbox)[0].query["start_time"]) == (NOW - timedelta(minutes=1)).timestamp()


def test_end_date_is_left_out_and_bounds_the_bookmark(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(50, 0, -1)))
    end = NOW - timedelta(hours=26)
    output = sync(config(sandbox, end_date=timestamp(end)), clock=clock, only="zendesk_calls")
    assert written(output) == ids[:24]
    assert output.bookmark("zendesk_calls") == timestamp(end)
    assert len(exports(sandbox)) == 3


# Pages


def test_the_right_paths_are_asked(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    sync(config(sandbox), clock=clock)
    asked = [request.path for request in sandbox.requests if request.method == "GET"]
    assert asked == [CALLS, LEGS]


def test_next_page_is_followed_as_it_is(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    sandbox.zendesk.next_page_extra = {"cursor": "opaque/ä=="}
    ids = add_calls(sandbox, *hours(*range(25, 0, -1)))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids
    assert all(request.query["cursor"] == "opaque/ä==" for request in exports(sandbox)[1:])


def test_next_page_on_another_host_gets_no_credentials(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox, stranger = start(), start()
    ids = add_calls(sandbox, *hours(*range(25, 0, -1)))

    def move(body: Any) -> Any:
        next_page = body["next_page"].replace(sandbox.zendesk.url, stranger.zendesk.url)
        return body | {"next_page": next_page}

    sandbox.faults.add(Fault.edit(CALLS, move, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids
    assert stranger.requests == []


def test_a_missing_next_page_is_rebuilt_from_end_time(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(25, 0, -1)))
    edit = lambda body: body | {"next_page": None}  # noqa: E731
    sandbox.faults.add(Fault.edit(CALLS, edit, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 24, 25, 26, 1000])
def test_no_rule_depends_on_the_page_size(
    start: Callable[..., Sandbox], clock: FakeClock, page_size: int
) -> None:
    sandbox = start(page_size=page_size, zendesk_requests_per_minute=None)
    ids = add_calls(sandbox, *hours(*range(25, 0, -1)))
    settings = config(sandbox, zendesk_requests_per_minute=10_000)
    output = sync(settings, clock=clock, only="zendesk_calls")
    if page_size == 1:
        # A page of one row can't pass any second, and nothing tells whether a second is complete.
        assert "more calls in the one second" in output.failures["zendesk_calls"]
        return
    assert output.failures == {}
    assert written(output) == ids


@pytest.mark.parametrize("again", ["", "cursor=new"])
def test_a_circle_of_pages_is_an_error(
    start: Callable[..., Sandbox], clock: FakeClock, again: str
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(*range(45, 0, -1)))

    def lead_back(body: Any) -> Any:
        second = exports(sandbox)[1].query["start_time"]
        return body | {"next_page": f"{sandbox.zendesk.url}{CALLS}?start_time={second}&{again}"}

    sandbox.faults.add(Fault.edit(CALLS, lead_back, times=None, after=2))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert "pages of calls that were read before" in output.failures["zendesk_calls"]
    assert len(exports(sandbox)) <= 4


# A full second


def test_a_second_that_does_not_fit_a_page_is_an_error_that_tells_how_to_go_on(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    before = add_calls(sandbox, *hours(9, 8))
    add_calls(sandbox, *[timedelta(hours=7)] * 11)
    after = add_calls(sandbox, *hours(6))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    second = NOW - timedelta(hours=7)
    said = output.failures["zendesk_calls"]
    assert f"in the one second {timestamp(second)}" in said
    assert f"to {timestamp(second + timedelta(seconds=1))} by hand" in said
    assert output.bookmark("zendesk_calls") == timestamp(second)
    assert set(before) < set(written(output))

    by_hand = bookmarks(zendesk_calls=timestamp(second + timedelta(seconds=1)))
    output = sync(config(sandbox), clock=clock, state=by_hand, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == after


def test_a_full_last_second_is_not_an_error_where_nothing_follows(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *[timedelta(hours=7)] * 10)
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == ids


def test_a_call_that_comes_during_the_check_of_the_last_second_is_no_error(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(7))

    def another_call(body: Any) -> Any:
        ids.extend(add_calls(sandbox, *hours(6)))
        return body

    # While the last second is read again, a call comes in.
    sandbox.faults.add(Fault.edit(CALLS, another_call, after=1))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == ids


# Bookmarks


def test_the_bookmark_follows_each_page_and_never_its_middle(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(*range(25, 0, -1)))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    seen = 0
    for message in output.messages:
        seen += message["type"] == "RECORD"
        if message["type"] == "STATE" and "zendesk_calls" in message["value"]["bookmarks"]:
            bookmark = message["value"]["bookmarks"]["zendesk_calls"].get("replication_key_value")
            assert bookmark is None or bookmark == timestamp(NOW - timedelta(hours=26 - seen))
    assert seen == 25


def test_the_bookmark_stays_the_lookback_behind_the_start_of_the_sync(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, timedelta(minutes=10), timedelta(minutes=1))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids
    assert output.bookmark("zendesk_calls") == timestamp(NOW - timedelta(minutes=5))


def test_a_row_that_becomes_visible_two_minutes_late_is_in_the_next_run(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, timedelta(seconds=30))
    updated_at = timestamp(NOW - timedelta(minutes=1))
    late = sandbox.zendesk.calls[10217] | {"id": 77, "updated_at": updated_at}
    sandbox.zendesk.put_call(late, visible_at=clock.time() + 60)
    first = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert 77 not in written(first)
    clock.advance(hours=1)
    second = sync(config(sandbox), clock=clock, state=first.state, only="zendesk_calls")
    assert 77 in written(second)


def test_rows_of_a_page_may_come_in_any_order(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.zendesk.shuffle = True
    ids = add_calls(sandbox, *hours(*range(45, 0, -1)))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert sorted(written(output)) == ids
    assert output.bookmark("zendesk_calls") == timestamp(NOW - timedelta(hours=1))


def test_where_end_time_is_ahead_of_the_rows_the_rows_count(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(3))
    ahead = int((NOW - timedelta(hours=1)).timestamp())
    edit = lambda body: body | {"end_time": ahead}  # noqa: E731
    sandbox.faults.add(Fault.edit(CALLS, edit, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.bookmark("zendesk_calls") == timestamp(NOW - timedelta(hours=3))


def test_a_bookmark_in_the_far_future_asks_for_nothing_and_stays(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    state = bookmarks(zendesk_calls="2999-01-01T00:00:00Z")
    output = sync(config(sandbox), clock=clock, state=state, only="zendesk_calls")
    assert exports(sandbox) == []
    assert output.bookmark("zendesk_calls") == "2999-01-01T00:00:00Z"


# Rows at the edge of a page


@pytest.mark.parametrize("unknown", [{}, {"sentiment": "good"}], ids=["known", "unknown"])
def test_rows_at_the_edge_of_a_page_are_written_once(
    start: Callable[..., Sandbox], clock: FakeClock, unknown: dict[str, str]
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(20, 11, -1)), *[timedelta(hours=10)] * 4)
    ids += add_calls(sandbox, *hours(9), **unknown)  # its page is decoded another way
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert sorted(written(output)) == ids


def test_a_row_that_changed_within_its_second_is_written_again(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    (call_id,) = add_calls(sandbox, *hours(1), call_charge=None)

    def charge(body: Any) -> Any:
        sandbox.zendesk.put_call(sandbox.zendesk.calls[call_id] | {"call_charge": "0.05"})
        return body

    sandbox.faults.add(Fault.edit(CALLS, charge))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert [row["call_charge"] for row in output.records("zendesk_calls")] == [None, "0.05"]


def test_a_call_that_changes_between_two_pages_comes_again(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(15, 0, -1)))

    def change(body: Any) -> Any:
        changed = {"updated_at": timestamp(NOW - timedelta(minutes=20)), "call_charge": "0.07"}
        sandbox.zendesk.put_call(sandbox.zendesk.calls[ids[0]] | changed)
        return body

    sandbox.faults.add(Fault.edit(CALLS, change))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.latest("zendesk_calls")[ids[0]]["call_charge"] == "0.07"
    assert written(output).count(ids[0]) == 2


def test_a_row_without_updated_at_is_written_and_moves_nothing(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(3, 2))

    def blank(body: Any) -> Any:
        body["calls"][1]["updated_at"] = None
        return body

    sandbox.faults.add(Fault.edit(CALLS, blank, after=0))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert {record["updated_at"] for record in output.records("zendesk_calls")} >= {None}
    assert output.states[0]["bookmarks"]["zendesk_calls"]["replication_key_value"] == timestamp(
        NOW - timedelta(hours=3)
    )


# The quota


def test_fourteen_pages_provoke_no_429_and_wait_no_longer_than_the_quota_forces(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(10 + 13 * 9, 0, -1)))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids
    asked = exports(sandbox)
    # Each page repeats the last row of the one before; the last request sees that it was the end.
    assert len(asked) == 14 + 1
    assert all(request.status == 200 for request in asked)
    # The first ten at once, the others one minute later.
    assert [round(request.at - NOW.timestamp()) for request in asked] == [0] * 10 + [60] * 5


def test_requests_that_are_long_under_way_provoke_no_429(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(*range(10 + 13 * 9, 0, -1)))
    # Zendesk counts the first request five seconds after it was sent.
    slow = Fault.late(CALLS, lambda: clock.advance(seconds=5))
    sandbox.faults.add(slow)
    sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert {request.status for request in exports(sandbox)} == {200}


def test_calls_and_legs_share_the_quota(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(*range(75, 0, -1)))
    leg = sandbox.zendesk.legs[10402]
    for age in range(75, 0, -1):
        updated_at = timestamp(NOW - timedelta(hours=age))
        sandbox.zendesk.put_leg(leg | {"id": age, "updated_at": updated_at})
    output = sync(config(sandbox), clock=clock)
    assert output.failures == {}
    assert {request.status for request in sandbox.requests} == {200}
    assert len(exports(sandbox)) + len(exports(sandbox, LEGS)) > 10


def test_a_quota_of_ones_own_is_kept(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start(zendesk_requests_per_minute=3)
    add_calls(sandbox, *hours(*range(45, 0, -1)))
    settings = config(sandbox, zendesk_requests_per_minute=3)
    sync(settings, clock=clock, only="zendesk_calls")
    assert {request.status for request in sandbox.requests} == {200}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "37"}, 37),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "Fri, 20 Nov 2026 12:01:30 GMT"}, 90),
        ({"Retry-After": "0"}, 60),
        ({"Retry-After": "-5"}, 60),
        ({"Retry-After": "soon"}, 60),
        ({"Retry-After": "nan"}, 60),
        ({"Retry-After": "99999999"}, 600),
        ({}, 60),
    ],
)
def test_retry_after_is_honoured_in_every_form(
    start: Callable[..., Sandbox],
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    header: dict[str, str],
    seconds: float,
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(CALLS, 429, body="Number of allowed ...", headers=header))
    with caplog.at_level(logging.WARNING):
        output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert clock.sleeps == [seconds]
    waits = [line for line in caplog.messages if "no more requests just now" in line]
    assert len(waits) == 1


def test_a_429_is_waited_out_for_many_minutes(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(CALLS, 429, times=20))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert clock.now() - NOW == timedelta(minutes=20)


def test_a_429_that_does_not_end_is_an_error_that_says_so(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(CALLS, 429, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert "Zendesk allows no more requests" in output.failures["zendesk_calls"]
    assert "Run the tap again later" in output.failures["zendesk_calls"]


# Trouble


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(CALLS, 409),
        Fault.status(CALLS, 500, body="<html><h1>Oops</h1></html>"),
        Fault.status(CALLS, 503, headers={"Retry-After": "11"}),
        Fault.reset(CALLS),
        Fault.truncate(CALLS),
        Fault.not_json(CALLS),
        Fault.edit(CALLS, lambda body: {"calls": body}),
        Fault.edit(CALLS, lambda body: [body]),
    ],
    ids=["409", "500", "503", "reset", "cut", "not json", "no rows", "no object"],
)
def test_passing_trouble_is_tried_again(
    start: Callable[..., Sandbox], clock: FakeClock, fault: Fault
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(3, 2))
    sandbox.faults.add(fault)
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == ids
    assert len(clock.sleeps) == 1


def test_an_answer_that_does_not_come_is_asked_for_again(
    start: Callable[..., Sandbox], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.2))
    sandbox = start()
    ids = add_calls(sandbox, *hours(3, 2))
    sandbox.faults.add(Fault.hang(CALLS))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == ids


def test_a_count_that_is_not_that_of_the_rows_is_told(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(3, 2))
    edit = lambda body: body | {"count": 1000}  # noqa: E731
    sandbox.faults.add(Fault.edit(CALLS, edit, times=None))
    with caplog.at_level(logging.WARNING):
        output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert written(output) == ids
    assert any("counts 1000 rows and holds 2" in line for line in caplog.messages)


def test_trouble_that_does_not_pass_is_an_error_after_some_minutes(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(CALLS, 502, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert "502" in output.failures["zendesk_calls"]
    assert timedelta(minutes=4) < clock.now() - NOW < timedelta(minutes=10)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": "Couldn't authenticate you"}, "Couldn't authenticate you"),
        (
            403,
            {"error": "Forbidden", "description": "You are missing the following scopes: read"},
            "missing the following scopes",
        ),
        (
            403,
            {"error": {"title": "Forbidden", "message": "You do not have access to this page."}},
            "You do not have access",
        ),
        (404, {"error": "InvalidEndpoint", "description": "Not found"}, "InvalidEndpoint"),
        (404, "<html><head><title>No</title></head><body>help desk</body></html>", "help desk"),
        (400, "start_time is nonsense", "start_time is nonsense"),
    ],
)
def test_a_refusal_is_not_tried_again_and_shows_the_apis_own_words(
    start: Callable[..., Sandbox],
    clock: FakeClock,
    status: int,
    body: Any,
    words: str,
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(CALLS, status, body=body, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    said = output.failures["zendesk_calls"]
    assert words in said
    assert said.startswith(f"Zendesk answered GET {CALLS} with {status}")
    assert len(exports(sandbox)) == (2 if status == 401 else 1)
    if status in {403, 404}:
        for cause in ("Can manage channels", "scope `read`", "plan", "December 2026"):
            assert cause in said


def test_a_failure_leaves_the_bookmark_behind_the_last_page(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(35, 0, -1)))
    sandbox.faults.add(Fault.status(CALLS, 403, after=2, times=1))
    first = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert list(first.failures) == ["zendesk_calls"]
    sandbox.forget_requests()
    second = sync(config(sandbox), clock=clock, state=first.state, only="zendesk_calls")
    assert {*written(first), *written(second)} == set(ids)
    # What the state covers is not asked for again.
    bookmark = first.bookmark("zendesk_calls")
    assert all(row["updated_at"] >= bookmark for row in second.records("zendesk_calls"))


def test_a_redirect_is_not_followed_and_tells_where_it_leads(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox, stranger = start(), start()
    target = {"Location": f"{stranger.zendesk.url}{CALLS}?start_time=0"}
    sandbox.faults.add(Fault.status(CALLS, 302, headers=target, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert "It redirects to 127.0.0.1" in output.failures["zendesk_calls"]
    assert stranger.requests == []


def test_a_row_without_an_id_is_an_error(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(1))

    def without_id(body: Any) -> Any:
        return body | {"calls": [row | {"id": None} for row in body["calls"]]}

    sandbox.faults.add(Fault.edit(CALLS, without_id, times=None))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert "a row of calls without an id" in output.failures["zendesk_calls"]
    assert written(output) == []


# Credentials


def test_a_token_is_asked_for_with_its_end_and_used_by_both_streams(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sync(config(sandbox), clock=clock)
    tokens = [request for request in sandbox.requests if request.path == "/oauth/tokens"]
    assert len(tokens) == 1
    assert tokens[0].body["expires_in"] >= 300
    assert tokens[0].body["scope"] == "read"


def test_a_token_is_made_anew_before_it_ends(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(zendesk_token_seconds=300)
    add_calls(sandbox, *hours(*range(10 * 100, 0, -1)))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    # A hundred pages take ten minutes.
    assert {request.status for request in sandbox.requests} == {200}
    assert sum(request.path == "/oauth/tokens" for request in sandbox.requests) >= 2


def test_a_401_in_the_middle_gets_one_new_token(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(*range(25, 0, -1)))

    def revoke(body: Any) -> Any:
        sandbox.zendesk.tokens.revoke()
        return body

    sandbox.faults.add(Fault.edit(CALLS, revoke))
    output = sync(config(sandbox), clock=clock, only="zendesk_calls")
    assert output.failures == {}
    assert written(output) == ids
    assert [request.status for request in exports(sandbox)].count(401) == 1


def test_a_ready_access_token_is_enough(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(1))
    settings = {
        "start_date": "2026-01-01",
        "zendesk_url": sandbox.zendesk.url,
        "zendesk_access_token": sandbox.zendesk.access_token,
    }
    assert written(sync(settings, clock=clock)) == ids


def test_an_api_token_works_and_is_warned_of(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *hours(1))
    settings = {
        "start_date": "2026-01-01",
        "zendesk_url": sandbox.zendesk.url,
        "zendesk_email": sandbox.zendesk.email,
        "zendesk_api_token": sandbox.zendesk.api_token,
    }
    with caplog.at_level(logging.WARNING):
        assert written(sync(settings, clock=clock)) == ids
    assert sum("2027-04-30" in line for line in caplog.messages) == 1


def test_wrong_credentials_are_told(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    output = sync(config(sandbox, zendesk_client_secret="wrong"), clock=clock)
    assert set(output.failures) == {"zendesk_calls", "zendesk_legs"}
    assert "zendesk_client_secret" in output.failures["zendesk_calls"]
    assert "unknown client" in output.failures["zendesk_calls"]


# Surprises


def test_unknown_fields_of_rows_and_answers_survive(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    (call_id,) = add_calls(sandbox, *hours(1), sentiment={"score": 0.7}, post_call_summary=["a"])
    row: Row = sync(config(sandbox), clock=clock).latest("zendesk_calls")[call_id]
    assert row["extra_fields"] == {"sentiment": {"score": 0.7}}
    assert row["post_call_summary"] == '["a"]'


def test_progress_is_told_in_words(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start()
    add_calls(sandbox, *hours(*range(10 * 25, 0, -1)))
    with caplog.at_level(logging.INFO):
        sync(config(sandbox), clock=clock, only="zendesk_calls")
    told = [line for line in caplog.messages if "rows, read up to" in line]
    assert any("% of the way" in line and "to go at 10 a minute" in line for line in told)
    assert "250 rows" in told[-1]
    assert "100 %" in told[-1]

"""Zendesk's incremental exports: where they end, what they repeat, and the request budget.

What both vendors' APIs share, such as retries and tokens, is in `test_http.py`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.harness import NOW, FakeClock, bookmarks, timestamp
from tests.vendors import CALLS, LEGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vendors import ZendeskAccount


TOO_RECENT = {"error": "StartTimeTooRecent", "description": "Too recent start_time."}


def hours_ago(hours: float) -> str:
    """Return the timestamp of so many hours before now."""
    return timestamp(NOW - timedelta(hours=hours))


# The end of an export


def test_repeated_last_page_ends_the_export(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(45, 20, -1))
    output = zendesk.sync(default_streams=True)
    assert output.ids == ids
    # Three pages, and the last second once more to see that nothing follows.
    assert len(zendesk.export_requests()) == 4


def test_export_ends_with_several_legs_in_the_last_second(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_legs(hours_ago=[1, 1, 1, 1])
    output = zendesk.sync("zendesk_legs")
    assert output.ids == ids
    assert len(zendesk.export_requests(LEGS)) <= 3


@pytest.mark.parametrize("next_page", [None, "same"])
def test_empty_account_is_an_empty_success(zendesk: ZendeskAccount, next_page: str | None) -> None:
    zendesk.server.empty_next_page = next_page
    output = zendesk.sync(default_streams=True)
    assert output.failures == {}
    assert output.ids == []
    assert output.bookmark is None
    assert len(zendesk.export_requests()) == 1


def test_export_of_a_busy_account_ends(zendesk: ZendeskAccount, clock: FakeClock) -> None:
    zendesk.add_calls(hours_ago=[2, 1])

    def add_another_call(body: Any) -> Any:
        if len(zendesk.export_requests()) <= 20:  # a limit, so that a broken tap fails the test
            clock.advance(seconds=7)
            zendesk.put_call(10_000 + len(zendesk.requests), updated_at=timestamp(clock.now()))
        return body

    zendesk.add_faults(Fault.edit(CALLS, add_another_call, times=None))
    output = zendesk.sync(default_streams=True)
    assert output.failures == {}
    assert len(zendesk.export_requests()) <= 4


def test_start_time_too_recent_means_caught_up(zendesk: ZendeskAccount) -> None:
    zendesk.add_faults(Fault.status(CALLS, 400, body=TOO_RECENT))
    recent = bookmarks(zendesk_calls=timestamp(NOW - timedelta(minutes=5)))
    assert zendesk.sync(state=recent).failures == {}


def test_old_start_time_is_never_too_recent(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=[2, 1])
    zendesk.add_faults(Fault.status(CALLS, 400, body=TOO_RECENT, times=None))
    assert "StartTimeTooRecent" in zendesk.sync().failure


def test_last_minute_is_never_requested(zendesk: ZendeskAccount) -> None:
    five_seconds_ago = timestamp(NOW - timedelta(seconds=5))
    zendesk.sync(state=bookmarks(zendesk_calls=five_seconds_ago))
    start_time = int(zendesk.export_requests()[0].query["start_time"])
    assert start_time == (NOW - timedelta(minutes=1)).timestamp()


def test_end_date_is_exclusive_and_limits_the_bookmark(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(50, 0, -1))
    output = zendesk.sync(end_date=hours_ago(26))
    assert output.ids == ids[:24]
    assert output.bookmark == hours_ago(26)
    assert len(zendesk.export_requests()) == 3


# Pages


def test_calls_and_legs_are_requested(zendesk: ZendeskAccount) -> None:
    zendesk.sync(default_streams=True)
    paths = [request.path for request in zendesk.requests if request.method == "GET"]
    assert paths == [CALLS, LEGS]


def test_next_page_is_followed_verbatim(zendesk: ZendeskAccount) -> None:
    zendesk.server.next_page_extra = {"cursor": "opaque/ä=="}
    ids = zendesk.add_calls(hours_ago=range(25, 0, -1))
    assert zendesk.sync().ids == ids
    following = zendesk.export_requests()[1:]
    assert all(request.query["cursor"] == "opaque/ä==" for request in following)


def test_next_page_on_another_host_is_not_requested(
    zendesk: ZendeskAccount, start_zendesk: Callable[..., ZendeskAccount]
) -> None:
    other = start_zendesk()
    ids = zendesk.add_calls(hours_ago=range(25, 0, -1))

    def point_to_other(body: Any) -> Any:
        next_page = body["next_page"].replace(zendesk.url, other.url)
        return body | {"next_page": next_page}

    zendesk.add_faults(Fault.edit(CALLS, point_to_other, times=None))
    assert zendesk.sync().ids == ids
    assert other.requests == []


def test_missing_next_page_is_replaced_by_end_time(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(25, 0, -1))
    remove = lambda body: body | {"next_page": None}  # noqa: E731
    zendesk.add_faults(Fault.edit(CALLS, remove, times=None))
    assert zendesk.sync().ids == ids


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 24, 25, 26, 1000])
def test_any_page_size_works(start_zendesk: Callable[..., ZendeskAccount], page_size: int) -> None:
    zendesk = start_zendesk(page_size=page_size, zendesk_requests_per_minute=None)
    ids = zendesk.add_calls(hours_ago=range(25, 0, -1))
    output = zendesk.sync(zendesk_requests_per_minute=10_000)
    if page_size == 1:
        # No page of one row gets past a second, and nothing shows that the second is complete.
        assert "more calls in the one second" in output.failure
        return
    assert output.failures == {}
    assert output.ids == ids


@pytest.mark.parametrize("extra", ["", "cursor=new"])
def test_next_page_that_leads_back_is_not_followed(zendesk: ZendeskAccount, extra: str) -> None:
    ids = zendesk.add_calls(hours_ago=range(45, 0, -1))

    def return_to_second_page(body: Any) -> Any:
        second = zendesk.export_requests()[1].query["start_time"]
        return body | {"next_page": f"{zendesk.url}{CALLS}?start_time={second}&{extra}"}

    zendesk.add_faults(Fault.edit(CALLS, return_to_second_page, times=None, after=2))
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids


def test_pages_of_older_rows_are_a_pagination_loop(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=range(45, 0, -1))
    pages: list[Any] = []

    def return_the_first_page(body: Any) -> Any:
        pages.append(body)
        return pages[0]

    zendesk.add_faults(Fault.edit(CALLS, return_the_first_page, times=None))
    output = zendesk.sync()
    assert "pages of calls that were read before" in output.failure
    assert len(zendesk.export_requests()) == 2


def test_endless_pages_of_one_second_are_an_error(zendesk: ZendeskAccount) -> None:
    (call_id,) = zendesk.add_calls(hours_ago=[1])
    (row,) = (row for row in zendesk.server.calls.values() if row["id"] == call_id)

    def more_of_the_same(body: Any) -> Any:
        number = len(zendesk.export_requests())
        return body | {
            "calls": [row | {"id": 100 + number}],
            "next_page": f"{zendesk.url}{CALLS}?start_time={body['end_time']}&page={number}",
        }

    zendesk.add_faults(Fault.edit(CALLS, more_of_the_same, times=None))
    assert "pagination loops" in zendesk.sync().failure
    assert len(zendesk.export_requests()) < 150


# What Zendesk states of a page is not believed against its rows


@pytest.mark.parametrize(
    "end_time",
    [
        lambda stated: stated and stated + 120,
        lambda stated: stated - 120,
        str,
        float,
        lambda stated: stated + 0.5,
        lambda _: None,
        lambda _: -1,
        lambda _: 2**70,
        lambda _: "soon",
        lambda _: [],
    ],
    ids=[
        "ahead",
        "behind",
        "text",
        "float",
        "fraction",
        "missing",
        "negative",
        "huge",
        "word",
        "list",
    ],
)
@pytest.mark.parametrize("next_page", ["derived", "as sent", None], ids=str)
def test_odd_end_time_loses_no_row(
    zendesk: ZendeskAccount, end_time: Callable[[int], Any], next_page: str | None
) -> None:
    ids = zendesk.add_calls(minutes_ago=range(45, 0, -1))

    def edit(body: Any) -> Any:
        stated = end_time(body["end_time"])
        derived = (
            f"{zendesk.url}{CALLS}?start_time={stated:.0f}"
            if isinstance(stated, float)
            else f"{zendesk.url}{CALLS}?start_time={stated}"
        )
        leads = {"derived": derived, "as sent": body["next_page"], None: None}
        return body | {"end_time": stated, "next_page": leads[next_page]}

    zendesk.add_faults(Fault.edit(CALLS, edit, times=None))
    output = zendesk.sync()
    assert output.failures == {}
    assert sorted(set(output.ids)) == ids


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("leads", ["on", "nowhere", "back"])
def test_empty_page_in_the_middle_loses_no_row(
    zendesk: ZendeskAccount, times: int, leads: str
) -> None:
    """Whether it is empty once or stays empty."""
    ids = zendesk.add_calls(hours_ago=range(45, 0, -1))

    def empty(body: Any) -> Any:
        back = zendesk.export_requests()[-1]
        next_page = {
            "on": f"{body['next_page']}&page=2",
            "nowhere": None,
            "back": f"{zendesk.url}{CALLS}?start_time={back.query['start_time']}",
        }[leads]
        return {"calls": [], "count": 0, "end_time": body["end_time"], "next_page": next_page}

    zendesk.add_faults(Fault.edit(CALLS, empty, after=2, times=times))
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids


def test_rows_that_vanish_between_two_requests_are_no_error(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(5, 0, -1))

    def delete_the_newest(body: Any) -> Any:
        zendesk.server.delete_call(ids[-1])
        return body

    zendesk.add_faults(Fault.edit(CALLS, delete_the_newest))
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids


@pytest.mark.parametrize(("kept", "has"), [([], "none"), ([0], "1"), ([-1], "1")])
def test_page_that_states_more_rows_than_it_has_is_an_error(
    zendesk: ZendeskAccount, kept: list[int], has: str
) -> None:
    zendesk.add_calls(hours_ago=[2, 1])

    def cut(body: Any) -> Any:
        return body | {"calls": [body["calls"][index] for index in kept]}

    zendesk.add_faults(Fault.edit(CALLS, cut, times=None))
    output = zendesk.sync()
    assert f"Zendesk returned a page that states 2 rows and has {has}" in output.failure
    assert output.ids == []


@pytest.mark.parametrize("times", [2, None])
def test_page_cut_to_its_first_second_is_not_the_end(zendesk: ZendeskAccount, times: int) -> None:
    """Its `end_time` and `next_page` contradict it."""
    ids = zendesk.add_calls(hours_ago=range(15, 0, -1))

    def cut(body: Any) -> Any:
        return body | {"calls": body["calls"][:1], "count": 1}

    zendesk.add_faults(Fault.edit(CALLS, cut, after=1, times=times))
    output = zendesk.sync()
    if times:
        assert output.failures == {}
        assert output.ids == ids
    else:
        assert "Zendesk does not return all calls from" in output.failure


def test_row_from_the_future_does_not_end_the_export(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(45, 0, -1))

    def from_the_future(body: Any) -> Any:
        body["calls"][4]["updated_at"] = "2999-01-01T00:00:00Z"
        return body

    zendesk.add_faults(Fault.edit(CALLS, from_the_future, after=1))
    output = zendesk.sync()
    assert output.failures == {}
    assert sorted(set(output.ids)) == ids
    assert output.bookmark == hours_ago(1)


def test_pages_without_any_valid_time_are_read(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(45, 0, -1))

    def without_times(body: Any) -> Any:
        return body | {"calls": [row | {"updated_at": "soon"} for row in body["calls"]]}

    zendesk.add_faults(Fault.edit(CALLS, without_times, after=1, times=1))
    output = zendesk.sync()
    assert output.failures == {}
    assert set(output.ids) == set(ids)


def test_cut_page_is_requested_again(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(15, 0, -1))
    zendesk.add_faults(Fault.edit(CALLS, lambda body: body | {"calls": body["calls"][::2]}))
    assert zendesk.sync().ids == ids


# A full second: more rows share one `updated_at` than fit on a page


def test_full_second_is_an_error(zendesk: ZendeskAccount) -> None:
    """The error states which bookmark skips the rest of the second."""
    before = zendesk.add_calls(hours_ago=[9, 8])
    zendesk.add_calls(hours_ago=[7] * 11)
    after = zendesk.add_calls(hours_ago=[6])
    second, next_second = hours_ago(7), timestamp(NOW - timedelta(hours=7) + timedelta(seconds=1))
    output = zendesk.sync()
    assert f"in the one second {second}" in output.failure
    assert f"to {next_second} by hand" in output.failure
    assert output.bookmark == second
    assert set(before) < set(output.ids)

    output = zendesk.sync(state=bookmarks(zendesk_calls=next_second))
    assert output.failures == {}
    assert output.ids == after


def test_full_second_at_the_end_is_not_an_error(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=[7] * 10)
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids


def test_full_newest_second_is_an_error_once_the_page_size_is_known(
    zendesk: ZendeskAccount,
) -> None:
    ids = zendesk.add_calls(hours_ago=range(25, 5, -1))
    zendesk.add_calls(hours_ago=[5] * 15)
    output = zendesk.sync()
    assert f"in the one second {hours_ago(5)}" in output.failure
    assert set(ids) < set(output.ids)
    assert output.bookmark == hours_ago(5)


def test_call_added_during_the_last_check_is_not_an_error(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=[7])

    def add_another_call(body: Any) -> Any:
        ids.extend(zendesk.add_calls(hours_ago=[6]))
        return body

    zendesk.add_faults(Fault.edit(CALLS, add_another_call, after=1))
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids


# Bookmarks


def test_bookmark_advances_only_after_whole_pages(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=range(25, 0, -1))
    output = zendesk.sync()
    written = 0
    for message in output.run.messages:
        written += message["type"] == "RECORD"
        if message["type"] == "STATE" and "zendesk_calls" in message["value"]["bookmarks"]:
            bookmark = message["value"]["bookmarks"]["zendesk_calls"].get("replication_key_value")
            assert bookmark is None or bookmark == hours_ago(26 - written)
    assert written == 25


def test_bookmark_stays_the_lookback_behind_the_start(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(minutes_ago=[10, 1])
    output = zendesk.sync()
    assert output.ids == ids
    assert output.bookmark == timestamp(NOW - timedelta(minutes=5))


def test_lookback_holds_back_the_bookmark_alone(zendesk: ZendeskAccount) -> None:
    """Rows newer than the lookback are read up to the start of the sync, on all their pages."""
    ids = zendesk.add_calls(minutes_ago=range(1000, 0, -20))
    output = zendesk.sync(zendesk_lookback_seconds=86_400)
    assert output.ids == ids
    assert output.bookmark == hours_ago(24)


def test_row_visible_two_minutes_late_is_in_the_next_run(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    zendesk.add_calls(minutes_ago=[0.5])
    updated_at = timestamp(NOW - timedelta(minutes=1))
    zendesk.put_call(77, updated_at=updated_at, visible_at=clock.time() + 60)
    first = zendesk.sync()
    assert 77 not in first.ids
    clock.advance(hours=1)
    second = zendesk.sync(state=first.state)
    assert 77 in second.ids


def test_rows_of_a_page_may_be_unordered(zendesk: ZendeskAccount) -> None:
    zendesk.server.shuffle = True
    ids = zendesk.add_calls(hours_ago=range(45, 0, -1))
    output = zendesk.sync()
    assert sorted(output.ids) == ids
    assert output.bookmark == hours_ago(1)


def test_bookmark_ignores_an_end_time_after_the_rows(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=[3])
    end_time = int((NOW - timedelta(hours=1)).timestamp())
    postpone = lambda body: body | {"end_time": end_time}  # noqa: E731
    zendesk.add_faults(Fault.edit(CALLS, postpone, times=None))
    assert zendesk.sync().bookmark == hours_ago(3)


def test_bookmark_in_the_future_is_kept_without_a_request(zendesk: ZendeskAccount) -> None:
    output = zendesk.sync(state=bookmarks(zendesk_calls="2999-01-01T00:00:00Z"))
    assert zendesk.export_requests() == []
    assert output.bookmark == "2999-01-01T00:00:00Z"


# Rows on two pages: `start_time` is inclusive


@pytest.mark.parametrize("unknown", [{}, {"sentiment": "good"}], ids=["known", "unknown"])
def test_rows_repeated_on_the_next_page_are_written_once(
    zendesk: ZendeskAccount, unknown: dict[str, Any]
) -> None:
    ids = zendesk.add_calls(hours_ago=[*range(20, 11, -1), *[10] * 4])
    ids += zendesk.add_calls(hours_ago=[9], **unknown)  # a page with it is decoded another way
    assert sorted(zendesk.sync().ids) == ids


def test_row_changed_within_its_second_is_written_again(zendesk: ZendeskAccount) -> None:
    (call_id,) = zendesk.add_calls(hours_ago=[1], call_charge=None)

    def charge(body: Any) -> Any:
        zendesk.put_call(call_id, call_charge="0.05")
        return body

    zendesk.add_faults(Fault.edit(CALLS, charge))
    assert [row["call_charge"] for row in zendesk.sync().records] == [None, "0.05"]


def test_call_changed_between_two_pages_is_written_again(zendesk: ZendeskAccount) -> None:
    call_id, *_ = zendesk.add_calls(hours_ago=range(15, 0, -1))

    def charge(body: Any) -> Any:
        updated_at = timestamp(NOW - timedelta(minutes=20))
        zendesk.put_call(call_id, updated_at=updated_at, call_charge="0.07")
        return body

    zendesk.add_faults(Fault.edit(CALLS, charge))
    output = zendesk.sync()
    assert output.latest[call_id]["call_charge"] == "0.07"
    assert output.ids.count(call_id) == 2


def test_row_without_updated_at_does_not_move_the_bookmark(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=[3, 2])

    def clear(body: Any) -> Any:
        body["calls"][1]["updated_at"] = None
        return body

    zendesk.add_faults(Fault.edit(CALLS, clear))
    output = zendesk.sync()
    assert {record["updated_at"] for record in output.records} >= {None}
    assert output.bookmarks[0] == hours_ago(3)


# The request budget


def test_fourteen_pages_wait_no_longer_than_the_quota_requires(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(10 + 13 * 9, 0, -1))
    assert zendesk.sync().ids == ids
    requests = zendesk.export_requests()
    # Each page repeats the last row of the one before; the last request confirms the end.
    assert len(requests) == 14 + 1
    assert all(request.status == 200 for request in requests)
    # The first ten at once, the others one minute later.
    assert [round(request.at - NOW.timestamp()) for request in requests] == [0] * 10 + [60] * 5


def test_slow_requests_cause_no_429(zendesk: ZendeskAccount, clock: FakeClock) -> None:
    zendesk.add_calls(hours_ago=range(10 + 13 * 9, 0, -1))
    # Zendesk counts the first request five seconds after it was sent.
    zendesk.add_faults(Fault.late(CALLS, lambda: clock.advance(seconds=5)))
    zendesk.sync()
    assert {request.status for request in zendesk.export_requests()} == {200}


def test_calls_and_legs_share_the_quota(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=range(75, 0, -1))
    zendesk.add_legs(hours_ago=range(75, 0, -1))
    output = zendesk.sync(default_streams=True)
    assert output.failures == {}
    assert {request.status for request in zendesk.requests} == {200}
    assert len(zendesk.export_requests(CALLS)) + len(zendesk.export_requests(LEGS)) > 10


def test_configured_quota_is_kept(start_zendesk: Callable[..., ZendeskAccount]) -> None:
    zendesk = start_zendesk(zendesk_requests_per_minute=3)
    zendesk.add_calls(hours_ago=range(45, 0, -1))
    zendesk.sync(zendesk_requests_per_minute=3)
    assert {request.status for request in zendesk.requests} == {200}


# Malformed and incomplete responses


def test_calls_that_are_not_an_array_are_retried(zendesk: ZendeskAccount, clock: FakeClock) -> None:
    ids = zendesk.add_calls(hours_ago=[3, 2])
    zendesk.add_faults(Fault.edit(CALLS, lambda body: {"calls": body}))
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids
    assert len(clock.sleeps) == 1


@pytest.mark.parametrize("count", [0, 1, "two", None, 2**70])
def test_wrong_count_is_a_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, count: object
) -> None:
    """Unless it is the number of more rows than there are."""
    ids = zendesk.add_calls(hours_ago=[3, 2])
    zendesk.add_faults(Fault.edit(CALLS, lambda body: body | {"count": count}, times=None))
    with caplog.at_level(logging.WARNING):
        output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids
    warned = any(f"the count of a page is {count}, not 2" in line for line in caplog.messages)
    assert warned == (count is not None)


def test_row_without_id_is_an_error(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(hours_ago=[1])

    def clear(body: Any) -> Any:
        return body | {"calls": [row | {"id": None} for row in body["calls"]]}

    zendesk.add_faults(Fault.edit(CALLS, clear, times=None))
    output = zendesk.sync()
    assert "a row without `id`" in output.failure
    assert output.ids == []


def test_failed_sync_resumes_from_the_last_page(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=range(35, 0, -1))
    zendesk.add_faults(Fault.status(CALLS, 403, after=2))
    first = zendesk.sync()
    assert list(first.failures) == ["zendesk_calls"]
    zendesk.sandbox.forget_requests()
    second = zendesk.sync(state=first.state)
    assert {*first.ids, *second.ids} == set(ids)
    # What the state covers is not read again.
    bookmark = first.bookmark
    assert bookmark is not None
    assert all(row["updated_at"] >= bookmark for row in second.records)


def test_unknown_fields_are_kept(zendesk: ZendeskAccount) -> None:
    (call_id,) = zendesk.add_calls(hours_ago=[1], sentiment={"score": 0.7}, post_call_summary=["a"])
    row = zendesk.sync(default_streams=True).latest[call_id]
    assert row["extra_fields"] == {"sentiment": {"score": 0.7}}
    assert row["post_call_summary"] == '["a"]'


# Credentials


def test_both_streams_share_a_token_with_a_requested_lifetime(zendesk: ZendeskAccount) -> None:
    zendesk.sync(default_streams=True)
    (request,) = zendesk.token_requests()
    assert request.body["expires_in"] >= 300
    assert request.body["scope"] == "read"


def test_access_token_is_enough(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=[1])
    config = {
        "start_date": "2026-01-01",
        "zendesk_url": zendesk.url,
        "zendesk_access_token": zendesk.server.access_token,
    }
    assert zendesk.sync_config(config, default_streams=True).ids == ids


def test_api_token_works_with_a_deprecation_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    ids = zendesk.add_calls(hours_ago=[1])
    config = {
        "start_date": "2026-01-01",
        "zendesk_url": zendesk.url,
        "zendesk_email": zendesk.server.email,
        "zendesk_api_token": zendesk.server.api_token,
    }
    with caplog.at_level(logging.WARNING):
        assert zendesk.sync_config(config, default_streams=True).ids == ids
    assert sum("2027-04-30" in line for line in caplog.messages) == 1


# Progress


def test_progress_logs_the_share_and_the_remaining_time(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    zendesk.add_calls(hours_ago=range(10 * 25, 0, -1))
    with caplog.at_level(logging.INFO):
        zendesk.sync()
    progress = [line for line in caplog.messages if "rows, read up to" in line]
    assert any("%)" in line and "to go at 10 per minute" in line for line in progress)
    assert "250 rows" in progress[-1]
    assert "100 %" in progress[-1]

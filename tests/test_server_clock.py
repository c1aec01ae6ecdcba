"""The vendor's clock counts where the local one is wrong.

* A local clock that runs ahead moves no bookmark past what the vendor has shown.
* A local clock that runs behind leaves no row for later.
* A `Date` that can't be true changes nothing.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.harness import NOW, FakeClock, Output, sync, timestamp
from tests.vendors import CALLS

if TYPE_CHECKING:
    from tests.vendors import TalkdeskAccount, ZendeskAccount


def sync_with_clock_off_by(
    account: ZendeskAccount | TalkdeskAccount, offset: timedelta, **settings: Any
) -> Output:
    """Sync with a local clock that is ahead of the vendor's, or behind it."""
    config = account.config(days=10, **settings)
    return sync(config, clock=FakeClock(NOW + offset), only=account.streams[0])


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=3)], ids=str)
def test_zendesk_bookmark_is_not_ahead_of_the_vendor(
    zendesk: ZendeskAccount, ahead: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    zendesk.add_calls(minutes_ago=[30, 1])
    with caplog.at_level(logging.WARNING):
        output = sync_with_clock_off_by(zendesk, ahead)
    assert output.failures == {}
    assert output.bookmark("zendesk_calls") == timestamp(NOW - timedelta(minutes=5))
    assert sum("ahead of the vendor's" in line for line in caplog.messages) == 1


def test_zendesk_rows_newer_than_a_slow_clock_are_read(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    ids = zendesk.add_calls(minutes_ago=range(20, 0, -1))
    with caplog.at_level(logging.WARNING):
        output = sync_with_clock_off_by(zendesk, timedelta(minutes=-30))
    assert set(output.latest("zendesk_calls")) == set(ids)
    bookmark = output.bookmark("zendesk_calls")
    assert bookmark is not None
    assert bookmark <= timestamp(NOW - timedelta(minutes=35))
    assert sum("behind the vendor's" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=3)], ids=str)
def test_talkdesk_windows_end_by_the_vendors_clock(
    talkdesk: TalkdeskAccount, ahead: timedelta
) -> None:
    ids = talkdesk.add_calls(days_ago=[3, 1])
    output = sync_with_clock_off_by(talkdesk, ahead)
    assert output.failures == {}
    assert set(output.latest("talkdesk_calls")) == set(ids)
    second = timedelta(seconds=1)
    two_days_ago, two_minutes_ago = NOW - timedelta(days=2), NOW - timedelta(minutes=2)
    bookmark = output.bookmark("talkdesk_calls")
    assert bookmark in {timestamp(two_days_ago), timestamp(two_days_ago - second)}
    last_window_end = talkdesk.windows()[-1][1]
    assert last_window_end in {timestamp(two_minutes_ago), timestamp(two_minutes_ago - second)}


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 01 Jan 2999 00:00:00 GMT",
        "Fri, 20 Nov 2026 12:00:00",
        "yesterday",
        "",
    ],
)
def test_impossible_date_changes_nothing(
    zendesk: ZendeskAccount, date: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = zendesk.add_calls(minutes_ago=[30, 1])
    headers = {"Date": date}
    zendesk.add_faults(Fault.edit(CALLS, lambda body: body, headers=headers, times=None))
    with caplog.at_level(logging.WARNING):
        output = sync_with_clock_off_by(zendesk, timedelta(0))
    assert list(output.latest("zendesk_calls")) == ids
    assert output.bookmark("zendesk_calls") == timestamp(NOW - timedelta(minutes=5))
    assert not any("vendor's" in line for line in caplog.messages)


def test_difference_within_the_tolerance_is_ignored(zendesk: ZendeskAccount) -> None:
    zendesk.add_calls(minutes_ago=[30, 1])
    output = sync_with_clock_off_by(zendesk, timedelta(seconds=20))
    expected = NOW + timedelta(seconds=20) - timedelta(minutes=5)
    assert output.bookmark("zendesk_calls") == timestamp(expected)

"""Talkdesk's reports next to calls: contacts, ring attempts and user statuses.

They share jobs, files and windows with the report of calls, whose tests are in
`test_talkdesk_reports.py`.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from sandbox.talkdesk import jobs_path
from tap_voicecalls.counts import format_count
from tap_voicecalls.talkdesk import key_check
from tests.harness import NOW, REPLICATION_KEYS, FakeClock, as_written, row_key, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.history import Row
    from sandbox.talkdesk_reports import StatusCut, TimespanBy
    from tests.vendors import TalkdeskAccount

    Edit = Callable[[list[Row]], list[Row]]

DAY = timedelta(days=1)
CONTACTS, RING_ATTEMPTS, USER_STATUS = FURTHER = (
    *("talkdesk_contacts", "talkdesk_ring_attempts", "talkdesk_user_status"),
)

every_further_stream = pytest.mark.parametrize("stream", FURTHER)


@pytest.fixture
def talkdesk(start_talkdesk: Callable[..., TalkdeskAccount]) -> TalkdeskAccount:
    """An account at Talkdesk with forty calls of the last three weeks."""
    return start_talkdesk(calls=40, days=20)


def report_of(stream: str) -> str:
    return stream.removeprefix("talkdesk_")


def windows(talkdesk: TalkdeskAccount, stream: str) -> list[tuple[str, str]]:
    """Return the windows of the jobs that were created for a stream, in order of time."""
    return sorted(
        (request.body["timespan"]["from"], request.body["timespan"]["to"])
        for request in talkdesk.requests
        if (request.path, request.status) == (jobs_path(report_of(stream)), 202)
    )


def edit_entries(talkdesk: TalkdeskAccount, stream: str, edit: Edit) -> None:
    """Change the rows of every report of a stream."""

    def change(body: Any) -> Any:
        entries = edit(body["entries"])
        return body | {"entries": entries, "total": len(entries)}

    talkdesk.add_faults(Fault.edit(f"/{report_of(stream)}/*", change, times=None))


# What is read


@every_further_stream
def test_every_row_is_written_as_sent(talkdesk: TalkdeskAccount, stream: str) -> None:
    output = talkdesk.sync(stream, days=30)
    start, end = timestamp(NOW - 30 * DAY), timestamp(NOW - timedelta(minutes=15))
    rows = [as_written(stream, row) for row in talkdesk.sandbox.rows[stream].values()]
    expected = [row for row in rows if start <= row[REPLICATION_KEYS[stream]] < end]
    assert output.failures == {}
    assert len(expected) > 20
    for row in expected:
        assert output.latest[row_key(stream, row)] == row | {"extra_fields": None}


def test_default_run_creates_no_further_reports(talkdesk: TalkdeskAccount) -> None:
    sync(talkdesk.config(days=30), clock=talkdesk.clock)
    created = {request.path for request in talkdesk.requests if request.vendor == "talkdesk"}
    assert created
    assert all(path.startswith("/data/reports/calls/") for path in created)


def test_timestamps_without_a_time_zone_are_utc(
    talkdesk: TalkdeskAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        output = talkdesk.sync(CONTACTS, days=30)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    for record in output.records:
        call = talkdesk.server.calls[record["interaction_id"]]
        assert call["start_at"] <= record["started_at"] <= call["end_at"]


@pytest.mark.parametrize(
    "text", ["2026-11-20 01:02:03", "2026-11-20T01:02:03Z", "2026-11-20T06:32:03+05:30"]
)
def test_timestamps_may_have_a_time_zone(talkdesk: TalkdeskAccount, text: str) -> None:
    """As in the report of calls, whose payload changed in May 2026."""
    edit_entries(talkdesk, CONTACTS, lambda rows: [row | {"started_at": text} for row in rows])
    output = talkdesk.sync(CONTACTS, days=30)
    assert {record["started_at"] for record in output.records} == {"2026-11-20T01:02:03Z"}


def test_flags_and_labels_stay_as_sent(talkdesk: TalkdeskAccount) -> None:
    flags = {record["transfer_out"] for record in talkdesk.sync(CONTACTS, days=30).records}
    labels = {record["status_label"] for record in talkdesk.sync(USER_STATUS, days=2).records}
    assert flags == {"Yes", "No"}
    assert {"lunch ", "On A Call"} < labels


def test_fraction_of_a_day_is_not_taken_for_seconds(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """Other reports have such durations."""
    edit_entries(talkdesk, CONTACTS, lambda rows: [row | {"talk_time": 0.00069} for row in rows])
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(CONTACTS, days=30)
    assert output.failures == {}
    for record in output.records:
        assert (record["talk_time"], record["extra_fields"]) == (None, {"talk_time": 0.00069})
    assert sum("talk_time has values that don't fit" in line for line in caplog.messages) == 1


@every_further_stream
def test_rows_without_an_end_are_written(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture, stream: str
) -> None:
    field = REPLICATION_KEYS[stream]
    ids = talkdesk.sync(stream, days=30).ids
    edit_entries(talkdesk, stream, lambda rows: [row | {field: None} for row in rows])
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(stream, days=30)
    assert output.ids == ids
    warning = f"{stream}: {format_count(len(ids), 'row')} without {field}, written all the same."
    assert warning in caplog.messages


# Windows


@every_further_stream
def test_last_window_ends_a_quarter_of_an_hour_before_now(
    talkdesk: TalkdeskAccount, stream: str
) -> None:
    talkdesk.sync(stream, days=30)
    assert windows(talkdesk, stream)[-1][1] == timestamp(NOW - timedelta(minutes=15))


@pytest.mark.parametrize("stream", [CONTACTS, RING_ATTEMPTS])
def test_windows_are_as_long_as_those_of_calls(talkdesk: TalkdeskAccount, stream: str) -> None:
    talkdesk.sync(stream, days=30, talkdesk_window_days=10)
    starts = [start for start, _ in windows(talkdesk, stream)]
    assert starts == [timestamp(NOW - days * DAY) for days in (30, 20, 10)]


def test_each_window_of_statuses_is_a_day_from_midnight(talkdesk: TalkdeskAccount) -> None:
    first = talkdesk.sync(USER_STATUS, days=3, talkdesk_window_days=10)
    days = [f"2026-11-{day}T00:00:00Z" for day in range(17, 21)]
    assert windows(talkdesk, USER_STATUS) == [*pairwise([*days, "2026-11-20T11:45:00Z"])]
    # The bookmark is in the middle of a day.
    assert first.bookmark == "2026-11-18T12:00:00Z"
    talkdesk.sandbox.forget_requests()
    talkdesk.sync(USER_STATUS, days=3, state=first.state)
    assert [start for start, _ in windows(talkdesk, USER_STATUS)] == days[1:]


@pytest.mark.parametrize("cut", ["midnight", "timespan", "never"])
@pytest.mark.parametrize("timespan_by", ["start", "end"])
def test_statuses_leave_no_gap_and_no_overlap(
    start_talkdesk: Callable[..., TalkdeskAccount],
    clock: FakeClock,
    cut: StatusCut,
    timespan_by: TimespanBy,
) -> None:
    """Wherever Talkdesk cuts rows, a target that upserts counts no second twice, in any run."""
    talkdesk = start_talkdesk(calls=40, days=20, timespan_by=timespan_by)
    talkdesk.server.reports.status_cut = cut
    table: dict[Any, Row] = {}
    state = None
    for hours in (5, 9, 20, 31):
        output = talkdesk.sync(USER_STATUS, days=5, state=state, talkdesk_window_days=3)
        assert output.failures == {}
        table |= output.latest
        state = output.state
        clock.advance(hours=hours)
    by_user = defaultdict(list)
    for row in table.values():
        by_user[row["user_id"]].append(row)
    assert len(by_user) > 4
    for rows in by_user.values():
        rows.sort(key=lambda row: str(row["status_start_at"]))
        assert rows[0]["status_start_at"] <= "2026-11-15T08:00:00Z"
        assert rows[-1]["status_end_at"] >= "2026-11-21T00:00:00Z"
        for row, following in pairwise(rows):
            assert row["status_end_at"] == following["status_start_at"]
            length = parse(row["status_end_at"]) - parse(row["status_start_at"])
            assert row["status_time"] == length.total_seconds()


# Keys


def test_of_two_statuses_of_one_second_the_longer_one_counts(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    talkdesk.sync(USER_STATUS, days=0.3)
    before = talkdesk.sync(USER_STATUS, days=0.3).latest
    empty = {"status_label": "Away", "status_time": 0}
    for position in (slice(None, None), slice(None, None, -1)):

        def add_empty(rows: list[Row], position: slice = position) -> list[Row]:
            return [it for row in rows for it in [row, row | empty][position]]

        talkdesk.sandbox.faults.clear()
        edit_entries(talkdesk, USER_STATUS, add_empty)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            output = talkdesk.sync(USER_STATUS, days=0.3)
        assert output.latest == before
        assert (
            f"talkdesk_user_status: {len(before)} rows shared the user_id and status_start_at of "
            f"another row in the report and differed from it; targets keep the longest one."
        ) in caplog.messages


def test_rows_that_share_a_key_are_counted(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """No document says that a contact's id is unique."""

    def repeat_id(rows: list[Row]) -> list[Row]:
        return [*rows, rows[0] | {"talk_time": 1}, rows[1] | {"talk_time": 2}]

    edit_entries(talkdesk, CONTACTS, repeat_id)
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(CONTACTS, days=30, talkdesk_window_days=31)
    assert output.latest[output.ids[0]]["talk_time"] == 1
    assert (
        "talkdesk_contacts: 2 rows shared the contact_id of another row in the report and differed "
        "from it; targets keep the last one."
    ) in caplog.messages


def test_compared_rows_are_limited(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with a report: later rows are written without a comparison."""
    monkeypatch.setattr(key_check, "_MAX_ROWS", 1)

    def repeat_ids(rows: list[Row]) -> list[Row]:
        return [*rows, rows[0] | {"talk_time": 1}, rows[1] | {"talk_time": 2}]

    edit_entries(talkdesk, CONTACTS, repeat_ids)
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(CONTACTS, days=30, talkdesk_window_days=31)
    assert output.ids[-2:] == output.ids[:2]
    assert "talkdesk_contacts: 1 row shared the contact_id" in caplog.text


@every_further_stream
def test_row_that_is_repeated_is_written_once(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture, stream: str
) -> None:
    ids = talkdesk.sync(stream, days=30).ids
    edit_entries(talkdesk, stream, lambda rows: rows + rows)
    with caplog.at_level(logging.WARNING):
        assert talkdesk.sync(stream, days=30).ids == ids
    assert "another row in their report" not in caplog.text


@pytest.mark.parametrize(
    ("stream", "key"),
    [
        (CONTACTS, "contact_id"),
        (RING_ATTEMPTS, "ring_attempt_id"),
        (USER_STATUS, "user_id"),
        (USER_STATUS, "status_start_at"),
    ],
)
@pytest.mark.parametrize("value", [None, "", "missing"])
def test_row_without_a_part_of_the_key_is_an_error(
    talkdesk: TalkdeskAccount, stream: str, key: str, value: str | None
) -> None:
    if value == "missing" or stream != USER_STATUS:
        kept: dict[str, Any] = {}
    else:
        kept = {key: value}

    def change(rows: list[Row]) -> list[Row]:
        return [{name: row[name] for name in row if name != key} | kept for row in rows]

    edit_entries(talkdesk, stream, change)
    output = talkdesk.sync(stream, days=30)
    assert f"Talkdesk's report has a row without `{key}` (its fields: " in output.failure
    assert "update the tap" in output.failure
    assert "@example.com" not in output.failure
    assert output.bookmark is None


# Jobs of several streams


def test_report_that_the_account_lacks_fails_its_stream_alone(talkdesk: TalkdeskAccount) -> None:
    for status, report in ((403, "ring_attempts"), (404, "user_status")):
        talkdesk.add_faults(Fault.status(jobs_path(report), status, times=None))
    output = sync(talkdesk.config(days=30), clock=talkdesk.clock, all_streams=True)
    assert output.failures.keys() == {RING_ATTEMPTS, USER_STATUS}
    assert "or the account has no ring_attempts report" in output.failures[RING_ATTEMPTS]
    assert "the account may have no user_status report" in output.failures[USER_STATUS]
    assert output.records("talkdesk_calls")
    assert output.records(CONTACTS)


def test_all_reports_share_a_token(talkdesk: TalkdeskAccount) -> None:
    output = sync(talkdesk.config(days=3), clock=talkdesk.clock, all_streams=True)
    assert output.failures == {}
    assert len(talkdesk.token_requests()) == 1


def test_all_reports_share_what_is_known_of_the_quota(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    """The first stream waits half an hour for a job; the others do not wait again."""
    talkdesk.add_faults(Fault.status("*/jobs", 429, times=None))
    output = sync(talkdesk.config(days=30), clock=clock, all_streams=True)
    assert len(output.failures) == 4
    assert clock.now() - NOW < timedelta(minutes=35)
    assert all("quota of report jobs is still used up" in it for it in output.failures.values())


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))

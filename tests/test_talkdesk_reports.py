"""Talkdesk's report jobs: windows, jobs, files, and the lookback.

What both vendors' APIs share, such as retries and tokens, is in `test_http.py`.
"""

from __future__ import annotations

import logging
import tempfile
import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tap_voicecalls.clock import Clock
from tests.harness import NOW, FakeClock, bookmarks, sync, timestamp
from tests.vendors import FILE, JOB_STATUS, PRESIGNED, TALKDESK_EXAMPLE, TalkdeskAccount

if TYPE_CHECKING:
    from collections.abc import Callable


DAY = timedelta(days=1)


def days_ago(days: float) -> str:
    """Return the timestamp of so many days before now."""
    return timestamp(NOW - days * DAY)


# Windows


def test_windows_are_contiguous_and_within_the_limit(talkdesk: TalkdeskAccount) -> None:
    talkdesk.sync(days=100, talkdesk_window_days=28)
    windows = talkdesk.windows()
    assert windows[0][0] == days_ago(100)
    assert all(end == start for (_, end), (start, _) in pairwise(windows))
    lengths = [
        datetime.fromisoformat(end[:-1]) - datetime.fromisoformat(start[:-1])
        for start, end in windows
    ]
    assert lengths[:3] == [28 * DAY] * 3
    assert len(lengths) == 4


def test_last_window_ends_two_minutes_before_now(talkdesk: TalkdeskAccount) -> None:
    talkdesk.sync(days=50)
    assert talkdesk.windows()[-1][1] == timestamp(NOW - timedelta(minutes=2))


def test_end_date_limits_the_windows(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[45, 30, 10])
    output = talkdesk.sync(days=50, end_date=days_ago(20))
    assert output.ids == ids[:2]
    assert talkdesk.windows()[-1][1] == days_ago(20)
    assert output.bookmark == days_ago(20)


@pytest.mark.parametrize("zone", ["America/St_Johns", "Asia/Kolkata", "Europe/Berlin"])
def test_local_time_zone_does_not_matter(
    talkdesk: TalkdeskAccount, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    # Around the end of daylight saving time.
    ids = talkdesk.add_calls(days_ago=[45, 26.3, 26, 25.7, 0.1])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        output = talkdesk.sync(days=50, talkdesk_window_days=1)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert output.ids == ids
    assert talkdesk.windows()[0][0] == days_ago(50)


@pytest.mark.parametrize("field", ["start_at", "end_at"])
def test_timespan_may_mean_the_start_or_the_end_of_calls(
    start_talkdesk: Callable[..., TalkdeskAccount], field: str
) -> None:
    talkdesk = start_talkdesk(calls=200, days=40, now=NOW, timespan_field=field)
    boundary = NOW - 50 * DAY + 28 * DAY
    talkdesk.put_call(
        "across the boundary of two windows",
        start_at=timestamp(boundary - timedelta(minutes=5)),
        end_at=timestamp(boundary + timedelta(minutes=5)),
    )
    output = talkdesk.sync(days=50)
    assert set(output.ids) == set(talkdesk.server.calls) - {TALKDESK_EXAMPLE}


# Jobs


def test_job_is_created_as_documented(talkdesk: TalkdeskAccount) -> None:
    talkdesk.sync(days=1)
    (request,) = talkdesk.created_jobs()
    assert request.body == {
        "name": "tap-voicecalls",
        "timezone": "UTC",
        "format": "json",
        "timespan": {"from": days_ago(1), "to": timestamp(NOW - timedelta(minutes=2))},
    }


@pytest.mark.parametrize("body", ["nested", "flat"])
@pytest.mark.parametrize("location", ["absolute", "relative"])
@pytest.mark.parametrize("done", [303, 302, 300, 200])
@pytest.mark.parametrize("direct", [False, True])
def test_file_is_found_through_any_redirects(
    start_talkdesk: Callable[..., TalkdeskAccount],
    body: str,
    location: str,
    done: int,
    direct: bool,  # noqa: FBT001
) -> None:
    talkdesk = start_talkdesk(job_body=body, location=location, job_seconds=4)
    talkdesk.server.done_status = done
    talkdesk.server.file_direct = direct
    ids = talkdesk.add_calls(days_ago=[3, 2])
    assert talkdesk.sync(days=10).ids == ids


@pytest.mark.parametrize("status", [200, 201, 202])
def test_job_may_be_created_with_any_of_three_statuses(
    talkdesk: TalkdeskAccount, status: int
) -> None:
    ids = talkdesk.add_calls(days_ago=[3])
    talkdesk.sync(days=10)
    job_id = next(iter(talkdesk.server.jobs))
    body = {"job": {"id": job_id, "status": "CREATED"}}
    talkdesk.add_faults(Fault.status(JOBS, status, body=body))
    assert talkdesk.sync(days=10).ids == ids


def test_poll_interval_grows(
    start_talkdesk: Callable[..., TalkdeskAccount], clock: FakeClock
) -> None:
    start_talkdesk(job_seconds=300).sync(days=10)
    assert clock.sleeps[0] == 1
    assert clock.sleeps == sorted(clock.sleeps)
    assert max(clock.sleeps) == 30


@pytest.mark.parametrize("status", ["failed", "canceled", "deleted", "FAILED"])
def test_failed_job_is_created_again(talkdesk: TalkdeskAccount, status: str) -> None:
    ids = talkdesk.add_calls(days_ago=[3])
    talkdesk.add_faults(Fault.job(JOBS, status=status))
    assert talkdesk.sync(days=10).ids == ids
    assert len(talkdesk.windows()) == 2


def test_window_that_fails_twice_is_halved(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[27, 20, 14, 13.5, 7, 1])
    talkdesk.add_faults(Fault.job(JOBS, times=None, when=lambda start, end: end - start > 5 * DAY))
    output = talkdesk.sync(days=28)
    assert output.failures == {}
    assert output.ids == ids


def test_failing_day_is_an_error_and_earlier_days_are_kept(talkdesk: TalkdeskAccount) -> None:
    before = talkdesk.add_calls(days_ago=[27, 20, 14.5])
    talkdesk.add_calls(days_ago=[13.5, 7, 1])
    bad = NOW - 13.5 * DAY
    talkdesk.add_faults(Fault.job(JOBS, times=None, when=lambda start, end: start <= bad < end))
    output = talkdesk.sync(days=28)
    assert output.ids == before
    assert output.bookmark == days_ago(14)
    assert f"{days_ago(14)} to {days_ago(13)}" in output.failure
    assert "failed" in output.failure
    assert any(job_id in output.failure for job_id in talkdesk.server.jobs)


def test_stuck_job_is_replaced_after_the_timeout(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.job(JOBS, status="stuck"))
    assert talkdesk.sync(talkdesk_job_timeout_seconds=120).ids == ids
    assert timedelta(seconds=120) <= clock.now() - NOW < timedelta(seconds=180)


def test_unknown_job_status_is_a_warning_and_polled_on(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    body = {"job": {"id": "x", "status": "pondering"}}
    talkdesk.add_faults(Fault.status(JOB_STATUS, 200, body=body, times=3))
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync()
    assert output.ids == ids
    assert sum("'pondering'" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("status", ["failed", "FAILED", "Canceled"])
def test_job_status_is_case_insensitive(talkdesk: TalkdeskAccount, status: str) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(JOB_STATUS, 200, body={"job": {"id": "x", "status": status}}))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 2


@pytest.mark.parametrize(("status", "body"), [(204, ""), (404, "404 Not Found")])
def test_job_that_is_not_found_yet_is_polled_again(
    talkdesk: TalkdeskAccount, status: int, body: str
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(JOB_STATUS, status, body=body, times=3))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 1


def test_job_that_stays_not_found_is_created_again(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(JOB_STATUS, 404, body="404 Not Found", times=9))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 2


# Concurrent jobs


def test_windows_run_concurrently_and_are_written_in_order() -> None:
    # Jobs take real time here, those of earlier windows more than those of later ones.
    began = datetime.now(timezone.utc) - timedelta(days=40)

    def earlier_is_slower(start: datetime, end: datetime) -> float:  # noqa: ARG001
        return 1.5 if start - began < 11 * DAY else 0.5

    with Sandbox(calls=100, days=39, job_seconds=earlier_is_slower) as sandbox:
        config = TalkdeskAccount(sandbox, FakeClock()).config(
            start_date=timestamp(began), talkdesk_window_days=10
        )
        output = sync(config, clock=Clock())
        requests = [(request.method, request.vendor) for request in sandbox.requests]
    ends = [record["end_at"] for record in output.records("talkdesk_calls")]
    assert len(ends) == 100
    assert ends == sorted(ends)
    # All four jobs are created before the first file is downloaded.
    assert (
        requests.index(("GET", "files"))
        > [index for index, request in enumerate(requests) if request == ("POST", "talkdesk")][3]
    )


def test_concurrent_jobs_stay_within_the_setting(
    start_talkdesk: Callable[..., TalkdeskAccount],
) -> None:
    talkdesk = start_talkdesk(job_quota=2, job_seconds=20)
    ids = talkdesk.add_calls(days_ago=range(49, 0, -1))
    output = talkdesk.sync(days=50, talkdesk_window_days=5, talkdesk_concurrent_jobs=2)
    assert output.ids == ids
    assert {request.status for request in talkdesk.created_jobs()} == {202}


def test_job_quota_used_up_by_others_is_waited_out(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    body = {"code": "0490029", "description": "Too many simultaneous reports."}
    talkdesk.add_faults(Fault.status(JOBS, 429, body=body, times=15))
    assert talkdesk.sync().ids == ids


def test_failure_stops_the_other_windows(talkdesk: TalkdeskAccount) -> None:
    body = {"code": 1400, "message": "no"}
    talkdesk.add_faults(Fault.status(JOBS, 400, body=body, times=None))
    output = talkdesk.sync(days=500, talkdesk_window_days=1)
    assert "1400, no" in output.failure
    assert len(talkdesk.created_jobs()) <= 4


def test_state_follows_each_window(talkdesk: TalkdeskAccount) -> None:
    talkdesk.add_calls(days_ago=[49, 41, 31, 21, 11, 1])
    output = talkdesk.sync(days=50, talkdesk_window_days=10)
    expected = [days_ago(days) for days in (40, 30, 20, 10, 2)]
    assert list(dict.fromkeys(output.bookmarks)) == expected


# Files


def test_file_store_receives_no_token(start_talkdesk: Callable[..., TalkdeskAccount]) -> None:
    talkdesk = start_talkdesk(calls=20)
    output = talkdesk.sync(days=50)
    assert output.failures == {}
    downloads = [request for request in talkdesk.requests if request.vendor == "files"]
    assert downloads
    assert all("Authorization" not in request.headers for request in downloads)


def test_netrc_is_not_sent_to_the_file_store(
    start_talkdesk: Callable[..., TalkdeskAccount], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    talkdesk = start_talkdesk(calls=20)
    assert talkdesk.sync(days=50).failures == {}
    downloads = [request for request in talkdesk.requests if request.vendor == "files"]
    assert downloads
    assert all("Authorization" not in request.headers for request in downloads)


def test_file_that_is_not_ready_is_requested_again(
    start_talkdesk: Callable[..., TalkdeskAccount],
) -> None:
    talkdesk = start_talkdesk(job_seconds=200)
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(FILE, 404, body="404 Not Found", times=2))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 1


@pytest.mark.parametrize("status", [400, 403, 410])
def test_expired_presigned_url_is_renewed(talkdesk: TalkdeskAccount, status: int) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(PRESIGNED, status, body="<Error>expired</Error>", times=2))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 1


def test_missing_file_gets_a_new_job(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(PRESIGNED, 404, times=4))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 2


@pytest.mark.parametrize("fault", [Fault.truncate, Fault.not_json, Fault.reset])
def test_broken_file_is_downloaded_again(
    talkdesk: TalkdeskAccount, fault: Callable[[str], Fault]
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(fault(PRESIGNED))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 1


def test_file_that_stays_broken_is_an_error(talkdesk: TalkdeskAccount) -> None:
    talkdesk.add_faults(Fault.not_json(PRESIGNED, times=None))
    output = talkdesk.sync(days=50)
    assert "not the JSON" in output.failure
    assert output.bookmark is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda body: body | {"total": body["total"] + 1}, "2 rows and states a total of 3"),
        (lambda body: body | {"total": body["total"] - 1}, "2 rows and states a total of 1"),
        (lambda body: body | {"entries": None}, "null for `entries`"),
        (lambda body: {"type": "calls", "total": body["total"]}, "neither `entries` nor"),
        (
            lambda body: (
                body
                | {"entries": [{"interaction_id": "x", "call_type": "in"}, *body["entries"][1:]]}
            ),
            "without `call_id` (its fields: call_type, interaction_id",
        ),
        (lambda body: body | {"entries": ["text", *body["entries"][1:]]}, "not a JSON object"),
    ],
    ids=["too few", "too many", "null", "missing", "explore_calls", "not an object"],
)
def test_incomplete_report_is_an_error(
    talkdesk: TalkdeskAccount, edit: Callable[[Any], Any], message: str
) -> None:
    talkdesk.add_calls(days_ago=[0.5, 0.3])
    talkdesk.add_faults(Fault.edit(PRESIGNED, edit, times=None))
    output = talkdesk.sync()
    assert message in output.failure
    assert output.bookmark is None


def test_full_disk_is_an_error(talkdesk: TalkdeskAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the machine has no /dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full.open("wb"))
    assert "No space left on device. Set TMPDIR" in talkdesk.sync().failure


def test_empty_report_moves_the_bookmark(talkdesk: TalkdeskAccount) -> None:
    output = talkdesk.sync(days=40)
    assert output.failures == {}
    assert output.bookmark == days_ago(2)


def test_rows_without_end_at_are_written_with_one_warning(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    ids = talkdesk.add_calls(days_ago=[30, 20, 10])

    def clear(body: Any) -> Any:
        return body | {"entries": [row | {"end_at": None} for row in body["entries"]]}

    talkdesk.add_faults(Fault.edit(PRESIGNED, clear, times=None))
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(days=50)
    assert output.ids == ids
    assert [line for line in caplog.messages if "no end_at" in line] == [
        "talkdesk_calls: 3 rows have no end_at; they are written all the same."
    ]


# Lookback: Talkdesk has no `updated_at`


def test_score_given_the_next_day_is_in_the_next_run(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    (call_id,) = talkdesk.add_calls(hours_ago=[3])
    first = talkdesk.sync(days=50)
    assert first.latest[call_id]["csat_score"] is None
    clock.advance(hours=23)
    talkdesk.put_call(call_id, csat_score=5, csat_survey_time=timestamp(clock.now()))
    second = talkdesk.sync(days=50, state=first.state)
    assert second.latest[call_id]["csat_score"] == 5


def test_sync_an_hour_later_creates_at_most_two_jobs(
    start_talkdesk: Callable[..., TalkdeskAccount], clock: FakeClock
) -> None:
    talkdesk = start_talkdesk(calls=50)
    first = talkdesk.sync(days=50)
    talkdesk.sandbox.forget_requests()
    clock.advance(hours=1)
    talkdesk.sync(days=50, state=first.state)
    assert 1 <= len(talkdesk.created_jobs()) <= 2


def test_lookback_does_not_move_the_bookmark_back(talkdesk: TalkdeskAccount) -> None:
    an_hour_ago = timestamp(NOW - timedelta(hours=1))
    output = talkdesk.sync(days=50, state=bookmarks(talkdesk_calls=an_hour_ago))
    assert output.bookmark == an_hour_ago


# Credentials


def test_all_windows_share_a_token(talkdesk: TalkdeskAccount) -> None:
    talkdesk.sync(days=50, talkdesk_window_days=5)
    assert len(talkdesk.token_requests()) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_token_is_refreshed(talkdesk: TalkdeskAccount, status: int) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(JOBS, status))
    assert talkdesk.sync().ids == ids


def test_missing_scope_is_named(talkdesk: TalkdeskAccount) -> None:
    talkdesk.server.granted_scope = "data-reports:write other:read"
    output = talkdesk.sync(days=50)
    assert "lacks the scope data-reports:read:" in output.failure
    assert talkdesk.created_jobs() == []


@pytest.mark.parametrize("form", ["private_key", "private_key_pem", "one line"])
def test_signed_jwt_replaces_the_client_secret(talkdesk: TalkdeskAccount, form: str) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    key = getattr(talkdesk.server, form.replace("one line", "private_key_pem"))
    if form == "one line":
        key = key.replace("\n", "\\n")
    config = talkdesk.config(talkdesk_key_id=talkdesk.server.key_id, talkdesk_private_key=key)
    del config["talkdesk_client_secret"]
    assert talkdesk.sync_config(config).ids == ids
    (request,) = talkdesk.token_requests()
    assert "Authorization" not in request.headers


def test_error_includes_the_id_for_support(talkdesk: TalkdeskAccount) -> None:
    talkdesk.add_faults(Fault.status(JOBS, 400, headers={"platform-tid": "tid-42"}))
    assert "tid-42" in talkdesk.sync(days=50).failure


# Progress


def test_progress_logs_the_windows(
    start_talkdesk: Callable[..., TalkdeskAccount], caplog: pytest.LogCaptureFixture
) -> None:
    talkdesk = start_talkdesk(calls=50, days=40, job_seconds=10)
    with caplog.at_level(logging.INFO):
        talkdesk.sync(days=50, talkdesk_window_days=10)
    progress = [line for line in caplog.messages if "rows, read up to" in line]
    assert "of 5 windows done" in progress[0]
    assert "running" in progress[0]
    assert "50 rows" in progress[-1]
    assert "5 of 5 windows done" in progress[-1]

"""Talkdesk's report jobs: windows, jobs, files, and the lookback.

What both vendors' APIs share, such as retries and tokens, is in `test_http.py`.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.faults import Effect, Hang, Respond
from sandbox.talkdesk import FILES, JOBS
from tap_voicecalls.clock import Clock
from tests.harness import NOW, FakeClock, bookmarks, sync, timestamp
from tests.vendors import FILE, JOB_STATUS, PRESIGNED, TALKDESK_EXAMPLE, TalkdeskAccount

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from sandbox.faults import Handler
    from sandbox.talkdesk_reports import TimespanBy

DAY = timedelta(days=1)
INVALID_IDS: tuple[Any, ...] = (1.5, True, None, {}, ["x"], "", "..", "a\nb")


def days_ago(days: float) -> str:
    """Return the timestamp of so many days before now."""
    return timestamp(NOW - days * DAY)


@dataclass(frozen=True)
class FirstWindow:
    """An effect on the jobs of the window that starts then, and maybe one on all others."""

    start: str
    effect: Effect
    others: Effect | None = None

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.json()
        effect = self.effect if body["timespan"]["from"] == self.start else self.others
        return await (handler() if effect is None else effect.respond(request, handler))


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


@pytest.mark.parametrize("timespan_by", ["start", "end"])
def test_timespan_may_mean_the_start_or_the_end_of_calls(
    start_talkdesk: Callable[..., TalkdeskAccount], timespan_by: TimespanBy
) -> None:
    talkdesk = start_talkdesk(calls=200, days=40, now=NOW, timespan_by=timespan_by)
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


def test_job_that_timed_out_is_canceled(talkdesk: TalkdeskAccount) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.job(JOBS, status="stuck"))
    assert talkdesk.sync(talkdesk_job_timeout_seconds=120).ids == ids
    assert sorted(talkdesk.job_statuses()) == ["canceled", "done"]


@pytest.mark.parametrize("fault", [Fault.reset, partial(Fault.status, status=500), Fault.hang])
def test_cancellation_that_fails_does_not_matter(
    talkdesk: TalkdeskAccount, fault: Callable[..., Fault]
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(
        Fault.job(JOBS, status="stuck"), fault(JOB_STATUS, method="DELETE", times=None)
    )
    assert talkdesk.sync(talkdesk_job_timeout_seconds=120).ids == ids


def test_jobs_that_never_end_fail_within_three_timeouts(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    talkdesk.add_faults(Fault.job(JOBS, status="stuck", times=None))
    output = talkdesk.sync(days=500, talkdesk_job_timeout_seconds=600, talkdesk_concurrent_jobs=1)
    assert "in 3 attempts" in output.failure
    assert "talkdesk_job_timeout_seconds" in output.failure
    assert clock.now() - NOW < timedelta(seconds=3 * 600 + 60)
    assert set(talkdesk.job_statuses()) == {"canceled"}


def test_slow_failures_end_within_three_timeouts(
    start_talkdesk: Callable[..., TalkdeskAccount], clock: FakeClock
) -> None:
    talkdesk = start_talkdesk(job_seconds=500)
    talkdesk.add_faults(Fault.job(JOBS, times=None))
    failure = talkdesk.sync(days=28, talkdesk_job_timeout_seconds=600).failure
    assert "could not make the calls report" in failure
    assert clock.now() - NOW < timedelta(seconds=3 * 600 + 60)


@pytest.mark.parametrize(("status", "failing_jobs"), [("failed", 6), ("stuck", 2)])
def test_jobs_that_only_succeed_by_the_day_are_learned(
    talkdesk: TalkdeskAccount, status: str, failing_jobs: int
) -> None:
    ids = talkdesk.add_calls(days_ago=[27.5, 20, 14, 13.5, 7, 1])
    by_the_day = Fault.job(
        JOBS, status=status, times=None, when=lambda start, end: end - start > DAY
    )
    talkdesk.add_faults(by_the_day)
    output = talkdesk.sync(days=28, talkdesk_window_days=14, talkdesk_concurrent_jobs=1)
    assert output.failures == {}
    assert output.ids == ids
    # 28 reports of a day, and those that failed: of 14 days twice, then of 7, 3 and 1.
    assert len(talkdesk.windows()) <= 28 + failing_jobs


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


@pytest.mark.parametrize("job_id", [7, "a/b?c=d#e%2F", "../x"])
def test_job_id_may_need_quoting(talkdesk: TalkdeskAccount, job_id: object) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])

    def rename(body: Any) -> Any:
        talkdesk.server.jobs[str(job_id)] = talkdesk.server.jobs[body["job"]["id"]]
        return {"job": {"id": job_id}}

    talkdesk.add_faults(Fault.edit(JOBS, rename))
    output = talkdesk.sync()
    assert output.failures == {}
    assert output.ids == ids


@pytest.mark.parametrize(
    ("timespan", "jobs"),
    [
        ({"from": days_ago(40), "to": days_ago(30)}, 2),
        ({"from": days_ago(10), "to": days_ago(9)}, 2),
        ({"from": days_ago(9.8), "to": days_ago(-0.2)}, 2),
        ({"from": days_ago(11), "to": timestamp(NOW)}, 1),
        # It may be in the account's time zone.
        ({"from": days_ago(9.8)[:-1], "to": days_ago(-0.2)[:-1]}, 1),
        ({"from": days_ago(40)[:-1], "to": days_ago(30)[:-1]}, 2),
        ({"from": 5, "to": None}, 1),
        ({}, 1),
        ("soon", 1),
    ],
    ids=str,
)
def test_job_of_another_timespan_is_created_again(
    talkdesk: TalkdeskAccount, timespan: object, jobs: int
) -> None:
    ids = talkdesk.add_calls(days_ago=[3])
    edit = Fault.edit(JOBS, lambda body: body | {"job": body["job"] | {"timespan": timespan}})
    talkdesk.add_faults(edit)
    assert talkdesk.sync(days=10).ids == ids
    assert len(talkdesk.windows()) == jobs


@pytest.mark.parametrize(
    "body",
    [
        *({"job": {"id": job_id}} for job_id in INVALID_IDS),
        {"job": {"id": "x" * 300}},
        {"job": [{"id": "x"}]},
        {"job": "x"},
        {},
    ],
    ids=str,
)
def test_job_without_a_valid_id_is_an_error(
    talkdesk: TalkdeskAccount, body: dict[str, Any]
) -> None:
    talkdesk.add_faults(Fault.status(JOBS, 202, body=body, times=None))
    output = talkdesk.sync()
    assert "without a valid ID" in output.failure
    assert "\n" not in output.failure


@pytest.mark.parametrize(
    "body",
    [{"job": {"status": 5}}, {"job": {"status": None}}, {"job": ["done"]}, {"job": None}, {}],
    ids=str,
)
def test_status_of_another_type_is_an_error_at_once(
    talkdesk: TalkdeskAccount, clock: FakeClock, body: dict[str, Any]
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5])
    talkdesk.add_faults(Fault.status(JOB_STATUS, 200, body=body))
    assert talkdesk.sync().ids == ids
    talkdesk.add_faults(Fault.status(JOB_STATUS, 200, body=body, times=None))
    assert "neither `entries` nor the status of a job" in talkdesk.sync().failure
    assert clock.now() - NOW < timedelta(minutes=1)


# Redirects


@pytest.mark.parametrize(
    "location",
    ["ftp://files/x", "javascript:x", "http://[::1", "\\\\evil\\x", "https://user@evil/x", "//"],
)
def test_redirect_to_an_unusable_url_is_an_error(talkdesk: TalkdeskAccount, location: str) -> None:
    talkdesk.add_faults(Fault.status(FILE, 303, headers={"Location": location}, times=None))
    assert "redirect" in talkdesk.sync().failure


def test_redirect_to_nowhere_is_an_error_soon(talkdesk: TalkdeskAccount, clock: FakeClock) -> None:
    talkdesk.add_faults(Fault.status(FILE, 303, times=None))
    assert "is done and has no file" in talkdesk.sync().failure
    assert clock.now() - NOW < timedelta(minutes=5)


def test_redirect_loop_is_an_error(talkdesk: TalkdeskAccount) -> None:
    location = {"Location": f"{talkdesk.url}{FILES}/x"}
    talkdesk.add_faults(Fault.status(FILE, 303, headers=location, times=None))
    assert "in a loop" in talkdesk.sync().failure


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


def test_full_quota_is_as_fast_as_one_job_after_the_other(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock
) -> None:
    """Others leave one job of the quota; Talkdesk returns 429 for more."""
    took = []
    for jobs in (1, 4):
        sandbox = start_sandbox(calls=600, days=59, now=NOW, job_quota=1, job_seconds=20)
        talkdesk = TalkdeskAccount(sandbox, clock)
        started = clock.now()
        output = talkdesk.sync(days=60, talkdesk_window_days=5, talkdesk_concurrent_jobs=jobs)
        took.append(clock.now() - started)
        assert output.failures == {}
        assert len(set(output.ids)) == 600
    assert took[1] <= 1.2 * took[0]
    refused = [request for request in talkdesk.created_jobs() if request.status == 429]
    assert 1 <= len(refused) <= 3 + 12


def test_concurrency_grows_again_after_a_429(
    start_talkdesk: Callable[..., TalkdeskAccount],
) -> None:
    talkdesk = start_talkdesk(job_seconds=20)
    most = 0

    def count(body: Any) -> Any:
        nonlocal most
        most = max(most, sum(status != "done" for status in talkdesk.job_statuses()))
        return body

    talkdesk.add_faults(Fault.status(JOBS, 429, times=5), Fault.edit(JOBS, count, times=None))
    assert talkdesk.sync(days=60, talkdesk_window_days=2).failures == {}
    assert most == 4


def test_quota_that_stays_full_fails_after_half_an_hour(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    talkdesk.add_faults(Fault.status(JOBS, 429, times=None))
    output = talkdesk.sync(days=500)
    assert "quota of report jobs is still used up after 30 min" in output.failure
    assert clock.now() - NOW <= timedelta(minutes=32)


def test_failure_cancels_the_other_jobs(talkdesk: TalkdeskAccount) -> None:
    first = days_ago(500)
    talkdesk.add_faults(
        Fault(JOBS, FirstWindow(first, Respond(400))),
        Fault.job(JOBS, status="stuck", times=None),
    )
    talkdesk.sync(days=500)
    assert set(talkdesk.job_statuses()) <= {"canceled"}


def test_failure_does_not_wait_for_a_request_that_hangs(
    talkdesk: TalkdeskAccount, tmp_path: Path
) -> None:
    """The program ends, too: its threads do not keep it."""
    talkdesk.add_faults(
        Fault(JOBS, FirstWindow(days_ago(500), Respond(400), others=Hang()), times=None)
    )
    config = tmp_path / "config.json"
    config.write_text(json.dumps(talkdesk.config(days=500, end_date=timestamp(NOW))))
    command = [sys.executable, "-m", "tap_voicecalls", f"--config={config}"]
    started = time.monotonic()
    result = subprocess.run(  # noqa: S603 - this project's own command
        command, capture_output=True, text=True, timeout=100, check=False
    )
    assert "400 Bad Request" in result.stderr
    assert time.monotonic() - started < 30


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
    assert "not JSON" in output.failure
    assert output.bookmark is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda body: body | {"total": body["total"] + 1}, "2 rows and states a total of 3"),
        (lambda body: body | {"total": body["total"] - 1}, "2 rows and states a total of 1"),
        (lambda body: body | {"entries": None}, "null for `entries`"),
        (lambda body: body | {"total": "many"}, '2 rows and states a total of "many"'),
        (lambda body: body | {"entries": {"1": {}}}, '{"1": {}} for `entries`'),
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
    ids=[
        *("too few", "too many", "null", "total", "object", "missing"),
        *("explore_calls", "not an object"),
    ],
)
def test_incomplete_report_is_an_error(
    talkdesk: TalkdeskAccount, clock: FakeClock, edit: Callable[[Any], Any], message: str
) -> None:
    talkdesk.add_calls(days_ago=[0.5, 0.3])
    talkdesk.add_faults(Fault.edit(PRESIGNED, edit, times=None))
    output = talkdesk.sync()
    assert message in output.failure
    assert output.bookmark is None
    assert clock.now() - NOW < timedelta(minutes=1)


@pytest.mark.parametrize(("times", "jobs"), [(1, 1), (2, 2), (3, 2)])
def test_incomplete_report_is_downloaded_again_then_replaced(
    talkdesk: TalkdeskAccount, times: int, jobs: int
) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5, 0.3])
    talkdesk.add_faults(Fault.edit(PRESIGNED, lambda body: body | {"total": 3}, times=times))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == jobs


@pytest.mark.parametrize("total", ["2", 2.0, None])
def test_total_may_have_any_type(talkdesk: TalkdeskAccount, total: object) -> None:
    ids = talkdesk.add_calls(days_ago=[0.5, 0.3])
    talkdesk.add_faults(Fault.edit(PRESIGNED, lambda body: body | {"total": total}))
    assert talkdesk.sync().ids == ids
    assert len(talkdesk.windows()) == 1


def test_odd_values_cost_no_row(talkdesk: TalkdeskAccount) -> None:
    row = (
        '{"call_id": "%s", "notes": "cut \\ud83d, \\u0000", "x": %s, "y": 1e99999999999999999999,'
        '\n "z": 1.10}'
    )
    rows = ", ".join(row % (call_id, "9" * 5000) for call_id in "ab")
    talkdesk.add_faults(
        Fault.status(PRESIGNED, 200, body=f'{{"total": 2,\n "entries" : [ {rows} ]\n}}')
    )
    output = talkdesk.sync()
    assert output.failures == {}
    assert output.ids == ["a", "b"]
    assert output.latest["a"]["notes"] == "cut \ufffd, \ufffd"
    assert output.latest["b"]["extra_fields"]["x"] == "9" * 5000


def test_full_disk_is_an_error(talkdesk: TalkdeskAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the machine has no /dev/full")
    talkdesk.add_calls(days_ago=[0.5])
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full.open("wb", buffering=0))
    assert "No space left on device. Set TMPDIR" in talkdesk.sync().failure


def test_missing_temporary_folder_is_an_error(
    talkdesk: TalkdeskAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    talkdesk.add_calls(days_ago=[0.5])
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    assert "/missing: No such file or directory. Set TMPDIR" in talkdesk.sync().failure


def test_empty_report_moves_the_bookmark(talkdesk: TalkdeskAccount) -> None:
    output = talkdesk.sync(days=40)
    assert output.failures == {}
    assert output.bookmark == days_ago(2)


@pytest.mark.parametrize(("days_ago", "rows"), [([30, 20, 10], "3 rows"), ([10], "1 row")])
def test_rows_without_end_at_are_written_with_one_warning(
    talkdesk: TalkdeskAccount, caplog: pytest.LogCaptureFixture, days_ago: list[int], rows: str
) -> None:
    ids = talkdesk.add_calls(days_ago=days_ago)

    def clear(body: Any) -> Any:
        return body | {"entries": [row | {"end_at": None} for row in body["entries"]]}

    talkdesk.add_faults(Fault.edit(PRESIGNED, clear, times=None))
    with caplog.at_level(logging.WARNING):
        output = talkdesk.sync(days=50)
    assert output.ids == ids
    assert [line for line in caplog.messages if "end_at" in line] == [
        f"talkdesk_calls: {rows} without end_at, written all the same."
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

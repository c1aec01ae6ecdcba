"""Talkdesk's report jobs run side by side, and nothing is taken on trust."""

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
from sandbox.talkdesk import FILES, JOBS
from tap_voicecalls.timestamps import Clock
from tests.harness import NOW, FakeClock, bookmarks, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.web import Request
    from tests.harness import Output

EXAMPLE = "17378a31cf7546d3acb9621f29a4e883"
STATUS = f"{JOBS}/*"
FILE = f"{FILES}/*"
STORED = "/calls/*"
DAY = timedelta(days=1)


@pytest.fixture
def start(start_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Starts an account that is empty but for the examples, unless it is said otherwise."""

    def start_empty(**options: Any) -> Sandbox:
        return start_sandbox(**{"calls": 0} | options)

    return start_empty


def config(sandbox: Sandbox, *, days: float = 50, **settings: Any) -> dict[str, Any]:
    """The settings of Talkdesk alone, from some days ago on."""
    own = {name: value for name, value in sandbox.config.items() if "zendesk" not in name}
    return own | {"start_date": timestamp(NOW - timedelta(days=days))} | settings


def add_calls(sandbox: Sandbox, *ages: timedelta, **fields: Any) -> list[str]:
    """Adds a call for each age, ended so long before now; gives their ids."""
    template = sandbox.talkdesk.calls[EXAMPLE]
    ids = []
    for age in ages:
        ids.append(f"call-{len(sandbox.talkdesk.calls):04d}")
        times = {
            "start_at": timestamp(NOW - age - timedelta(seconds=24)),
            "end_at": timestamp(NOW - age),
        }
        sandbox.talkdesk.put_call(template | times | {"call_id": ids[-1]} | fields)
    return ids


def days(*numbers: float) -> list[timedelta]:
    return [timedelta(days=number) for number in numbers]


def written(output: Output) -> list[str]:
    return [record["call_id"] for record in output.records("talkdesk_calls")]


def created(sandbox: Sandbox) -> list[Request]:
    return [
        request for request in sandbox.requests if request.method == "POST" and request.path == JOBS
    ]


def spans(sandbox: Sandbox) -> list[tuple[str, str]]:
    """The windows of the jobs that were created, in order of time."""
    return sorted(
        (request.body["timespan"]["from"], request.body["timespan"]["to"])
        for request in created(sandbox)
        if request.status == 202
    )


def said(output: Output) -> str:
    return output.failures["talkdesk_calls"]


# Windows


def test_windows_touch_and_are_no_longer_than_is_set(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sync(config(sandbox, days=100, talkdesk_window_days=28), clock=clock)
    windows = spans(sandbox)
    assert windows[0][0] == timestamp(NOW - 100 * DAY)
    assert all(end == begin for (_, end), (begin, _) in pairwise(windows))
    lengths = [
        datetime.fromisoformat(end[:-1]) - datetime.fromisoformat(begin[:-1])
        for begin, end in windows
    ]
    assert lengths[:3] == [28 * DAY] * 3
    assert len(lengths) == 4


def test_the_last_window_ends_a_lag_before_now(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sync(config(sandbox), clock=clock)
    assert spans(sandbox)[-1][1] == timestamp(NOW - timedelta(minutes=2))


def test_end_date_bounds_the_windows(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(45, 30, 10))
    end = NOW - 20 * DAY
    output = sync(config(sandbox, end_date=timestamp(end)), clock=clock)
    assert written(output) == ids[:2]
    assert spans(sandbox)[-1][1] == timestamp(end)
    assert output.bookmark("talkdesk_calls") == timestamp(end)


@pytest.mark.parametrize("zone", ["America/St_Johns", "Asia/Kolkata", "Europe/Berlin"])
def test_the_time_zone_of_the_machine_does_not_matter(
    start: Callable[..., Sandbox],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(45, 26.3, 26, 25.7, 0.1))  # over the end of summer time
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        output = sync(config(sandbox, talkdesk_window_days=1), clock=clock)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert written(output) == ids
    assert spans(sandbox)[0][0] == timestamp(NOW - 50 * DAY)


@pytest.mark.parametrize("field", ["start_at", "end_at"])
def test_nothing_is_lost_whichever_time_the_timespan_means(
    start: Callable[..., Sandbox], clock: FakeClock, field: str
) -> None:
    sandbox = start(calls=200, days=40, now=NOW, timespan_field=field)
    edge = NOW - 50 * DAY + 28 * DAY
    over_the_edge = {
        "start_at": timestamp(edge - timedelta(minutes=5)),
        "end_at": timestamp(edge + timedelta(minutes=5)),
    }
    add_calls(sandbox, *days(5), **over_the_edge)
    output = sync(config(sandbox), clock=clock)
    assert set(written(output)) == set(sandbox.talkdesk.calls) - {EXAMPLE}


# A job


def test_the_body_is_as_documented(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    sync(config(sandbox, days=1), clock=clock)
    (request,) = created(sandbox)
    assert request.body == {
        "name": "tap-voicecalls",
        "timezone": "UTC",
        "format": "json",
        "timespan": {"from": timestamp(NOW - DAY), "to": timestamp(NOW - timedelta(minutes=2))},
    }


@pytest.mark.parametrize("body", ["nested", "flat"])
@pytest.mark.parametrize("location", ["absolute", "relative"])
@pytest.mark.parametrize("done", [303, 302, 300, 200])
@pytest.mark.parametrize("direct", [False, True])
def test_every_way_to_the_file_leads_to_it(
    start: Callable[..., Sandbox],
    clock: FakeClock,
    body: str,
    location: str,
    done: int,
    direct: bool,  # noqa: FBT001
) -> None:
    sandbox = start(job_body=body, location=location, job_seconds=4)
    sandbox.talkdesk.done_status = done
    sandbox.talkdesk.file_direct = direct
    ids = add_calls(sandbox, *days(3, 2))
    assert written(sync(config(sandbox, days=10), clock=clock)) == ids


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_job_may_be_created_with_any_of_three_statuses(
    start: Callable[..., Sandbox], clock: FakeClock, status: int
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(3))
    output = sync(config(sandbox, days=10), clock=clock)
    job_id = next(iter(sandbox.talkdesk.jobs))
    sandbox.faults.add(
        Fault.status(JOBS, status, body={"job": {"id": job_id, "status": "CREATED"}})
    )
    output = sync(config(sandbox, days=10), clock=clock)
    assert written(output) == ids


def test_it_is_polled_with_growing_pauses(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start(job_seconds=300)
    sync(config(sandbox, days=10), clock=clock)
    assert clock.sleeps[0] == 1
    assert clock.sleeps == sorted(clock.sleeps)
    assert max(clock.sleeps) == 30


@pytest.mark.parametrize("status", ["failed", "canceled", "deleted", "FAILED"])
def test_a_job_that_is_lost_is_tried_again_once(
    start: Callable[..., Sandbox], clock: FakeClock, status: str
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(3))
    sandbox.faults.add(Fault.job(JOBS, status=status))
    output = sync(config(sandbox, days=10), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 2


def test_a_window_that_fails_again_is_cut_down_until_it_succeeds(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(27, 20, 14, 13.5, 7, 1))
    sandbox.faults.add(Fault.job(JOBS, times=None, when=lambda start, end: end - start > 5 * DAY))
    output = sync(config(sandbox, days=28), clock=clock)
    assert output.failures == {}
    assert written(output) == ids


def test_a_day_that_can_not_be_reported_is_an_error_and_what_was_before_it_is_kept(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    before = add_calls(sandbox, *days(27, 20, 14.5))
    add_calls(sandbox, *days(13.5, 7, 1))
    bad = NOW - 13.5 * DAY
    sandbox.faults.add(Fault.job(JOBS, times=None, when=lambda start, end: start <= bad < end))
    output = sync(config(sandbox, days=28), clock=clock)
    assert written(output) == before
    assert output.bookmark("talkdesk_calls") == timestamp(NOW - 14 * DAY)
    window = f"{timestamp(NOW - 14 * DAY)} to {timestamp(NOW - 13 * DAY)}"
    assert window in said(output)
    assert "failed" in said(output)
    assert any(job_id in said(output) for job_id in sandbox.talkdesk.jobs)


def test_a_job_that_never_ends_is_given_up_at_its_deadline(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.job(JOBS, status="stuck"))
    output = sync(config(sandbox, days=1, talkdesk_job_timeout_seconds=120), clock=clock)
    assert written(output) == ids
    assert timedelta(seconds=120) <= clock.now() - NOW < timedelta(seconds=180)


def test_an_unknown_status_is_logged_and_waited_out(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(
        Fault.status(STATUS, 200, times=3, body={"job": {"id": "x", "status": "pondering"}})
    )
    with caplog.at_level(logging.WARNING):
        output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert sum("'pondering'" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("status", ["failed", "FAILED", "Canceled"])
def test_a_status_is_compared_without_case(
    start: Callable[..., Sandbox], clock: FakeClock, status: str
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(STATUS, 200, body={"job": {"id": "x", "status": status}}))
    assert written(sync(config(sandbox, days=1), clock=clock)) == ids
    assert len(spans(sandbox)) == 2


@pytest.mark.parametrize("status", [204, 404])
def test_a_job_that_is_not_known_yet_is_asked_for_again(
    start: Callable[..., Sandbox], clock: FakeClock, status: int
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(
        Fault.status(STATUS, status, times=3, body="" if status == 204 else "404 Not Found")
    )
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 1


def test_a_job_that_stays_unknown_gets_a_new_one(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(STATUS, 404, times=9, body="404 Not Found"))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 2


def test_a_file_that_is_not_there_yet_is_asked_for_again(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(job_seconds=200)
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(FILE, 404, times=2, body="404 Not Found"))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 1


# Side by side


def test_windows_are_under_way_at_once_and_written_in_order() -> None:
    # Jobs take real time here, the earlier windows more of it than the later ones.
    began = datetime.now(timezone.utc) - timedelta(days=40)

    def slower_earlier(start: datetime, end: datetime) -> float:  # noqa: ARG001
        return 1.5 if start - began < 11 * DAY else 0.5

    with Sandbox(calls=100, days=39, job_seconds=slower_earlier) as sandbox:
        settings = config(sandbox, start_date=timestamp(began), talkdesk_window_days=10)
        output = sync(settings, clock=Clock())
        requests = [(request.method, request.vendor) for request in sandbox.requests]
    ends = [record["end_at"] for record in output.records("talkdesk_calls")]
    assert len(ends) == 100
    assert ends == sorted(ends)
    # All four jobs are there before the first file is.
    assert (
        requests.index(("GET", "files"))
        > [index for index, request in enumerate(requests) if request == ("POST", "talkdesk")][3]
    )


def test_no_more_jobs_than_is_set_are_under_way(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(job_quota=2, job_seconds=20)
    ids = add_calls(sandbox, *days(*range(49, 0, -1)))
    output = sync(config(sandbox, talkdesk_window_days=5, talkdesk_concurrent_jobs=2), clock=clock)
    assert written(output) == ids
    assert {request.status for request in created(sandbox)} == {202}


def test_a_quota_that_others_use_up_is_waited_out(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    body = {"code": "0490029", "description": "Too many simultaneous reports."}
    sandbox.faults.add(Fault.status(JOBS, 429, body=body, times=15))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids


def test_a_failure_ends_the_windows_that_are_under_way(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.status(JOBS, 400, body={"code": 1400, "message": "no"}, times=None))
    output = sync(config(sandbox, days=500, talkdesk_window_days=1), clock=clock)
    assert "1400, no" in said(output)
    assert len(created(sandbox)) <= 4


def test_state_comes_after_each_window(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    add_calls(sandbox, *days(49, 41, 31, 21, 11, 1))
    output = sync(config(sandbox, talkdesk_window_days=10), clock=clock)
    marks = [
        state["bookmarks"]["talkdesk_calls"]["replication_key_value"] for state in output.states
    ]
    assert list(dict.fromkeys(marks)) == [
        *(timestamp(NOW - age) for age in days(40, 30, 20, 10)),
        timestamp(NOW - 2 * DAY),
    ]


# The file


def test_the_file_store_never_gets_the_token(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(calls=20)
    output = sync(config(sandbox), clock=clock)
    assert output.failures == {}
    stored = [request for request in sandbox.requests if request.vendor == "files"]
    assert stored
    assert all("Authorization" not in request.headers for request in stored)


@pytest.mark.parametrize("status", [400, 403, 410])
def test_an_expired_url_of_the_file_is_asked_for_again(
    start: Callable[..., Sandbox], clock: FakeClock, status: int
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(STORED, status, body="<Error>expired</Error>", times=2))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 1


def test_a_file_that_is_gone_gets_a_new_job(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(STORED, 404, times=4))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 2


@pytest.mark.parametrize("fault", [Fault.truncate, Fault.not_json, Fault.reset])
def test_a_broken_file_is_fetched_again(
    start: Callable[..., Sandbox], clock: FakeClock, fault: Callable[[str], Fault]
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(fault(STORED))
    output = sync(config(sandbox, days=1), clock=clock)
    assert written(output) == ids
    assert len(spans(sandbox)) == 1


def test_a_file_that_stays_broken_is_an_error(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    sandbox.faults.add(Fault.not_json(STORED, times=None))
    output = sync(config(sandbox, days=1), clock=clock)
    assert "not the JSON" in said(output)
    assert output.bookmark("talkdesk_calls") is None


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda body: body | {"total": body["total"] + 1}, "2 rows and says that it should be 3"),
        (lambda body: body | {"total": body["total"] - 1}, "2 rows and says that it should be 1"),
        (lambda body: body | {"entries": None}, "null for `entries`"),
        (lambda body: {"type": "calls", "total": body["total"]}, "neither `entries` nor"),
        (
            lambda body: (
                body
                | {"entries": [{"interaction_id": "x", "call_type": "in"}, *body["entries"][1:]]}
            ),
            "without call_id (its fields: call_type, interaction_id",
        ),
        (lambda body: body | {"entries": ["text", *body["entries"][1:]]}, "no object"),
    ],
    ids=["fewer", "more", "null", "missing", "explore_calls", "no object"],
)
def test_a_report_that_is_not_whole_is_an_error_and_the_bookmark_stays(
    start: Callable[..., Sandbox],
    clock: FakeClock,
    edit: Callable[[Any], Any],
    words: str,
) -> None:
    sandbox = start()
    add_calls(sandbox, *days(0.5, 0.3))
    sandbox.faults.add(Fault.edit(STORED, edit, times=None))
    output = sync(config(sandbox, days=1), clock=clock)
    assert words in said(output)
    assert output.bookmark("talkdesk_calls") is None


def test_a_disk_without_room_for_the_file_is_an_error(
    start: Callable[..., Sandbox], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = start()
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the machine has no /dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full.open("wb"))
    output = sync(config(sandbox, days=1), clock=clock)
    assert "No space left on device. Set TMPDIR" in said(output)


def test_an_empty_report_is_a_good_window(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    output = sync(config(sandbox, days=40), clock=clock)
    assert output.failures == {}
    assert output.bookmark("talkdesk_calls") == timestamp(NOW - 2 * DAY)


def test_rows_without_end_at_are_written_and_told_in_one_warning(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(30, 20, 10))

    def without_end(body: Any) -> Any:
        return body | {"entries": [row | {"end_at": None} for row in body["entries"]]}

    sandbox.faults.add(Fault.edit(STORED, without_end, times=None))
    with caplog.at_level(logging.WARNING):
        output = sync(config(sandbox), clock=clock)
    assert written(output) == ids
    assert [line for line in caplog.messages if "no end_at" in line] == [
        "talkdesk_calls: 3 rows have no end_at; they are written all the same."
    ]


# Late changes


def test_a_score_given_the_next_day_is_in_the_next_run(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    (call_id,) = add_calls(sandbox, timedelta(hours=3))
    first = sync(config(sandbox), clock=clock)
    assert first.latest("talkdesk_calls")[call_id]["csat_score"] is None
    clock.advance(hours=23)
    scored = {"csat_score": 5, "csat_survey_time": timestamp(clock.now())}
    sandbox.talkdesk.put_call(sandbox.talkdesk.calls[call_id] | scored)
    second = sync(config(sandbox), clock=clock, state=first.state)
    assert second.latest("talkdesk_calls")[call_id]["csat_score"] == 5


def test_an_account_that_was_read_an_hour_ago_costs_at_most_two_jobs(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(calls=50)
    first = sync(config(sandbox), clock=clock)
    sandbox.forget_requests()
    clock.advance(hours=1)
    sync(config(sandbox), clock=clock, state=first.state)
    assert 1 <= len(created(sandbox)) <= 2


def test_the_lookback_does_not_move_the_bookmark_back(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    state = bookmarks(talkdesk_calls=timestamp(NOW - timedelta(hours=1)))
    output = sync(config(sandbox), clock=clock, state=state)
    assert output.bookmark("talkdesk_calls") == timestamp(NOW - timedelta(hours=1))


# Credentials


def test_one_token_serves_all_windows(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    sync(config(sandbox, talkdesk_window_days=5), clock=clock)
    assert sum(request.vendor == "talkdesk-id" for request in sandbox.requests) == 1


def test_a_token_is_made_anew_before_it_ends(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start(job_seconds=200)
    output = sync(config(sandbox, talkdesk_window_days=5, talkdesk_concurrent_jobs=1), clock=clock)
    assert output.failures == {}
    assert sum(request.vendor == "talkdesk-id" for request in sandbox.requests) >= 3
    assert not {request.status for request in sandbox.requests} & {401, 403}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_made_anew_once(
    start: Callable[..., Sandbox], clock: FakeClock, status: int
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    sandbox.faults.add(Fault.status(JOBS, status))
    assert written(sync(config(sandbox, days=1), clock=clock)) == ids

    sandbox.faults.add(Fault.status(JOBS, status, times=None, body="Unauthorized"))
    sandbox.forget_requests()
    output = sync(config(sandbox, days=1), clock=clock)
    assert len(created(sandbox)) == 2
    for hint in ("talkdesk_region is 'us'", "data-reports:read", "data-reports:write"):
        assert hint in said(output)


def test_a_scope_that_is_missing_is_named(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    sandbox.talkdesk.granted_scope = "data-reports:write other:read"
    output = sync(config(sandbox), clock=clock)
    assert "lacks the scope data-reports:read:" in said(output)
    assert created(sandbox) == []


@pytest.mark.parametrize("form", ["private_key", "private_key_pem", "one line"])
def test_a_signed_jwt_takes_the_place_of_the_secret(
    start: Callable[..., Sandbox], clock: FakeClock, form: str
) -> None:
    sandbox = start()
    ids = add_calls(sandbox, *days(0.5))
    key = getattr(sandbox.talkdesk, form.replace("one line", "private_key_pem"))
    if form == "one line":
        key = key.replace("\n", "\\n")
    settings = config(
        sandbox, days=1, talkdesk_key_id=sandbox.talkdesk.key_id, talkdesk_private_key=key
    )
    del settings["talkdesk_client_secret"]
    assert written(sync(settings, clock=clock)) == ids
    (token,) = [request for request in sandbox.requests if request.vendor == "talkdesk-id"]
    assert "Authorization" not in token.headers


def test_wrong_credentials_are_told(start: Callable[..., Sandbox], clock: FakeClock) -> None:
    sandbox = start()
    output = sync(config(sandbox, talkdesk_client_secret="wrong"), clock=clock)
    assert "Client authentication failed." in said(output)
    assert "talkdesk_client_secret" in said(output)


# Errors


def test_a_refusal_shows_the_apis_own_words_and_the_id_for_support(
    start: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start()
    body = {
        "code": 1400,
        "message": "input parameters validation failed",
        "description": "Not valid.",
        "fields": [{"name": "timespan[from]", "description": "is too long ago"}],
    }
    sandbox.faults.add(Fault.status(JOBS, 400, body=body, headers={"platform-tid": "tid-42"}))
    output = sync(config(sandbox), clock=clock)
    for words in (
        "1400",
        "validation failed",
        "Not valid.",
        "timespan[from]",
        "too long ago",
        "tid-42",
    ):
        assert words in said(output)


def test_presigned_urls_and_tokens_are_in_no_log(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start(calls=20)
    sandbox.faults.add(
        Fault.reset(STORED),
        Fault.status(STORED, 403, times=2),
        Fault.status(
            JOBS, 400, after=1, body="see https://files.example/x?X-Amz-Signature=abc now"
        ),
    )
    with caplog.at_level(logging.DEBUG):
        output = sync(config(sandbox), clock=clock)
    everything = caplog.text + str(output.messages) + str(output.failures)
    assert "https://files.example/x?*** now" in everything
    for secret in ("X-Amz", sandbox.talkdesk.client_secret, *sandbox.talkdesk.tokens.issued):
        assert secret not in everything


def test_progress_is_told_in_words(
    start: Callable[..., Sandbox], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = start(calls=50, days=40, job_seconds=10)
    with caplog.at_level(logging.INFO):
        sync(config(sandbox, talkdesk_window_days=10), clock=clock)
    told = [line for line in caplog.messages if "rows, read up to" in line]
    assert "of 5 windows done" in told[0]
    assert "under way" in told[0]
    assert "50 rows" in told[-1]
    assert "5 of 5 windows done" in told[-1]

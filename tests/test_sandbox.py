"""The sandbox behaves like the vendors' documentation and published responses."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from http.client import HTTPConnection, IncompleteRead
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from sandbox import Fault, Sandbox
from sandbox.contacts import format_naive
from sandbox.history import EXAMPLES, example, to_epoch
from sandbox.talkdesk import FILES, JOBS, files_path, jobs_path
from sandbox.zendesk import PATH
from tests.harness import NOW, FakeClock, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.talkdesk_reports import StatusCut


DAY = timedelta(days=1)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=50, days=20, page_size=20)


def zendesk_get(sandbox: Sandbox, url: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.zendesk.access_token}"}
    return requests.get(url, headers=headers, timeout=5)


def get_page(sandbox: Sandbox, resource: str, start: int) -> dict[str, Any]:
    body: dict[str, Any] = zendesk_get(
        sandbox, f"{sandbox.zendesk.url}{PATH}/{resource}?start_time={start}"
    ).json()
    return body


def talkdesk_token(sandbox: Sandbox) -> str:
    response = requests.post(
        sandbox.talkdesk.token_url,
        auth=(sandbox.talkdesk.client_id, sandbox.talkdesk.client_secret),
        data={"grant_type": "client_credentials"},
        timeout=5,
    )
    token: str = response.json()["access_token"]
    return token


def create_job(
    sandbox: Sandbox, days: float = 10, report: str = "calls", **body: Any
) -> requests.Response:
    regular = {
        "timezone": "UTC",
        "format": "json",
        "timespan": {"from": timestamp(NOW - timedelta(days=days)), "to": timestamp(NOW)},
    }
    return requests.post(
        f"{sandbox.talkdesk.api_url}{jobs_path(report)}",
        json=regular | body,
        headers={"Authorization": f"Bearer {talkdesk_token(sandbox)}"},
        timeout=5,
    )


def create_report(sandbox: Sandbox, report: str, start: datetime, end: datetime) -> list[Any]:
    """Return the rows of a report of any type."""
    timespan = {"from": timestamp(start), "to": timestamp(end)}
    job = create_job(sandbox, report=report, timespan=timespan).json()["job"]
    url = f"{sandbox.talkdesk.api_url}{files_path(report)}/{job['id']}"
    location = talkdesk_get(sandbox, url).headers["Location"]
    entries: list[Any] = requests.get(location, timeout=5).json()["entries"]
    return entries


def talkdesk_get(sandbox: Sandbox, url: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {talkdesk_token(sandbox)}"}
    return requests.get(url, headers=headers, allow_redirects=False, timeout=5)


def presigned_url(sandbox: Sandbox) -> str:
    job_id = create_job(sandbox).json()["job"]["id"]
    job = talkdesk_get(sandbox, f"{sandbox.talkdesk.api_url}{JOBS}/{job_id}")
    assert job.status_code == 303
    file = talkdesk_get(sandbox, job.headers["Location"])
    assert file.status_code == 303
    return file.headers["Location"]


# Both vendors


def test_same_seed_generates_same_history() -> None:
    first, second = (Sandbox(seed=7, calls=30, now=NOW) for _ in range(2))
    assert first.zendesk.calls == second.zendesk.calls
    assert first.talkdesk.calls == second.talkdesk.calls
    assert Sandbox(seed=8, calls=30, now=NOW).zendesk.calls != first.zendesk.calls


def test_documented_examples_are_served_unchanged(sandbox: Sandbox) -> None:
    sandbox.change_calls(40)
    for name in EXAMPLES:
        for row in example(name):
            assert row in sandbox.rows[name].values()


def test_changed_calls_are_exported(sandbox: Sandbox, clock: FakeClock) -> None:
    clock.advance(hours=1)
    changed = sandbox.change_calls(5)
    since = to_epoch(timestamp(NOW + timedelta(minutes=30)))
    assert get_page(sandbox, "calls", since)["count"] == changed["zendesk_calls"] > 0
    assert get_page(sandbox, "legs", since)["count"] == min(20, changed["zendesk_legs"])
    assert changed["talkdesk_calls"] > 0


def test_exit_stops_servers_and_threads() -> None:
    before = threading.active_count()
    with Sandbox(calls=1) as sandbox:
        url = sandbox.zendesk.url
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_changed_rows_have_current_updated_at(sandbox: Sandbox, clock: FakeClock) -> None:
    before = {**sandbox.zendesk.calls, **sandbox.zendesk.legs}
    clock.advance(days=1)
    sandbox.change_calls(200)
    after = {**sandbox.zendesk.calls, **sandbox.zendesk.legs}
    changed = [row["updated_at"] for key, row in after.items() if row != before.get(key)]
    assert len(changed) > 200
    assert timestamp(clock.now() - timedelta(minutes=1)) < min(changed)
    assert max(changed) == timestamp(clock.now())


def test_failed_start_leaves_nothing_running() -> None:
    before = threading.active_count()
    with Sandbox(calls=0) as other:
        port = urlsplit(other.talkdesk.files_url).port or 0
        running = threading.active_count()
        sandbox = Sandbox(calls=0, files_port=port)
        with pytest.raises(OSError, match="in use"), sandbox:
            pass
        assert threading.active_count() == running
    with sandbox:
        assert sandbox.talkdesk.files_url == f"http://127.0.0.1:{port}"
    assert threading.active_count() == before


# Zendesk


def test_start_time_is_inclusive(sandbox: Sandbox) -> None:
    updated = max(row["updated_at"] for row in sandbox.zendesk.calls.values())
    assert get_page(sandbox, "calls", to_epoch(updated))["count"] >= 1
    assert get_page(sandbox, "calls", to_epoch(updated) + 1)["count"] == 0


def test_last_page_repeats_forever(sandbox: Sandbox) -> None:
    body = get_page(sandbox, "calls", 0)
    for _ in range(4):
        body = zendesk_get(sandbox, body["next_page"]).json()
    again = zendesk_get(sandbox, body["next_page"]).json()
    assert again == body
    assert again["count"] >= 1


def test_legs_share_an_updated_at(sandbox: Sandbox) -> None:
    seconds = [row["updated_at"] for row in sandbox.zendesk.legs.values()]
    assert len(set(seconds)) < len(seconds)


def test_rate_limit_is_ten_requests_per_minute(sandbox: Sandbox, clock: FakeClock) -> None:
    url = f"{sandbox.zendesk.url}{PATH}"
    responses = [
        zendesk_get(sandbox, f"{url}/{resource}?start_time=0") for resource in ["calls", "legs"] * 5
    ]
    assert {response.status_code for response in responses} == {200}
    rejected = zendesk_get(sandbox, f"{url}/calls?start_time=0")
    assert rejected.status_code == 429
    assert not rejected.text.startswith("{")
    clock.advance(seconds=int(rejected.headers["Retry-After"]))
    assert zendesk_get(sandbox, f"{url}/calls?start_time=0").status_code == 200


@pytest.mark.parametrize("expires_in", [None, 600])
def test_zendesk_token_returns_expires_in_on_request(
    sandbox: Sandbox, clock: FakeClock, expires_in: int | None
) -> None:
    body: dict[str, Any] = {
        "grant_type": "client_credentials",
        "client_id": sandbox.zendesk.client_id,
        "client_secret": sandbox.zendesk.client_secret,
        "scope": "read",
    }
    if expires_in:
        body["expires_in"] = expires_in
    token = requests.post(f"{sandbox.zendesk.url}/oauth/tokens", json=body, timeout=5).json()
    assert token.get("expires_in") == expires_in
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(url, headers=headers, timeout=5).status_code == 200
    clock.advance(seconds=expires_in or 1800)
    assert requests.get(url, headers=headers, timeout=5).status_code == 401


def test_revoked_token_is_rejected(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.zendesk.tokens.issue(1800)}"}
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    assert requests.get(url, headers=headers, timeout=5).status_code == 200
    sandbox.zendesk.tokens.revoke()
    rejected = requests.get(url, headers=headers, timeout=5)
    assert (rejected.status_code, rejected.json()["error"]) == (401, "Couldn't authenticate you")


def test_row_lag_hides_recent_rows(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.zendesk.row_lag_seconds = 60
    clock.advance(hours=1)
    call = sandbox.zendesk.calls[10217] | {"id": 1, "updated_at": timestamp(clock.now())}
    sandbox.zendesk.put_call(call)
    assert get_page(sandbox, "calls", to_epoch(call["updated_at"]))["count"] == 0
    clock.advance(seconds=60)
    assert get_page(sandbox, "calls", to_epoch(call["updated_at"]))["calls"] == [call]


# Talkdesk


@pytest.mark.parametrize("wrong", [{}, {"kid": "another"}, {"aud": "x"}, {"exp": 0}, {"iss": "x"}])
def test_signed_assertion_replaces_client_secret(sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    client, now = sandbox.talkdesk.client_id, int(NOW.timestamp())
    claims = {"iss": client, "sub": client, "aud": sandbox.talkdesk.token_url, "jti": "1"}
    kid = wrong.get("kid", sandbox.talkdesk.key_id)
    assertion = jwt.encode(
        claims | {"iat": now, "exp": now + 300} | wrong,
        sandbox.talkdesk.private_key_pem,
        algorithm="ES256",
        headers={"kid": kid},
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    response = requests.post(sandbox.talkdesk.token_url, data=form, timeout=5)
    assert response.status_code == (401 if wrong else 200)


def test_talkdesk_token_expires(sandbox: Sandbox, clock: FakeClock) -> None:
    headers = {"Authorization": f"Bearer {talkdesk_token(sandbox)}"}
    url = f"{sandbox.talkdesk.api_url}{JOBS}/unknown"
    clock.advance(seconds=599)
    assert requests.get(url, headers=headers, timeout=5).status_code == 404
    clock.advance(seconds=1)
    assert requests.get(url, headers=headers, timeout=5).status_code == 401


def test_report_holds_calls_of_its_timespan(sandbox: Sandbox) -> None:
    report = requests.get(presigned_url(sandbox), timeout=5).json()
    since = timestamp(NOW - timedelta(days=10))
    ids = {call_id for call_id, row in sandbox.talkdesk.calls.items() if row["end_at"] >= since}
    assert {row["call_id"] for row in report["entries"]} == ids
    assert report["total"] == len(ids)


def test_contacts_and_ring_attempts_belong_to_calls(sandbox: Sandbox) -> None:
    rows = sandbox.talkdesk.rows
    by_call: dict[str, list[Any]] = {call_id: [] for call_id in rows["calls"]}
    for contact in rows["contacts"].values():
        by_call[contact["interaction_id"]].append(contact)
    for call_id, contacts in by_call.items():
        call = rows["calls"][call_id]
        assert len(contacts) == (2 if call["is_transfer"] else 1)
        assert [it["last_contact"] for it in contacts] == ["No", "Yes"][-len(contacts) :]
        assert (
            contacts[-1]["user_id"]
            == call["handling_user_id" if call["is_transfer"] else "user_id"]
        )
        # A contact ends with the after-call work, later than its call.
        work = contacts[-1]["after_call_work_time"]
        assert to_epoch(contacts[-1]["finished_at"] + "Z") == to_epoch(call["end_at"]) + (work or 0)
        for it in contacts:
            parts = (it["wait_time"], it["handle_time"] or 0)
            assert it["duration"] == sum(parts)
    attempts = rows["ring_attempts"].values()
    assert {it["contact_id"] for it in attempts} < rows["contacts"].keys()
    for contact_id, contact in rows["contacts"].items():
        rung = [it for it in attempts if it["contact_id"] == contact_id]
        answered = [it["user_name"] for it in rung if it["attempt_type"] == "Answered"]
        assert answered in ([], [contact["user_name"]])
        batches = {it["batch_ring_id"]: it["ring_attempt_duration"] for it in rung}
        assert sum(batches.values()) == (contact["ring_time"] if rung else 0)


@pytest.mark.parametrize("cut", ["midnight", "timespan", "never"])
def test_statuses_tile_each_day_and_follow_the_calls(sandbox: Sandbox, cut: StatusCut) -> None:
    sandbox.talkdesk.reports.status_cut = cut
    start, end = NOW - 5 * DAY, NOW - timedelta(hours=1)
    entries = create_report(sandbox, "user_status", start, end)
    by_user: dict[str, list[Any]] = {}
    for row in entries:
        by_user.setdefault(row["user_id"], []).append(row)
    assert len(by_user) > 4
    for rows in by_user.values():
        for row, following in pairwise(rows):
            assert row["status_end_at"] == following["status_start_at"]
        lengths = [
            to_epoch(row["status_end_at"] + "Z") - to_epoch(row["status_start_at"] + "Z")
            for row in rows
        ]
        assert lengths == [row["status_time"] for row in rows]
        assert min(lengths) > 0
        is_cut_at_midnight = any(row["status_start_at"].endswith("00:00:00") for row in rows)
        assert is_cut_at_midnight == (cut == "midnight")
        if cut == "timespan":
            assert rows[0]["status_start_at"] == format_naive(start)
            assert rows[-1]["status_end_at"] == format_naive(end)
    for contact in sandbox.talkdesk.rows["contacts"].values():
        if contact["user_id"] and format_naive(start) <= contact["started_at"]:
            labels = {
                row["status_label"]
                for row in by_user[contact["user_id"]]
                if row["status_start_at"] < contact["finished_at"]
                and contact["connected_at"] < row["status_end_at"]
            }
            assert labels <= {"On A Call", "After Call Work"}


def test_statuses_are_cut_where_a_month_ends(start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox(calls=50, days=30)
    sandbox.talkdesk.reports.status_cut = "never"
    rows = create_report(sandbox, "user_status", NOW - 25 * DAY, NOW - DAY)
    starts = {row["status_start_at"] for row in rows if row["status_start_at"].endswith("00:00:00")}
    assert "2026-11-01 00:00:00" in starts


def test_unknown_report_is_not_found(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {talkdesk_token(sandbox)}"}
    url = f"{sandbox.talkdesk.api_url}{jobs_path('adherence')}"
    assert requests.post(url, json={}, headers=headers, timeout=5).status_code == 404


def test_job_is_known_to_its_own_report_only(sandbox: Sandbox) -> None:
    job_id = create_job(sandbox).json()["job"]["id"]
    url = f"{sandbox.talkdesk.api_url}{jobs_path('contacts')}/{job_id}"
    assert talkdesk_get(sandbox, url).status_code == 404


def test_file_store_rejects_token_and_expired_url(sandbox: Sandbox, clock: FakeClock) -> None:
    url = presigned_url(sandbox)
    rejected = requests.get(url, headers={"Authorization": "Bearer x"}, timeout=5)
    assert rejected.status_code == 400
    assert "Only one auth mechanism allowed" in rejected.text
    clock.advance(seconds=900)
    assert "Request has expired" in requests.get(url, timeout=5).text
    forged = requests.get(f"{url}0", timeout=5)
    assert (forged.status_code, "SignatureDoesNotMatch" in forged.text) == (403, True)


def test_job_passes_through_its_statuses(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock
) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=9)
    url = f"{sandbox.talkdesk.api_url}{JOBS}/{create_job(sandbox).json()['job']['id']}"
    statuses = []
    for _ in range(4):
        statuses.append(talkdesk_get(sandbox, url).json()["job"]["status"])
        clock.advance(seconds=3)
    assert statuses == ["created", "processing", "uploading", "done"]


def test_running_job_is_returned_instead_of_its_file(
    start_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=9)
    job = create_job(sandbox).json()["job"]
    response = talkdesk_get(sandbox, f"{sandbox.talkdesk.api_url}{FILES}/{job['id']}")
    assert (response.status_code, response.json()["job"]) == (200, job)


def test_deleted_job_frees_quota_and_has_no_file(start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=60, job_quota=1)
    job_id = create_job(sandbox).json()["job"]["id"]
    assert create_job(sandbox).status_code == 429
    headers = {"Authorization": f"Bearer {talkdesk_token(sandbox)}"}
    url = f"{sandbox.talkdesk.api_url}{JOBS}/{job_id}"
    assert requests.delete(url, headers=headers, timeout=5).status_code == 204
    assert talkdesk_get(sandbox, url).json()["job"]["status"] == "canceled"
    file = talkdesk_get(sandbox, f"{sandbox.talkdesk.api_url}{FILES}/{job_id}")
    assert (file.status_code, file.text) == (404, "404 Not Found")
    assert create_job(sandbox).status_code == 202


def test_report_longer_than_a_month_is_rejected(sandbox: Sandbox) -> None:
    rejected = create_job(sandbox, days=32)
    assert rejected.status_code == 400
    assert rejected.json()["fields"][0]["name"] == "timespan"
    assert create_job(sandbox, days=31).status_code == 202


def test_sixteenth_running_job_is_rejected(start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=60)
    assert [create_job(sandbox).status_code for _ in range(16)] == [202] * 15 + [429]


# Faults


def test_fault_applies_times_requests_after_others(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault.status("*/calls", 503, after=1, times=2))
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    statuses = [zendesk_get(sandbox, url).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


def test_fault_added_again_counts_again(sandbox: Sandbox) -> None:
    fault = Fault.status("*/calls", 503)
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    for _ in range(2):
        sandbox.faults.add(fault)
        assert [zendesk_get(sandbox, url).status_code for _ in range(2)] == [503, 200]


def test_fault_replaces_response(sandbox: Sandbox) -> None:
    sandbox.faults.add(
        Fault.status("*/calls", 403, body={"error": "Forbidden"}, headers={"X-Trace": "1"}),
        Fault.status("*/calls", 503, body="<html>"),
        Fault.not_json("*/calls"),
    )
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    forbidden, unavailable, html = (zendesk_get(sandbox, url) for _ in range(3))
    assert (forbidden.status_code, forbidden.json()) == (403, {"error": "Forbidden"})
    assert forbidden.headers["Content-Type"] == "application/json"
    assert forbidden.headers["X-Trace"] == "1"
    assert (unavailable.status_code, unavailable.text) == (503, "<html>")
    assert html.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        html.json()


def test_cut_response_keeps_headers(sandbox: Sandbox) -> None:
    url = urlsplit(f"{sandbox.zendesk.url}{PATH}/calls?start_time=0")
    complete = zendesk_get(sandbox, url.geturl())
    sandbox.faults.add(Fault.truncate("*/calls"))
    with closing(HTTPConnection(url.netloc, timeout=5)) as connection:
        token = f"Bearer {sandbox.zendesk.access_token}"
        connection.request("GET", f"{url.path}?{url.query}", headers={"Authorization": token})
        cut = connection.getresponse()
        for name in ("Content-Length", "Content-Type", "x-rate-limit"):
            assert cut.headers[name] == complete.headers[name]
        with pytest.raises(IncompleteRead) as error:
            cut.read()
    assert error.value.partial == complete.content[: len(complete.content) // 2]


def test_hanging_request_ends_when_sandbox_stops() -> None:
    clock_was_read = threading.Event()

    def clock() -> float:
        clock_was_read.set()
        return NOW.timestamp()

    with ThreadPoolExecutor(1) as client:
        with Sandbox(calls=0, clock=clock) as sandbox:
            sandbox.faults.add(Fault.hang("*/calls"))
            clock_was_read.clear()
            hanging = client.submit(requests.get, f"{sandbox.zendesk.url}{PATH}/calls", timeout=30)
            assert clock_was_read.wait(30)  # the server does so when a request arrives
        assert isinstance(hanging.exception(), requests.ConnectionError)


def test_held_request_is_handled_once_it_is_released(sandbox: Sandbox) -> None:
    arrived, released = threading.Event(), threading.Event()
    sandbox.faults.add(Fault.hang("*/calls", until=released.is_set, meanwhile=arrived.set))
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    with ThreadPoolExecutor(1) as client:
        held = client.submit(zendesk_get, sandbox, url)
        assert arrived.wait(30)
        assert zendesk_get(sandbox, url).json()["count"] == 20
        assert not held.done()
        released.set()
        assert held.result().json()["count"] == 20


@pytest.mark.parametrize("status", ["failed", "canceled", "pondering", "stuck"])
def test_fault_sets_final_status_of_matching_jobs(sandbox: Sandbox, status: str) -> None:
    long_windows = Fault.job(JOBS, status=status, when=lambda start, end: end - start > 5 * DAY)
    sandbox.faults.add(long_windows)
    statuses = []
    for days in (5, 6, 6):
        job_id = create_job(sandbox, days=days).json()["job"]["id"]
        job = talkdesk_get(sandbox, f"{sandbox.talkdesk.api_url}{JOBS}/{job_id}")
        statuses.append(job.json()["job"]["status"])
    assert statuses == ["done", "processing" if status == "stuck" else status, "done"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"status": 503, "action": "truncate"}, {"action": "sulk"}, {"action": "edit"}],
    ids=["no effect", "two effects", "unknown", "no function"],
)
def test_fault_requires_exactly_one_effect(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"argument: 'status'|argument 'status'|unknown action"):
        Fault.from_json({"path": "*"} | wrong)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.reset("*/calls"), requests.ConnectionError),
        (Fault.truncate("*/calls"), requests.exceptions.ChunkedEncodingError),
        (Fault.hang("*/calls", seconds=5), requests.Timeout),
    ],
)
def test_fault_breaks_connection(sandbox: Sandbox, fault: Fault, error: type[Exception]) -> None:
    sandbox.faults.add(fault)
    headers = {"Authorization": f"Bearer {sandbox.zendesk.access_token}"}
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    with pytest.raises(error):
        requests.get(url, headers=headers, timeout=0.5)


def test_fault_edits_response(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault.edit("*/calls", lambda body: {"was": body["count"]}))
    edited = zendesk_get(sandbox, f"{sandbox.zendesk.url}{PATH}/calls?start_time=0")
    assert edited.json() == {"was": 20}
    assert edited.headers["x-rate-limit"] == "700"
    assert edited.headers["Content-Type"] == "application/json"


def test_requests_are_logged(sandbox: Sandbox) -> None:
    create_job(sandbox)
    token, job = sandbox.requests
    assert (token.vendor, token.status, token.body["grant_type"]) == (
        "talkdesk-id",
        200,
        "client_credentials",
    )
    assert (job.vendor, job.method, job.path, job.status) == ("talkdesk", "POST", JOBS, 202)
    assert json.dumps(job.body["timespan"])


def test_invalid_json_body_is_rejected(sandbox: Sandbox) -> None:
    headers = {"Content-Type": "application/json"}
    url = f"{sandbox.zendesk.url}/oauth/tokens"
    assert requests.post(url, data="{", headers=headers, timeout=5).status_code == 400
    (request,) = sandbox.requests
    assert (request.status, request.body) == (400, None)


# Control API


def test_control_api_changes_calls(sandbox: Sandbox) -> None:
    control = f"{sandbox.zendesk.url}/_sandbox"
    before = requests.get(f"{control}/truth", timeout=5).json()
    changed = requests.post(f"{control}/change?count=10", timeout=5).json()
    after = requests.get(f"{control}/truth", timeout=5).json()
    assert after == {stream: len(rows) for stream, rows in sandbox.rows.items()}
    assert after["zendesk_calls"] == len(sandbox.zendesk.calls)
    assert after["zendesk_calls"] - before["zendesk_calls"] == 2
    assert changed["zendesk_calls"] == 12
    assert requests.post(f"{control}/change?count=some", timeout=5).status_code == 400


def test_control_api_adds_and_clears_faults(sandbox: Sandbox) -> None:
    control = f"{sandbox.zendesk.url}/_sandbox/faults"
    fault: dict[str, Any] = {"path": "*", "status": 503, "times": None}
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    assert requests.post(control, json=fault, timeout=5).status_code == 204
    assert zendesk_get(sandbox, url).status_code == 503
    assert requests.delete(control, timeout=5).status_code == 204
    assert zendesk_get(sandbox, url).status_code == 200
    assert requests.post(control, json={"path": "*", "mood": "bad"}, timeout=5).status_code == 400
    assert [request.path for request in sandbox.requests] == [f"{PATH}/calls"] * 2


# Zendesk's lists


def get_list(sandbox: Sandbox, path: str) -> dict[str, Any]:
    response = zendesk_get(sandbox, f"{sandbox.zendesk.url}/api/v2/{path}")
    body: dict[str, Any] = response.json()
    return body


def cursor_pages(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    pages = [get_list(sandbox, path)]
    while pages[-1]["meta"]["has_more"]:
        pages.append(zendesk_get(sandbox, pages[-1]["links"]["next"]).json())
    return pages


def test_cursor_pages_of_a_list_have_each_row_once(sandbox: Sandbox) -> None:
    pages = cursor_pages(sandbox, "groups?exclude_deleted=false&page[size]=7")
    rows = [row for page in pages for row in page["groups"]]
    assert [len(page["groups"]) for page in pages] == [7, 7, 2]
    assert {row["id"] for row in rows} == sandbox.zendesk.lists["groups"].keys()
    # No mark of the end but `has_more`.
    assert pages[-1]["links"]["next"]
    assert pages[-1]["meta"]["after_cursor"]


def test_list_without_page_size_has_offset_pages(sandbox: Sandbox) -> None:
    page = get_list(sandbox, "users?per_page=15")
    assert "meta" not in page
    assert (len(page["users"]), page["count"]) == (15, len(sandbox.zendesk.lists["agents"]))
    following = zendesk_get(sandbox, page["next_page"]).json()
    assert page["previous_page"] is None
    assert following["previous_page"]
    assert not {row["id"] for row in page["users"]} & {row["id"] for row in following["users"]}


def test_phone_numbers_have_no_cursor_pages(sandbox: Sandbox) -> None:
    response = zendesk_get(
        sandbox, f"{sandbox.zendesk.url}/api/v2/channels/voice/phone_numbers?page[size]=100"
    )
    assert (response.status_code, "page must be an integer" in response.text) == (400, True)
    assert get_list(sandbox, "channels/voice/phone_numbers")["next_page"] is None


def test_lists_are_filtered_as_requested(sandbox: Sandbox) -> None:
    def users(query: str) -> list[dict[str, Any]]:
        pages = cursor_pages(sandbox, f"users?{query}page[size]=20")
        return [row for page in pages for row in page["users"]]

    assert {row["role"] for row in users("role[]=agent&role[]=admin&")} == {"agent", "admin"}
    assert {row["role"] for row in users("")} == {"agent", "admin", "end-user"}
    groups = get_list(sandbox, "groups?page[size]=100")["groups"]
    assert not any(row["deleted"] for row in groups)


def test_ids_of_calls_and_legs_are_in_the_lists(sandbox: Sandbox) -> None:
    sandbox.change_calls(40)
    rows = sandbox.zendesk.rows
    calls, legs = rows["calls"].values(), rows["legs"].values()
    agents = {row["agent_id"] for row in (*calls, *legs)} - {0, None}
    groups = {row.get("call_group_id") for row in calls} - {None}
    assert agents <= rows["agents"].keys()
    assert groups <= rows["groups"].keys()
    for call in calls:
        assert rows["phone_numbers"][call["phone_number_id"]]["number"] == call["phone_number"]


def test_lists_have_the_rate_limit_of_the_account(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.zendesk.list_requests_per_minute = 2
    url = f"{sandbox.zendesk.url}/api/v2/groups"
    statuses = [zendesk_get(sandbox, url).status_code for _ in range(3)]
    limited = zendesk_get(sandbox, url)
    assert statuses == [200, 200, 429]
    clock.advance(seconds=int(limited.headers["Retry-After"]))
    assert zendesk_get(sandbox, url).status_code == 200

"""The sandbox behaves as the vendors' documents and published answers say."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox import Fault, Sandbox
from sandbox.history import EXAMPLES, epoch, example
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH
from tests.running import NOW, TravelClock, text

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=50, days=20, page_size=20)


def zendesk_get(sandbox: Sandbox, url: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.zendesk.access_token}"}
    return requests.get(url, headers=headers, timeout=5)


def page(sandbox: Sandbox, resource: str, start: int) -> dict[str, Any]:
    body: dict[str, Any] = zendesk_get(
        sandbox, f"{sandbox.zendesk.url}{PATH}/{resource}?start_time={start}"
    ).json()
    return body


def talkdesk_token(sandbox: Sandbox) -> str:
    answer = requests.post(
        sandbox.talkdesk.token_url,
        auth=(sandbox.talkdesk.client_id, sandbox.talkdesk.client_secret),
        data={"grant_type": "client_credentials"},
        timeout=5,
    )
    token: str = answer.json()["access_token"]
    return token


def create(sandbox: Sandbox, days: float = 10, **body: Any) -> requests.Response:
    report = {
        "timezone": "UTC",
        "format": "json",
        "timespan": {"from": text(NOW - timedelta(days=days)), "to": text(NOW)},
    }
    return requests.post(
        f"{sandbox.talkdesk.api_url}{JOBS}",
        json=report | body,
        headers={"Authorization": f"Bearer {talkdesk_token(sandbox)}"},
        timeout=5,
    )


def talkdesk_get(sandbox: Sandbox, url: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {talkdesk_token(sandbox)}"}
    return requests.get(url, headers=headers, allow_redirects=False, timeout=5)


def presigned_url(sandbox: Sandbox) -> str:
    job_id = create(sandbox).json()["job"]["id"]
    job = talkdesk_get(sandbox, f"{sandbox.talkdesk.api_url}{JOBS}/{job_id}")
    assert job.status_code == 303
    file = talkdesk_get(sandbox, job.headers["Location"])
    assert file.status_code == 303
    return file.headers["Location"]


# Both


def test_the_same_seed_makes_the_same_history() -> None:
    one, other = (Sandbox(seed=7, calls=30, now=NOW) for _ in range(2))
    assert one.zendesk.calls == other.zendesk.calls
    assert one.talkdesk.calls == other.talkdesk.calls
    assert Sandbox(seed=8, calls=30, now=NOW).zendesk.calls != one.zendesk.calls


def test_the_examples_of_the_documents_are_there_unchanged(sandbox: Sandbox) -> None:
    sandbox.change_calls(40)
    rows = {
        "zendesk_calls": sandbox.zendesk.calls.values(),
        "zendesk_legs": sandbox.zendesk.legs.values(),
        "talkdesk_calls": sandbox.talkdesk.calls.values(),
    }
    for name in EXAMPLES:
        for row in example(name):
            assert row in rows[name]


def test_changes_are_shown(sandbox: Sandbox, clock: TravelClock) -> None:
    clock.travel(hours=1)
    changed = sandbox.change_calls(5)
    since = epoch(text(NOW + timedelta(minutes=30)))
    assert page(sandbox, "calls", since)["count"] == changed["zendesk_calls"] > 0
    assert page(sandbox, "legs", since)["count"] == min(20, changed["zendesk_legs"])
    assert changed["talkdesk_calls"] > 0


def test_it_stops_without_a_trace() -> None:
    before = threading.active_count()
    with Sandbox(calls=1) as sandbox:
        url = sandbox.zendesk.url
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


# Zendesk


def test_start_time_is_inclusive(sandbox: Sandbox) -> None:
    updated = max(row["updated_at"] for row in sandbox.zendesk.calls.values())
    assert page(sandbox, "calls", epoch(updated))["count"] >= 1
    assert page(sandbox, "calls", epoch(updated) + 1)["count"] == 0


def test_the_last_page_repeats_for_ever(sandbox: Sandbox) -> None:
    body = page(sandbox, "calls", 0)
    for _ in range(4):
        body = zendesk_get(sandbox, body["next_page"]).json()
    again = zendesk_get(sandbox, body["next_page"]).json()
    assert again == body
    assert again["count"] >= 1


def test_legs_share_a_second(sandbox: Sandbox) -> None:
    seconds = [row["updated_at"] for row in sandbox.zendesk.legs.values()]
    assert len(set(seconds)) < len(seconds)


def test_ten_requests_a_minute_are_allowed(sandbox: Sandbox, clock: TravelClock) -> None:
    url = f"{sandbox.zendesk.url}{PATH}"
    answers = [zendesk_get(sandbox, f"{url}/{kind}?start_time=0") for kind in ["calls", "legs"] * 5]
    assert {answer.status_code for answer in answers} == {200}
    refused = zendesk_get(sandbox, f"{url}/calls?start_time=0")
    assert refused.status_code == 429
    assert not refused.text.startswith("{")
    clock.travel(seconds=int(refused.headers["Retry-After"]))
    assert zendesk_get(sandbox, f"{url}/calls?start_time=0").status_code == 200


@pytest.mark.parametrize("asked", [None, 600])
def test_a_token_tells_its_end_only_to_who_asks(
    sandbox: Sandbox, clock: TravelClock, asked: int | None
) -> None:
    body: dict[str, Any] = {
        "grant_type": "client_credentials",
        "client_id": sandbox.zendesk.client_id,
        "client_secret": sandbox.zendesk.client_secret,
        "scope": "read",
    }
    if asked:
        body["expires_in"] = asked
    token = requests.post(f"{sandbox.zendesk.url}/oauth/tokens", json=body, timeout=5).json()
    assert token.get("expires_in") == asked
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(url, headers=headers, timeout=5).status_code == 200
    clock.travel(seconds=asked or 1800)
    assert requests.get(url, headers=headers, timeout=5).status_code == 401


# Talkdesk


def test_a_report_holds_the_calls_of_its_timespan(sandbox: Sandbox) -> None:
    report = requests.get(presigned_url(sandbox), timeout=5).json()
    since = text(NOW - timedelta(days=10))
    ids = {name for name, row in sandbox.talkdesk.calls.items() if row["end_at"] >= since}
    assert {row["call_id"] for row in report["entries"]} == ids
    assert report["total"] == len(ids)


def test_the_file_store_refuses_a_token_and_an_old_url(
    sandbox: Sandbox, clock: TravelClock
) -> None:
    url = presigned_url(sandbox)
    refused = requests.get(url, headers={"Authorization": "Bearer x"}, timeout=5)
    assert refused.status_code == 400
    assert "Only one auth mechanism allowed" in refused.text
    clock.travel(seconds=900)
    assert requests.get(url, timeout=5).status_code == 403


def test_a_job_goes_through_its_statuses(
    start_sandbox: Callable[..., Sandbox], clock: TravelClock
) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=9)
    url = f"{sandbox.talkdesk.api_url}{JOBS}/{create(sandbox).json()['job']['id']}"
    seen = []
    for _ in range(4):
        seen.append(talkdesk_get(sandbox, url).json()["job"]["status"])
        clock.travel(seconds=3)
    assert seen == ["created", "processing", "uploading", "done"]


def test_a_report_of_more_than_a_month_is_refused(sandbox: Sandbox) -> None:
    refused = create(sandbox, days=32)
    assert refused.status_code == 400
    assert refused.json()["fields"][0]["name"] == "timespan"
    assert create(sandbox, days=31).status_code == 202


def test_a_sixteenth_job_at_once_is_refused(start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox(calls=1, job_seconds=60)
    assert [create(sandbox).status_code for _ in range(16)] == [202] * 15 + [429]


# Faults


def test_a_fault_is_for_so_many_requests_after_so_many(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("*/calls", after=1, times=2, status=503))
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    statuses = [zendesk_get(sandbox, url).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("reset", requests.ConnectionError),
        ("cut", requests.exceptions.ChunkedEncodingError),
        ("hang", requests.Timeout),
    ],
)
def test_a_connection_breaks_on_demand(
    sandbox: Sandbox, action: str, error: type[Exception]
) -> None:
    sandbox.faults.add(Fault("*/calls", action=action, seconds=5))
    headers = {"Authorization": f"Bearer {sandbox.zendesk.access_token}"}
    url = f"{sandbox.zendesk.url}{PATH}/calls?start_time=0"
    with pytest.raises(error):
        requests.get(url, headers=headers, timeout=0.5)


def test_an_answer_is_edited_on_demand(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("*/calls", action="edit", edit=lambda body: {"was": body["count"]}))
    assert page(sandbox, "calls", 0) == {"was": 20}


def test_requests_are_logged(sandbox: Sandbox) -> None:
    create(sandbox)
    token, job = sandbox.requests
    assert (token.vendor, token.status, token.body["grant_type"]) == (
        "talkdesk-id",
        200,
        "client_credentials",
    )
    assert (job.vendor, job.method, job.path, job.status) == ("talkdesk", "POST", JOBS, 202)
    assert json.dumps(job.body["timespan"])

"""What the HTTP client does for both vendors: retries, errors, redirects, tokens, redaction."""

from __future__ import annotations

import logging
import re
import socket
import threading
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tap_voicecalls.http import client
from tests.harness import NOW, FakeClock
from tests.vendors import JOB_STATUS, PRESIGNED, TalkdeskAccount, VendorAccount

if TYPE_CHECKING:
    from collections.abc import Callable

    StartAccount = Callable[..., VendorAccount]

#: Settings that make a sync of 50 days send its requests for data one after another.
SEQUENTIAL: dict[str, dict[str, Any]] = {
    "Zendesk": {},
    "Talkdesk": {"talkdesk_window_days": 5, "talkdesk_concurrent_jobs": 1},
}
#: The likely causes that an error names, by status.
_ZENDESK_ACCESS = ("Can manage channels", "scope `read`", "plan", "December 2026")
_TALKDESK_ACCESS = ("talkdesk_region is 'us'", "data-reports:read", "data-reports:write")
CAUSES: dict[str, dict[int, tuple[str, ...]]] = {
    "Zendesk": {403: _ZENDESK_ACCESS, 404: _ZENDESK_ACCESS},
    "Talkdesk": {401: _TALKDESK_ACCESS, 403: _TALKDESK_ACCESS},
}


@pytest.fixture(params=["zendesk", "talkdesk"])
def start_account(request: pytest.FixtureRequest) -> StartAccount:
    """Start accounts at each vendor in turn."""
    start: StartAccount = request.getfixturevalue(f"start_{request.param}")
    return start


@pytest.fixture
def account(start_account: StartAccount) -> VendorAccount:
    """An account at each vendor in turn."""
    return start_account()


# Rate limits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "37"}, 37),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "Fri, 20 Nov 2026 12:01:30 GMT"}, 90),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": f"Mon, 20 Nov 2026 00:00:00 +{'9' * 30}"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "99999999"}, 600),
        ({}, None),
    ],
    ids=lambda value: str(value.get("Retry-After")) if isinstance(value, dict) else "",
)
def test_retry_after_is_honored_in_every_form(
    account: VendorAccount,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    body = "Number of allowed ..."
    account.add_faults(Fault.status(account.path, 429, body=body, headers=headers))
    with caplog.at_level(logging.WARNING):
        output = account.sync()
    assert output.failures == {}
    assert clock.sleeps == [seconds or account.rate_limit_wait, *account.regular_sleeps]
    assert sum("rate limit reached (429 Too Many Requests" in line for line in caplog.messages) == 1


def test_429_is_retried_for_many_minutes(account: VendorAccount, clock: FakeClock) -> None:
    account.add_faults(Fault.status(account.path, 429, times=20))
    assert account.sync().failures == {}
    assert clock.now() - NOW > timedelta(minutes=15)


def test_endless_429_is_an_error(account: VendorAccount) -> None:
    account.add_faults(Fault.status(account.path, 429, times=None))
    output = account.sync()
    assert f"{account.name}: rate limit reached" in output.failure
    assert "Run the tap again later" in output.failure


# Transient errors


@pytest.mark.parametrize(
    "fault",
    [
        lambda path: Fault.status(path, 409),
        lambda path: Fault.status(path, 500, body="<html><h1>Oops</h1></html>"),
        lambda path: Fault.status(path, 503, headers={"Retry-After": "11"}),
        Fault.reset,
        Fault.truncate,
        Fault.not_json,
        lambda path: Fault.edit(path, lambda body: [body]),
    ],
    ids=["409", "500", "503", "reset", "truncated", "not JSON", "not an object"],
)
def test_transient_error_is_retried(
    account: VendorAccount, clock: FakeClock, fault: Callable[[str], Fault]
) -> None:
    ids = account.add_calls(hours_ago=[3, 2])
    account.add_faults(fault(account.path))
    output = account.sync()
    assert output.failures == {}
    assert output.ids == ids
    assert len(clock.sleeps) == 1 + len(account.regular_sleeps)


def test_hanging_response_is_retried(
    account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", (1.0, 0.2))
    ids = account.add_calls(hours_ago=[3, 2])
    account.add_faults(Fault.hang(account.path))
    output = account.sync()
    assert output.failures == {}
    assert output.ids == ids


def test_lasting_server_error_fails_after_some_minutes(
    account: VendorAccount, clock: FakeClock
) -> None:
    account.add_faults(Fault.status(account.path, 502, times=None))
    assert "502" in account.sync().failure
    assert timedelta(minutes=4) < clock.now() - NOW < timedelta(minutes=10)


# Client errors


@pytest.mark.parametrize(
    ("status", "body", "quoted"),
    [
        (401, {"error": "Couldn't authenticate you"}, ["Couldn't authenticate you"]),
        (
            403,
            {"error": "Forbidden", "description": "You are missing the following scopes: read"},
            ["missing the following scopes"],
        ),
        (
            403,
            {"error": {"title": "Forbidden", "message": "You do not have access to this page."}},
            ["You do not have access"],
        ),
        (404, {"error": "InvalidEndpoint", "description": "Not found"}, ["InvalidEndpoint"]),
        (404, "<html><head><title>No</title></head><body>help desk</body></html>", ["help desk"]),
        (400, "start_time is malformed", ["start_time is malformed"]),
        (
            400,
            {
                "code": 1400,
                "message": "input parameters validation failed",
                "description": "Not valid.",
                "fields": [{"name": "timespan[from]", "description": "is too long ago"}],
            },
            ["1400", "validation failed", "Not valid.", "timespan[from]", "too long ago"],
        ),
    ],
    ids=["error", "description", "error object", "endpoint", "HTML", "plain text", "fields"],
)
def test_client_error_is_not_retried_and_quotes_the_api(
    account: VendorAccount, status: int, body: Any, quoted: list[str]
) -> None:
    account.add_faults(Fault.status(account.path, status, body=body, times=None))
    failure = account.sync().failure
    assert failure.startswith(
        f"{account.name} returned {status} {HTTPStatus(status).phrase} "
        f"for {account.method} {account.path}:"
    )
    for part in (*quoted, *CAUSES[account.name].get(status, ())):
        assert part in failure
    # A second request carries a new token.
    expected = 2 if status in account.refresh_statuses else 1
    assert len(account.data_requests()) == expected


# Other hosts


def test_redirect_is_not_followed(account: VendorAccount, start_account: StartAccount) -> None:
    other = start_account()
    headers = {"Location": f"{other.url}{other.path}?start_time=0"}
    account.add_faults(Fault.status(account.path, 302, headers=headers, times=None))
    assert "It redirects to 127.0.0.1" in account.sync().failure
    assert other.requests == []


def test_job_redirect_to_another_host_carries_no_token(
    start_talkdesk: Callable[..., TalkdeskAccount],
) -> None:
    """A report's file may be on another host; for Zendesk see `test_zendesk_export.py`."""
    talkdesk, other = start_talkdesk(), start_talkdesk()
    headers = {"Location": f"{other.url}{other.path}/1"}
    talkdesk.add_faults(Fault.status(JOB_STATUS, 303, headers=headers, times=None))
    assert talkdesk.sync().failures != {}
    assert other.requests
    assert all("Authorization" not in request.headers for request in other.requests)


def test_requests_use_the_configured_proxy(
    account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = {"Zendesk": "acme.zendesk.com", "Talkdesk": "acme.talkdeskid.com"}
    config = {
        "Zendesk": {"zendesk_subdomain": "acme", "zendesk_access_token": "t"},
        "Talkdesk": {
            "talkdesk_account": "acme",
            "talkdesk_client_id": "c",
            "talkdesk_client_secret": "s",
        },
    }[account.name]
    received: list[bytes] = []

    def accept_once(proxy: socket.socket) -> None:
        connection, _ = proxy.accept()
        with connection:
            received.append(connection.recv(1000))
        proxy.close()

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(60)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        thread = threading.Thread(target=accept_once, args=(proxy,))
        thread.start()
        output = account.sync_config(config | {"start_date": "2026-11-20"})
        thread.join()
    assert f"the proxy for {hosts[account.name]} refused the connection" in output.failure
    assert output.failure.endswith("Check HTTPS_PROXY.")
    assert received[0].startswith(f"CONNECT {hosts[account.name]}:443 ".encode())


# Tokens


def test_token_is_refreshed_before_expiry(start_account: StartAccount, clock: FakeClock) -> None:
    account = start_account(zendesk_token_seconds=300, talkdesk_token_seconds=300)
    account.add_calls(days_ago=range(49, 0, -1))

    def take_minutes(body: Any) -> Any:
        clock.advance(minutes=2)
        return body

    account.add_faults(Fault.edit(account.path, take_minutes, times=None))
    output = account.sync(days=50, **SEQUENTIAL[account.name])
    assert output.failures == {}
    assert len(account.token_requests()) >= 3
    assert all(request.status < 400 for request in account.requests)


def test_revoked_token_is_refreshed_once(account: VendorAccount) -> None:
    ids = account.add_calls(hours_ago=range(23, 0, -1))

    def revoke(body: Any) -> Any:
        account.server.tokens.revoke()
        return body

    account.add_faults(Fault.edit(account.path, revoke))
    output = account.sync()
    assert output.failures == {}
    assert output.ids == ids
    assert [request.status for request in account.requests].count(401) == 1


@pytest.mark.parametrize("token", ["a\r\nX: y", "a b", "\u2013", "é", "", None, ["a"], 1])
def test_token_that_fits_no_header_is_an_error(account: VendorAccount, token: object) -> None:
    body = {"access_token": token, "expires_in": 900}
    account.add_faults(Fault.status("/oauth/token*", 200, body=body, times=None))
    failure = account.sync().failure
    assert failure.startswith(f"{account.name} returned no token")
    assert account.data_requests() == []


@pytest.mark.parametrize(
    "lifetime", ["-5", "0", "1e-9", f"1{'0' * 399}", "1e999", '"nan"', '"inf"', "[]", "null", "{}"]
)
def test_odd_token_lifetime_does_not_cost_requests(account: VendorAccount, lifetime: str) -> None:
    edit = re.compile(rb'"expires_in":[^,}]+').sub
    account.add_faults(
        Fault.edit_bytes(
            "/oauth/token*", lambda body: edit(f'"expires_in":{lifetime}'.encode(), body)
        )
    )
    output = account.sync()
    assert output.failures == {}
    assert len(account.token_requests()) == 1


def test_wrong_client_secret_is_an_error(account: VendorAccount) -> None:
    quoted = {"Zendesk": "unknown client", "Talkdesk": "Client authentication failed."}
    setting = f"{account.prefix}client_secret"
    output = account.sync_config(account.config() | {setting: "wrong"}, default_streams=True)
    assert set(output.failures) == set(account.streams)
    assert setting in output.failure
    assert quoted[account.name] in output.failure


# Redaction


def test_secrets_are_in_no_log_message_or_error(
    start_account: StartAccount, caplog: pytest.LogCaptureFixture
) -> None:
    account = start_account(calls=20)
    secret = account.server.client_secret
    url = "https://files.example/x?X-Amz-Signature=abc"
    account.add_faults(
        # Talkdesk's presigned URLs; no path of Zendesk's.
        Fault.reset(PRESIGNED),
        Fault.status(PRESIGNED, 403, times=2),
        Fault.status(account.path, 503, body=f"{secret} is busy"),
        Fault.status(account.path, 400, body=f"see {url} now, {secret}", after=1),
    )
    with caplog.at_level(logging.DEBUG):
        output = account.sync(days=50, **SEQUENTIAL[account.name])
    assert any(request.vendor == "files" for request in account.requests) == (
        account.name == "Talkdesk"
    )
    everything = caplog.text + str(output.run.messages) + str(output.failures)
    assert "*** is busy" in everything
    assert "see https://files.example/x?*** now, ***" in output.failure
    assert account.server.tokens.issued
    for hidden in ("X-Amz", secret, *account.server.tokens.issued):
        assert hidden not in everything

"""The network between the tap and a vendor: slow, silent, refused, or not to be trusted.

* A response ends by its deadline, whether its headers or its body trickle in.
* A host that can't be connected to is reported as what it is, within 30 s, and once per vendor.
* Certificates that the environment names and that can't be read are reported by variable.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tap_voicecalls.errors import SyncFailedError
from tests.harness import NOW, FakeClock, make_tap, timestamp
from tests.vendors import PRESIGNED, TalkdeskAccount, VendorAccount, ZendeskAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    StartAccount = Callable[..., VendorAccount]

#: A port of this machine at which nothing listens.
CLOSED = "127.0.0.1:1"


@pytest.fixture(params=["zendesk", "talkdesk"])
def account(request: pytest.FixtureRequest) -> VendorAccount:
    """An account at each vendor in turn."""
    account: VendorAccount = request.getfixturevalue(request.param)
    return account


@contextmanager
def server(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Run a server for raw connections; yield its address."""
    stopping = threading.Event()

    def run(listener: socket.socket) -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    serve(connection)
                except OSError:  # the tap has given up
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=run, args=(listener,))
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            thread.join()


# Deadlines


def test_response_that_trickles_in_times_out(account: VendorAccount, clock: FakeClock) -> None:
    account.add_calls(hours_ago=[3, 2])
    account.add_faults(Fault.trickle(account.path, lambda: clock.advance(seconds=100), times=None))
    output = account.sync()
    assert "127.0.0.1 timed out for" in output.failure
    assert clock.now() - NOW < timedelta(hours=1)


def test_report_file_that_trickles_in_times_out(
    talkdesk: TalkdeskAccount, clock: FakeClock
) -> None:
    ids = talkdesk.add_calls(hours_ago=[3, 2])
    talkdesk.add_faults(Fault.trickle(PRESIGNED, lambda: clock.advance(seconds=100)))
    output = talkdesk.sync()
    assert output.failures == {}
    assert output.ids == ids


def test_slow_response_within_its_deadline_is_read(
    account: VendorAccount, clock: FakeClock
) -> None:
    ids = account.add_calls(hours_ago=[3])
    account.add_faults(Fault.trickle(account.path, lambda: clock.advance(seconds=0.01)))
    output = account.sync()
    assert output.failures == {}
    assert output.ids == ids
    assert clock.sleeps == list(account.regular_sleeps)


@pytest.mark.parametrize(
    ("start", "forever"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_headers_that_trickle_in_time_out(
    zendesk: ZendeskAccount, clock: FakeClock, start: bytes, forever: bytes
) -> None:
    def trickle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        while True:
            connection.sendall(forever)
            clock.advance(seconds=60)
            time.sleep(0.001)  # a packet of its own

    with server(trickle) as address:
        output = zendesk.sync(zendesk_url=f"http://{address}")
    assert "127.0.0.1 timed out for POST /oauth/tokens" in output.failure


@pytest.mark.parametrize(
    "headers",
    [b"Content-Encoding: gzip\r\nContent-Length: 3", b"Content-Length: 3\r\nContent-Length: 4"],
)
def test_malformed_http_response_blames_the_vendor(zendesk: ZendeskAccount, headers: bytes) -> None:
    def respond(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n{}" % headers)
        connection.sendall(b" ")

    with server(respond) as address:
        failure = zendesk.sync(zendesk_url=f"http://{address}").failure
    assert "Zendesk returned a malformed HTTP response for POST /oauth/tokens" in failure


def test_chunk_of_negative_size_blames_the_vendor(zendesk: ZendeskAccount) -> None:
    def respond(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n")

    with server(respond) as address:
        failure = zendesk.sync(zendesk_url=f"http://{address}").failure
    assert "Zendesk returned a malformed HTTP body for POST /oauth/tokens" in failure


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://[::1", "http://x:port/", f"http://{'a' * 64}/"]
)
def test_link_to_an_invalid_url_blames_the_vendor(talkdesk: TalkdeskAccount, url: str) -> None:
    talkdesk.add_faults(Fault.status(f"{JOBS}/*", 303, headers={"Location": url}, times=None))
    failure = talkdesk.sync().failure
    assert failure.startswith("Talkdesk re")
    assert "to an invalid URL" in failure


# Hosts that can't be connected to


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://acme.invalid", "the host name acme.invalid could not be resolved"),
        (f"https://{CLOSED}", "127.0.0.1 refused the connection"),
    ],
)
def test_unreachable_host_fails_within_seconds(
    account: VendorAccount, clock: FakeClock, url: str, problem: str
) -> None:
    urls: dict[str, Any] = {f"{account.prefix}url": url, f"{account.prefix}token_url": url}
    output = account.sync(default_streams=True, **urls)
    assert set(output.failures) == set(account.streams)
    for failure in output.failures.values():
        assert failure.startswith(f"{account.name}: {problem}; still failing after 30 s")
        assert {"Zendesk": "zendesk_url", "Talkdesk": "talkdesk_region"}[account.name] in failure
    assert clock.now() - NOW <= timedelta(seconds=30)


def test_failed_tls_handshake_is_reported_as_such(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    def speak_http(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with server(speak_http) as address:
        failure = zendesk.sync(zendesk_url=f"https://{address}").failure
    assert "Zendesk: the TLS handshake with 127.0.0.1 failed (" in failure
    assert "zendesk_url" in failure
    assert clock.now() - NOW <= timedelta(seconds=30)


def test_rejecting_proxy_is_reported_as_such(
    zendesk: ZendeskAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 407 Login\x1b[31m first\r\n\r\n")

    with server(reject) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cr3t@{address}")
        monkeypatch.setenv("NO_PROXY", "")
        failure = zendesk.sync(zendesk_url="https://acme.invalid").failure
    assert "the proxy for acme.invalid refused to connect to it (407 Login[31m first)" in failure
    assert failure.endswith("Check HTTPS_PROXY.")
    assert "s3cr3t" not in failure


def test_connection_test_does_not_wait_for_an_unreachable_host(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    tap = make_tap(clock, zendesk.config(zendesk_url=f"https://{CLOSED}"))
    with pytest.raises(SyncFailedError, match=r"refused the connection\. Check zendesk_subdomain"):
        tap.run_connection_test()
    assert clock.sleeps == []


def test_host_that_has_responded_is_retried_for_minutes(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    """An outage of a minute, hours into a backfill, is no wrong setting."""
    token = b'{"access_token": "t", "expires_in": 900}'

    def respond_once(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            length = b"Content-Length: %d" % len(token)
            connection.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (length, token))
            listener.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=respond_once, args=(listener,))
        thread.start()
        failure = zendesk.sync(zendesk_url=url).failure
        thread.join()
    assert "127.0.0.1 refused the connection; still failing after 5 min" in failure
    assert clock.now() - NOW == timedelta(minutes=5)


# Certificates


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_unreadable_ca_bundle_is_named(
    account: VendorAccount,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
) -> None:
    path = tmp_path / "company.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(path))
    output = account.sync(default_streams=True)
    assert set(output.failures) == set(account.streams)
    for failure in output.failures.values():
        assert failure.startswith(f"{variable}: no certificates could be read from '{path}'")
    assert account.requests == []


# Logs


def test_no_log_configuration_shows_presigned_urls(tmp_path: Path) -> None:
    loggers = "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests"
    handler = {"class": "logging.StreamHandler", "formatter": "all"}
    log_config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"all": {"format": "%(name)s %(message)s %(args)s %(msg)s"}},
        "handlers": {"stderr": handler},
        "root": {"level": "DEBUG", "handlers": ["stderr"]},
        "loggers": {name: {"level": "DEBUG"} for name in loggers},
    }
    with Sandbox(calls=5, days=3) as sandbox:
        config = {
            name: value for name, value in sandbox.config.items() if name.startswith("talkdesk")
        }
        start = datetime.now(timezone.utc) - timedelta(days=3)
        files = {"log.json": log_config, "config.json": config | {"start_date": timestamp(start)}}
        for name, content in files.items():
            (tmp_path / name).write_text(json.dumps(content))
        result = subprocess.run(
            [sys.executable, "-m", "tap_voicecalls", "--config", "config.json"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"SINGER_SDK_LOG_CONFIG": "log.json"},
        )
    assert result.returncode == 0
    assert "GET /calls/" in result.stderr
    assert "urllib3.connectionpool" in result.stderr
    assert "X-Amz" not in result.stderr

"""The tap as a command-line program: output, exit codes, signals and broken pipes.

* Errors: one message with a fix on stderr, no traceback, exit code 1.
* Isolation: if one vendor fails, the other still syncs. Secrets are never printed.
* Signals: the last STATE before a SIGKILL or SIGTERM is safe to resume from.
* Output: a closed pipe or a full disk ends the tap with one message.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH
from tests.command_line import (
    TAP,
    WAIT,
    Tap,
    end,
    last_line,
    messages,
    run,
    settings,
    started,
    write,
)
from tests.harness import DEFAULT_STREAMS, KEYS, bookmarks
from tests.interleaving import interleave
from tests.vendors import CALLS, JOB_STATUS, PRESIGNED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How many slices of each vendor are read in pairs; both have more, in windows of four days.
ROUNDS = 5


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=60, days=20, page_size=20, zendesk_requests_per_minute=None) as started:
        yield started


@contextlib.contextmanager
def blocked_by_target(config: str) -> Iterator[Tap]:
    """Start the tap and wait until it has written more than a pipe buffers."""
    with started("--config", config) as tap:
        assert "SCHEMA" in tap.stdout.readline()
        select.select([tap.stdout], [], [])
        time.sleep(0.5)
        yield tap


def test_discovery_needs_no_config_and_sends_no_requests() -> None:
    # Any request would fail, because nothing listens at the proxy's address.
    result = run("--discover", HTTPS_PROXY="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")
    assert result.returncode == 0
    catalog = json.loads(result.stdout)
    assert {stream["tap_stream_id"] for stream in catalog["streams"]} == KEYS.keys()
    assert {
        stream["tap_stream_id"]: (stream["key_properties"], stream["replication_key"])
        for stream in catalog["streams"]
        if stream["tap_stream_id"] in DEFAULT_STREAMS
    } == {
        "talkdesk_calls": (["call_id"], "end_at"),
        "zendesk_calls": (["id"], "updated_at"),
        "zendesk_legs": (["id"], "updated_at"),
    }


def test_invalid_setting_is_one_error_message_and_no_output(tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", {"start_date": "2026-01-01", "zendesk_subdomain": "x"})
    result = run("--config", config)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "zendesk_client_id" in last_line(result)


def test_invalid_environment_variable_is_named() -> None:
    result = run(
        "--config",
        "ENV",
        TAP_VOICECALLS_START_DATE="2026-01-01",
        TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS="a lot",
    )
    assert result.returncode == 1
    assert "TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS: 'a lot' is not an integer" in last_line(result)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "could not be read: No such file or directory"),
        ("folder", "could not be read: Is a directory"),
        (b"", "is not a JSON file (empty)"),
        (b" \n", "is not a JSON file (empty)"),
        (b'{"a": 1,\n "s3cr3t": s3cr3t}', "is not a JSON file (line 2, column 12)"),
        (b"s3cr3t", "is not a JSON file (line 1, column 1)"),
        (b"[" * 100_000, "is not a JSON file"),
        (b"1" * 5000, "is not a JSON file"),
        (b'"s3cr3t"', "must contain a JSON object"),
        (b"[]", "must contain a JSON object"),
        (b"null", "must contain a JSON object"),
        ("{}".encode("utf-16"), "is not a JSON file (not in UTF-8)"),
        (b"\xff\xfe\xff", "is not a JSON file (not in UTF-8)"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_broken_file_is_named_without_its_content(
    tmp_path: Path, option: str, content: bytes | str | None, problem: str
) -> None:
    path = tmp_path / "broken.json"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    account = {"start_date": "2026-01-01", "zendesk_subdomain": "x", "zendesk_access_token": "t"}
    config = write(tmp_path, "config.json", account)
    result = run("--config", config, option, str(path))
    assert result.returncode == 1
    assert f"{option}: '{path}' " in last_line(result)
    assert problem in last_line(result)
    assert "Traceback" not in result.stderr
    assert "s3cr3t" not in result.stderr


def test_byte_order_mark_in_a_file_is_ignored(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(b'\xef\xbb\xbf{"start_date": "2026-01-01"}')
    result = run("--config", str(config))
    assert "No vendor is configured" in last_line(result)


def test_files_may_be_pipes(sandbox: Sandbox, tmp_path: Path) -> None:
    """As in `tap-voicecalls --config <(vault read ...)`."""
    config, state = settings(sandbox), bookmarks(zendesk_legs="2999-01-01T00:00:00Z")
    files = [write(tmp_path, "config.json", config), write(tmp_path, "state.json", state)]
    pipes = [f"<(cat {shlex.quote(path)})" for path in files]
    result = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", f"{shlex.join(TAP)} --config {pipes[0]} --state {pipes[1]}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "zendesk_legs: nothing to read" in result.stderr


@pytest.mark.parametrize(
    "catalog",
    [
        {},
        {"streams": None},
        {"streams": {"zendesk_calls": {}}},
        {"streams": ["zendesk_calls"]},
        {"streams": [{"stream": "zendesk_calls"}]},
        {"streams": [{"tap_stream_id": "zendesk_calls", "schema": 5}]},
        {"streams": [{"tap_stream_id": "zendesk_calls", "metadata": [{"breadcrumb": 5}]}]},
        {"streams": [{"tap_stream_id": "users", "schema": {"properties": {}}}]},
    ],
    ids=json.dumps,
)
def test_catalog_of_another_shape_is_one_error(
    sandbox: Sandbox, tmp_path: Path, catalog: dict[str, Any]
) -> None:
    config = write(tmp_path, "config.json", settings(sandbox))
    result = run("--config", config, "--catalog", write(tmp_path, "catalog.json", catalog))
    assert result.returncode == 1
    assert "he catalog" in last_line(result)
    assert "internal error" not in last_line(result)
    assert "Error:" not in last_line(result)
    assert "Traceback" not in result.stderr
    assert sandbox.requests == []


@pytest.mark.parametrize("variable", ["TAP_VOICECALLS_LOGLEVEL", "LOGLEVEL"])
def test_unknown_log_level_is_a_warning(variable: str) -> None:
    result = run("--discover", **{variable: "verbose"})
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert f"{variable}: 'verbose' is not a log level" in result.stderr


def test_unknown_setting_is_a_warning(sandbox: Sandbox, tmp_path: Path) -> None:
    config = settings(sandbox, zendesk_sub_domain="acme")
    result = run("--config", write(tmp_path, "config.json", config))
    assert result.returncode == 0
    assert "'zendesk_sub_domain' is not a setting" in result.stderr
    assert "Did you mean zendesk_subdomain?" in result.stderr


def test_invalid_bookmark_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    state = bookmarks(zendesk_legs="last week")
    config = write(tmp_path, "config.json", settings(sandbox))
    result = run("--config", config, "--state", write(tmp_path, "state.json", state))
    assert result.returncode == 1
    assert (
        "The bookmark of zendesk_legs in the state, 'last week', is not an RFC 3339"
        in last_line(result)
    )


def test_one_vendor_syncs_if_the_other_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    config = settings(sandbox, talkdesk_client_secret="wrong")
    result = run("--config", write(tmp_path, "config.json", config))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert last_line(result).endswith("talkdesk_account and talkdesk_region.")
    assert "talkdesk_calls: Talkdesk returned 401 Unauthorized for POST /oauth/token:" in last_line(
        result
    )
    streams = [line["stream"] for line in messages(result.stdout) if line["type"] == "RECORD"]
    assert streams.count("zendesk_calls") == 60
    assert streams.count("talkdesk_calls") == 0
    assert "talkdesk_calls" not in _bookmarks(result.stdout)


def test_each_failed_stream_has_one_error_line(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault.status(f"{PATH}/*", 403, times=None), Fault.status(JOBS, 400))
    result = run("--config", write(tmp_path, "config.json", settings(sandbox)))
    assert result.returncode == 1
    lines = result.stderr.splitlines()[-len(DEFAULT_STREAMS) :]
    for line, stream in zip(lines, DEFAULT_STREAMS, strict=True):
        assert f"| {stream}: " in line
        assert "ERROR" in line


def test_connection_test_prints_results_and_sets_exit_code(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    ready = run("--config", write(tmp_path, "ready.json", settings(sandbox)), "--test")
    assert ready.returncode == 0
    assert [line.partition(":")[0] for line in ready.stdout.splitlines()] == [
        "Zendesk is ready",
        "Talkdesk is ready",
    ]
    wrong = settings(sandbox, zendesk_client_secret="wrong")
    failed = run("--config", write(tmp_path, "failed.json", wrong), "--test")
    assert failed.returncode == 1
    assert failed.stdout.startswith("Talkdesk is ready")
    assert (
        "Zendesk is not ready: Zendesk returned 401 Unauthorized for POST /oauth/tokens:"
        in last_line(failed)
    )


def test_requests_use_the_proxy_from_the_environment(tmp_path: Path) -> None:
    account = {"zendesk_subdomain": "acme", "zendesk_access_token": "t", "start_date": "2026-01-01"}
    command = (*TAP, "--config", write(tmp_path, "config.json", account))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(60)
        proxies = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}", "NO_PROXY": ""}
        with subprocess.Popen(command, env=os.environ | proxies, stderr=subprocess.DEVNULL) as tap:  # noqa: S603
            try:
                connection, _ = proxy.accept()
                with connection:
                    request = connection.recv(1000)
            finally:
                tap.kill()
    assert request.startswith(b"CONNECT acme.zendesk.com:443 ")


def test_secrets_are_never_printed_at_any_log_level(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(
        Fault.status(f"{PATH}/calls", 429, headers={"Retry-After": "1"}),
        Fault.status(f"{PATH}/legs", 401, body="your token is no good"),
        Fault.reset("/calls/*"),
    )
    config = write(tmp_path, "config.json", settings(sandbox))
    result = run("--config", config, TAP_VOICECALLS_LOGLEVEL="DEBUG")
    assert result.returncode == 0
    secrets = [
        sandbox.zendesk.client_secret,
        sandbox.talkdesk.client_secret,
        *sandbox.zendesk.tokens.issued,
        *sandbox.talkdesk.tokens.issued,
        "X-Amz",
    ]
    assert len(secrets) >= 5
    for secret in secrets:
        assert secret not in result.stdout
        assert secret not in result.stderr


def test_run_after_sigkill_resumes_from_the_last_state(sandbox: Sandbox, tmp_path: Path) -> None:
    """Both runs together write every record; the second requests nothing before its bookmark."""
    config = write(tmp_path, "config.json", settings(sandbox, talkdesk_window_days=4))
    uninterrupted = run("--config", config)
    total = len(uninterrupted.stdout.splitlines())
    for stop_at in (total // 6, total // 3, total * 2 // 3):
        interleave(sandbox, ROUNDS)
        written, state = _killed_after(stop_at, config)
        sandbox.faults.clear()
        sandbox.forget_requests()
        arguments = ["--config", config]
        if state:
            arguments += ["--state", write(tmp_path, "state.json", state)]
        result = run(*arguments)
        assert result.returncode == 0
        assert written | _written(result.stdout) == _written(uninterrupted.stdout)
        start_times = [
            int(request.query["start_time"])
            for request in sandbox.requests
            if request.path == f"{PATH}/calls"
        ]
        bookmark = state.get("bookmarks", {}).get("zendesk_calls", {}).get("replication_key_value")
        if bookmark:
            assert _epoch(bookmark) <= min(start_times)


@pytest.mark.parametrize("path", [f"{PATH}/*", PRESIGNED], ids=["Zendesk", "Talkdesk"])
def test_run_after_sigterm_resumes_from_the_last_state(
    sandbox: Sandbox, tmp_path: Path, path: str
) -> None:
    """Both vendors have returned rows when one of them hangs."""
    sandbox.faults.add(Fault.hang(path, after=ROUNDS, seconds=20))
    interleave(sandbox, ROUNDS)
    config = write(tmp_path, "config.json", settings(sandbox, talkdesk_window_days=4))
    with subprocess.Popen([*TAP, "--config", config], stdout=subprocess.PIPE, text=True) as tap:  # noqa: S603
        assert tap.stdout is not None
        lines: list[str] = []
        while len(_bookmarks("".join(lines))) < 2:
            lines.append(tap.stdout.readline())
        tap.send_signal(signal.SIGTERM)
        lines += tap.stdout.readlines()
    sandbox.faults.clear()
    assert tap.returncode == 128 + signal.SIGTERM
    assert json.loads(lines[-1])["type"] == "STATE"
    state = write(tmp_path, "state.json", json.loads(lines[-1])["value"])
    result = run("--config", config, "--state", state)
    uninterrupted = run("--config", config)
    assert _written("".join(lines)) | _written(result.stdout) == _written(uninterrupted.stdout)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("path", ["/oauth/token", JOBS, JOB_STATUS, "/oauth/tokens", CALLS])
def test_signal_ends_a_tap_that_a_vendor_holds_up(
    sandbox: Sandbox, tmp_path: Path, signum: signal.Signals, path: str
) -> None:
    arrived = threading.Event()
    sandbox.faults.add(Fault.hang(path, meanwhile=arrived.set, times=None))
    with started("--config", write(tmp_path, "config.json", settings(sandbox))) as tap:
        assert arrived.wait(timeout=60)
        ended = end(tap, signum)
    assert ended.returncode == 128 + signum
    assert f"Interrupted by {signum.name}: the next run resumes" in last_line(ended)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("path", ["/oauth/token", JOBS])
def test_signal_interrupts_a_retry_delay(sandbox: Sandbox, tmp_path: Path, path: str) -> None:
    sandbox.faults.add(Fault.status(path, 503, headers={"Retry-After": "500"}, times=None))
    with started("--config", write(tmp_path, "config.json", settings(sandbox))) as tap:
        assert any("retrying in" in line for line in tap.stderr)
        assert end(tap, signal.SIGTERM).returncode == 143


def test_interrupted_run_reports_the_streams_that_failed(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault.hang(CALLS))
    config = settings(sandbox, talkdesk_client_secret="wrong")
    with started("--config", write(tmp_path, "config.json", config)) as tap:
        assert any("talkdesk_calls failed" in line for line in tap.stderr)
        ended = end(tap, signal.SIGTERM)
    assert ended.returncode == 143
    failure, reason = ended.stderr.splitlines()[-2:]
    assert "talkdesk_calls: Talkdesk returned 401 Unauthorized" in failure
    assert "Interrupted by SIGTERM" in reason


@pytest.mark.parametrize("ended_by", ["signal", "closed pipe"])
def test_last_line_is_the_reason_though_a_vendor_still_logs(
    sandbox: Sandbox, tmp_path: Path, ended_by: str
) -> None:
    sandbox.faults.add(Fault.status(CALLS, 503, headers={"Retry-After": "0.01"}, times=None))
    handlers = {"waiting": {"()": "tests.log_handler.WaitingHandler"}}
    log_config = {"version": 1, "handlers": handlers, "root": {"handlers": ["waiting"]}}
    with started(
        *("--config", write(tmp_path, "config.json", settings(sandbox))),
        SINGER_SDK_LOG_CONFIG=write(tmp_path, "log.json", log_config),
    ) as tap:
        assert any("retrying in" in line for line in tap.stderr)
        if ended_by == "signal":
            tap.send_signal(signal.SIGTERM)
        else:
            tap.stdout.close()
        (*_, last) = tap.stderr
    assert "the next run resumes" in last.lower()


def test_signal_ends_a_tap_that_its_target_blocks(tmp_path: Path) -> None:
    with Sandbox(calls=300, days=20) as sandbox:
        config = write(tmp_path, "config.json", settings(sandbox))
        with blocked_by_target(config) as tap:
            tap.send_signal(signal.SIGTERM)
            assert tap.wait(timeout=WAIT) == 143
            assert "Interrupted by SIGTERM" in tap.stderr.read().splitlines()[-1]


def test_second_signal_ends_a_blocked_tap_at_once(tmp_path: Path) -> None:
    with Sandbox(calls=300, days=20) as sandbox:
        config = write(tmp_path, "config.json", settings(sandbox))
        with blocked_by_target(config) as tap:
            tap.send_signal(signal.SIGINT)
            time.sleep(0.3)  # two signals at the same time count as one
            tap.send_signal(signal.SIGTERM)
            assert tap.wait(timeout=WAIT) == 143


def test_signal_lets_a_slow_target_read_whole_lines(tmp_path: Path) -> None:
    with Sandbox(calls=300, days=20) as sandbox:
        config = write(tmp_path, "config.json", settings(sandbox))
        with blocked_by_target(config) as tap:
            tap.send_signal(signal.SIGTERM)
            output = tap.stdout.read()
            assert tap.wait(timeout=WAIT) == 143
    assert output.endswith("\n")
    assert [line["type"] for line in messages(output)][-1] == "STATE"


@pytest.mark.parametrize("path", [CALLS, JOBS])
def test_interrupted_connection_test_prints_no_message(
    sandbox: Sandbox, tmp_path: Path, path: str
) -> None:
    arrived = threading.Event()
    sandbox.faults.add(Fault.hang(path, meanwhile=arrived.set))
    config = write(tmp_path, "config.json", settings(sandbox))
    with started("--config", config, "--test") as tap:
        assert arrived.wait(timeout=60)
        ended = end(tap, signal.SIGTERM)
    assert ended.returncode == 143
    assert '"STATE"' not in ended.stdout


@pytest.mark.parametrize("count", [3, 60])
def test_closed_pipe_is_one_error_message(sandbox: Sandbox, tmp_path: Path, count: int) -> None:
    interleave(sandbox, ROUNDS)
    config = write(tmp_path, "config.json", settings(sandbox, talkdesk_window_days=4))
    command = f"{' '.join(TAP)} --config {config} | head -n {count}"
    result = subprocess.run(  # noqa: S602 - the shell sets up the pipe
        command, shell=True, capture_output=True, text=True, check=False
    )
    assert len(result.stdout.splitlines()) == count
    assert "The target closed the pipe" in last_line(result)
    errors = [line for line in result.stderr.splitlines() if "INFO" not in line]
    assert errors == [last_line(result)]
    assert "Traceback" not in result.stderr


def test_closed_pipe_reports_the_streams_that_failed(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault.status(CALLS, 503, headers={"Retry-After": "3"}))
    config = settings(sandbox, talkdesk_client_secret="wrong")
    with started("--config", write(tmp_path, "config.json", config)) as tap:
        assert any("talkdesk_calls failed" in line for line in tap.stderr)
        tap.stdout.close()
        assert tap.wait(timeout=60) == 1
        failure, reason = tap.stderr.read().splitlines()[-2:]
    assert "talkdesk_calls: Talkdesk returned 401 Unauthorized" in failure
    assert "The target closed the pipe" in reason


@pytest.mark.parametrize("maps", [{}, {"talkdesk_calls": {"notes": None}}], ids=["plain", "mapped"])
def test_closed_pipe_ends_the_tap_while_jobs_are_created(
    sandbox: Sandbox, tmp_path: Path, maps: dict[str, Any]
) -> None:
    sandbox.faults.add(Fault.hang(JOBS, after=1, times=None))
    config = settings(sandbox, talkdesk_window_days=5, stream_maps=maps)
    with started("--config", write(tmp_path, "config.json", config)) as tap:
        tap.stdout.readline()
        tap.stdout.close()
        assert tap.wait(timeout=30) == 1  # a request takes up to two minutes
        assert "The target closed the pipe" in tap.stderr.read().splitlines()[-1]


def test_full_disk_is_one_error_message_and_exit_code_1(sandbox: Sandbox, tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", settings(sandbox))
    command = f"{' '.join(TAP)} --config {config} >/dev/full"
    result = subprocess.run(  # noqa: S602 - the shell redirects the output
        command, shell=True, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Standard output could not be written: No space left on device." in last_line(result)
    errors = [line for line in result.stderr.splitlines() if "INFO" not in line]
    assert errors == [last_line(result)]


def _killed_after(count: int, config: str) -> tuple[set[str], dict[str, Any]]:
    """Kill the tap after a number of lines; return the records so far and the last state."""
    with subprocess.Popen([*TAP, "--config", config], stdout=subprocess.PIPE, text=True) as tap:  # noqa: S603
        assert tap.stdout is not None
        lines = [tap.stdout.readline() for _ in range(count)]
        tap.kill()
    states = [line for line in lines if '"type":"STATE"' in line]
    return _written("".join(lines)), json.loads(states[-1])["value"] if states else {}


def _written(output: str) -> set[str]:
    """Return the records of an output, each with its stream, as JSON."""
    return {
        json.dumps([line["stream"], line["record"]], sort_keys=True)
        for line in messages(output)
        if line["type"] == "RECORD"
    }


def _bookmarks(output: str) -> dict[str, Any]:
    """Return the bookmarks of the last STATE, by stream."""
    states = [line["value"]["bookmarks"] for line in messages(output) if line["type"] == "STATE"]
    return {
        stream: bookmark
        for stream, bookmark in (states[-1] if states else {}).items()
        if "replication_key_value" in bookmark
    }


def _epoch(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()

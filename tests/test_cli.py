"""The tap as a program: what it prints, how it ends, what a kill leaves."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAP = (sys.executable, "-m", "tap_voicecalls")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(calls=60, days=20, page_size=20, zendesk_requests_per_minute=None) as started:
        yield started


def settings(sandbox: Sandbox, **more: Any) -> dict[str, Any]:
    start = datetime.now(timezone.utc) - timedelta(days=21)
    recent = {"start_date": start.isoformat(), "zendesk_requests_per_minute": 1000}
    return sandbox.config | recent | more


def write(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own tap
        [*TAP, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def messages(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def test_discovery_needs_no_settings_and_talks_to_nobody() -> None:
    # A proxy that nobody listens at would make any talk fail.
    done = run("--discover", HTTPS_PROXY="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")
    assert done.returncode == 0
    catalog = json.loads(done.stdout)
    assert {
        stream["tap_stream_id"]: (stream["key_properties"], stream["replication_key"])
        for stream in catalog["streams"]
    } == {
        "talkdesk_calls": (["call_id"], "end_at"),
        "zendesk_calls": (["id"], "updated_at"),
        "zendesk_legs": (["id"], "updated_at"),
    }


def test_a_wrong_setting_ends_it_with_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", {"start_date": "2026-01-01", "zendesk_subdomain": "x"})
    done = run("--config", config)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "zendesk_client_id" in last_line(done)


def test_a_setting_of_the_environment_that_is_no_number_is_named() -> None:
    done = run(
        "--config",
        "ENV",
        TAP_VOICECALLS_START_DATE="2026-01-01",
        TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS="a lot",
    )
    assert done.returncode == 1
    assert "TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS is 'a lot'" in last_line(done)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["", "{", "not json"])
def test_a_file_that_is_no_json_ends_it_with_a_sentence(tmp_path: Path, content: str) -> None:
    done = run("--config", write(tmp_path, "config.json", content))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Check the settings" in last_line(done)


def test_a_bookmark_that_is_no_time_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    state = {
        "bookmarks": {
            "zendesk_legs": {"replication_key": "updated_at", "replication_key_value": "last week"}
        }
    }
    config = write(tmp_path, "config.json", settings(sandbox))
    done = run("--config", config, "--state", write(tmp_path, "state.json", state))
    assert done.returncode == 1
    assert "The bookmark of zendesk_legs in the state is 'last week'" in last_line(done)
    assert sandbox.requests == []


def test_one_vendors_trouble_does_not_hold_up_the_other(sandbox: Sandbox, tmp_path: Path) -> None:
    config = settings(sandbox, talkdesk_client_secret="wrong")
    done = run("--config", write(tmp_path, "config.json", config))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert last_line(done).endswith("talkdesk_account and talkdesk_region.")
    assert "talkdesk_calls: Talkdesk answered POST /oauth/token with 401" in last_line(done)
    streams = [line["stream"] for line in messages(done.stdout) if line["type"] == "RECORD"]
    assert streams.count("zendesk_calls") == 60
    assert streams.count("talkdesk_calls") == 0
    assert "talkdesk_calls" not in _bookmarks(done.stdout)


def test_each_stream_that_failed_has_a_line(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault.status(f"{PATH}/*", 403, times=None), Fault.status(JOBS, 400))
    done = run("--config", write(tmp_path, "config.json", settings(sandbox)))
    assert done.returncode == 1
    ends = done.stderr.splitlines()[-3:]
    for line, stream in zip(ends, ("talkdesk_calls", "zendesk_calls", "zendesk_legs"), strict=True):
        assert f"| {stream}: " in line
        assert "ERROR" in line


def test_the_connection_test_ends_as_a_program_does(sandbox: Sandbox, tmp_path: Path) -> None:
    good = run("--config", write(tmp_path, "good.json", settings(sandbox)), "--test")
    assert good.returncode == 0
    assert [line.partition(":")[0] for line in good.stdout.splitlines()] == [
        "Talkdesk is ready",
        "Zendesk is ready",
    ]
    wrong = settings(sandbox, zendesk_client_secret="wrong")
    bad = run("--config", write(tmp_path, "bad.json", wrong), "--test")
    assert bad.returncode == 1
    assert bad.stdout.startswith("Talkdesk is ready")
    assert "Zendesk is not ready: Zendesk answered POST /oauth/tokens with 401" in last_line(bad)


def test_requests_go_through_the_proxy_that_is_set(tmp_path: Path) -> None:
    account = {"zendesk_subdomain": "acme", "zendesk_access_token": "t", "start_date": "2026-01-01"}
    command = (*TAP, "--config", write(tmp_path, "config.json", account))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(60)
        where = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}", "NO_PROXY": ""}
        with subprocess.Popen(command, env=os.environ | where, stderr=subprocess.DEVNULL) as tap:  # noqa: S603
            try:
                connection, _ = proxy.accept()
                with connection:
                    asked = connection.recv(1000)
            finally:
                tap.kill()
    assert asked.startswith(b"CONNECT acme.zendesk.com:443 ")


def test_secrets_reach_no_output_at_any_level(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(
        Fault.status(f"{PATH}/calls", 429, headers={"Retry-After": "1"}),
        Fault.status(f"{PATH}/legs", 401, body="your token is no good"),
        Fault.reset("/calls/*"),
    )
    config = write(tmp_path, "config.json", settings(sandbox))
    done = run("--config", config, TAP_VOICECALLS_LOGLEVEL="DEBUG")
    assert done.returncode == 0
    secrets = [
        sandbox.zendesk.client_secret,
        sandbox.talkdesk.client_secret,
        *sandbox.zendesk.tokens.issued,
        *sandbox.talkdesk.tokens.issued,
        "X-Amz",
    ]
    assert len(secrets) >= 5
    for secret in secrets:
        assert secret not in done.stdout
        assert secret not in done.stderr


def test_a_kill_loses_nothing_and_what_is_done_is_not_asked_for_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    config = write(tmp_path, "config.json", settings(sandbox))
    whole = run("--config", config)
    total = len(whole.stdout.splitlines())
    for stop_at in range(5, total, total // 4):
        written, state = _killed_after(stop_at, config)
        sandbox.forget_requests()
        arguments = ["--config", config]
        if state:
            arguments += ["--state", write(tmp_path, "state.json", state)]
        done = run(*arguments)
        assert done.returncode == 0
        assert written | _written(done.stdout) == _written(whole.stdout)
        asked = [
            int(request.query["start_time"])
            for request in sandbox.requests
            if request.path == f"{PATH}/calls"
        ]
        covered = state.get("bookmarks", {}).get("zendesk_calls", {}).get("replication_key_value")
        if covered:
            assert _epoch(covered) <= min(asked)


def test_a_termination_in_the_middle_leaves_a_safe_state(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add(Fault.hang(f"{PATH}/calls", after=2, seconds=20))
    config = write(tmp_path, "config.json", settings(sandbox))
    with subprocess.Popen([*TAP, "--config", config], stdout=subprocess.PIPE, text=True) as tap:  # noqa: S603
        assert tap.stdout is not None
        lines: list[str] = []
        while sum('"zendesk_calls"' in line for line in lines) < 40:
            lines.append(tap.stdout.readline())
        tap.send_signal(signal.SIGTERM)
        lines += tap.stdout.readlines()
    assert tap.returncode == 0
    assert json.loads(lines[-1])["type"] == "STATE"
    state = write(tmp_path, "state.json", json.loads(lines[-1])["value"])
    done = run("--config", config, "--state", state)
    whole = run("--config", config)
    assert _written("".join(lines)) | _written(done.stdout) == _written(whole.stdout)


def test_a_termination_does_not_wait_for_trouble_to_pass(sandbox: Sandbox, tmp_path: Path) -> None:
    for path in ("/oauth/token", JOBS):
        sandbox.faults.add(Fault.status(path, 503, headers={"Retry-After": "500"}, times=None))
        config = write(tmp_path, "config.json", settings(sandbox))
        with subprocess.Popen([*TAP, "--config", config], stderr=subprocess.PIPE, text=True) as tap:  # noqa: S603
            assert tap.stderr is not None
            while "trying again in" not in tap.stderr.readline():
                pass
            tap.send_signal(signal.SIGTERM)
            try:
                assert tap.wait(timeout=30) == 0
            finally:
                tap.kill()
        sandbox.faults.clear()


def test_repeated_terminations_end_a_tap_whose_target_reads_no_more(tmp_path: Path) -> None:
    with Sandbox(calls=300, days=20) as sandbox:
        config = write(tmp_path, "config.json", settings(sandbox))
        with subprocess.Popen(  # noqa: S603
            [*TAP, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        ) as tap:
            assert tap.stdout is not None
            assert b"SCHEMA" in tap.stdout.readline()
            select.select([tap.stdout], [], [])  # more records come than a pipe holds
            # Not one more than needed: while Python itself ends, a signal has its usual effect.
            for patience in (1, 30, 30):
                tap.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    tap.wait(timeout=patience)
                    break
            ended = tap.poll()
            tap.kill()
    assert ended == 0


def test_a_target_that_goes_away_ends_it_with_a_line(sandbox: Sandbox, tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", settings(sandbox))
    command = f"{' '.join(TAP)} --config {config} | head -n 3"
    done = subprocess.run(  # noqa: S602 - a pipe is what this is about
        command, shell=True, capture_output=True, text=True, check=False
    )
    assert len(done.stdout.splitlines()) == 3
    assert "The target went away" in last_line(done)
    assert [line for line in done.stderr.splitlines() if "INFO" not in line] == [last_line(done)]
    assert "Traceback" not in done.stderr


def test_a_disk_without_room_for_the_output_ends_it_with_a_line(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    config = write(tmp_path, "config.json", settings(sandbox))
    command = f"{' '.join(TAP)} --config {config} >/dev/full"
    done = subprocess.run(  # noqa: S602 - a shell leads it there
        command, shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "The output can't be written: No space left on device." in last_line(done)
    assert [line for line in done.stderr.splitlines() if "INFO" not in line] == [last_line(done)]


def _killed_after(count: int, config: str) -> tuple[set[str], dict[str, Any]]:
    """What a tap that was killed after some lines has written, and its last state."""
    with subprocess.Popen([*TAP, "--config", config], stdout=subprocess.PIPE, text=True) as tap:  # noqa: S603
        assert tap.stdout is not None
        lines = [tap.stdout.readline() for _ in range(count)]
        tap.kill()
    states = [line for line in lines if '"type":"STATE"' in line]
    return _written("".join(lines)), json.loads(states[-1])["value"] if states else {}


def _written(output: str) -> set[str]:
    """The records of an output, each as a text."""
    return {
        json.dumps([line["stream"], line["record"]], sort_keys=True)
        for line in messages(output)
        if line["type"] == "RECORD"
    }


def _bookmarks(output: str) -> dict[str, Any]:
    states = [line["value"]["bookmarks"] for line in messages(output) if line["type"] == "STATE"]
    return {
        stream: bookmark
        for stream, bookmark in (states[-1] if states else {}).items()
        if "replication_key_value" in bookmark
    }


def _epoch(written: str) -> float:

    return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()

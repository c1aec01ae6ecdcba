"""Rows in files instead of messages: what is in them, and what the bookmark says of it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg import sql
from upath import UPath

from demo.database import database
from demo.meltano import Meltano
from sandbox import Fault, Sandbox
from sandbox.zendesk import PATH
from tests.harness import KEYS, NOW, FakeClock, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sandbox.history import Row


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a stand-in for S3."""
    # One for all tests: s3fs keeps its connection for as long as the process lives.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place for files."""
    if request.param == "folder":
        return tmp_path.as_uri()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return f"s3://voicecalls/{tmp_path.name}"


def batches(root: str, size: int = 25) -> dict[str, Any]:
    """The setting `batch_config`."""
    return {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": root, "prefix": "calls-"},
        "batch_size": size,
    }


class Loader:
    """A target that loads each file as soon as it is told of it.

    Attributes:
        rows: What it holds, by stream and key.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Row]] = {stream: {} for stream in KEYS}

    def load(self, message: dict[str, Any]) -> None:
        stream = message["stream"]
        assert message["encoding"] == {"format": "jsonl", "compression": "gzip"}
        for url in message["manifest"]:
            for line in gzip.decompress(UPath(url).read_bytes()).splitlines():
                row = json.loads(line)
                self.rows[stream][row[KEYS[stream]]] = row


def since(start: str, sandbox: Sandbox) -> dict[str, dict[Any, Row]]:
    """The vendors' rows from a time on, by stream and key."""
    return {
        "talkdesk_calls": _from(start, "end_at", sandbox.talkdesk.calls),
        "zendesk_calls": _from(start, "updated_at", sandbox.zendesk.calls),
        "zendesk_legs": _from(start, "updated_at", sandbox.zendesk.legs),
    }


def _from(start: str, field: str, rows: dict[Any, Row]) -> dict[Any, Row]:
    return {key: row for key, row in rows.items() if row[field] >= start}


def covered(state: dict[str, Any], rows: dict[str, dict[Any, Row]]) -> Iterator[tuple[str, Any]]:
    """The stream and key of each row that is not read again after a state."""
    for stream, bookmark in state["bookmarks"].items():
        if value := bookmark.get("replication_key_value"):
            for key, row in rows[stream].items():
                if row[bookmark["replication_key"]] < value:
                    yield stream, key


def missing(loader: Loader, expected: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(stream, key) for stream, key in expected if key not in loader.rows[stream]]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=60, days=20, page_size=20)


START = timestamp(NOW - timedelta(days=25))


@pytest.fixture
def config(sandbox: Sandbox, root: str) -> dict[str, Any]:
    return sandbox.config | {
        "start_date": START,
        "talkdesk_window_days": 4,
        "batch_config": batches(root),
    }


def test_every_row_is_in_the_files_as_it_is_in_the_messages_without_them(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    loader = Loader()
    output = sync(config, clock=clock)
    for message in output.messages:
        if message["type"] == "BATCH":
            loader.load(message)
    assert output.failures == {}
    plain = sync(config | {"batch_config": None}, clock=clock)
    for stream, rows in since(START, sandbox).items():
        assert output.records(stream) == []
        assert loader.rows[stream].keys() == rows.keys()
        assert loader.rows[stream] == plain.latest(stream)


def test_state_comes_only_behind_the_batch_that_holds_the_rows(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    loader = Loader()
    rows = since(START, sandbox)

    def take(message: dict[str, Any]) -> None:
        if message["type"] == "BATCH":
            loader.load(message)
        elif message["type"] == "STATE":
            assert missing(loader, covered(message["value"], rows)) == []

    output = sync(config, clock=clock, on_message=take)
    assert len(output.states) > 10
    assert {stream for stream, _ in covered(output.state, rows)} == set(KEYS)


def test_a_termination_leaves_no_state_ahead_of_the_batches(tmp_path: Path) -> None:
    # The signal comes while the third page is asked for: two were read, no file is full.
    start = timestamp(datetime.now(timezone.utc) - timedelta(days=21))
    with Sandbox(calls=60, days=20, page_size=20, zendesk_requests_per_minute=None) as sandbox:
        settings = sandbox.config | {
            "start_date": start,
            "batch_config": batches(tmp_path.as_uri(), size=1000),
        }
        config = tmp_path / "config.json"
        config.write_text(json.dumps(settings))
        with subprocess.Popen(  # noqa: S603 - our own tap
            [sys.executable, "-m", "tap_voicecalls", "--config", str(config)],
            stdout=subprocess.PIPE,
            text=True,
        ) as tap:
            terminate = Fault.late(f"{PATH}/calls", tap.terminate, after=2)
            sandbox.faults.add(terminate)
            assert tap.stdout is not None
            messages = [json.loads(line) for line in tap.stdout]
        rows = since(start, sandbox)
    loader = Loader()
    for message in messages:
        if message["type"] == "BATCH":
            loader.load(message)
    assert messages[-1]["type"] == "STATE"
    assert loader.rows["zendesk_calls"].keys() != rows["zendesk_calls"].keys()
    assert missing(loader, covered(messages[-1]["value"], rows)) == []


@pytest.mark.meltano
def test_target_postgres_loads_the_files(tmp_path: Path) -> None:
    files = tmp_path / "files"
    with Sandbox(calls=60, days=20, page_size=1000) as sandbox, database() as postgres:
        run = Meltano(sandbox, postgres, tmp_path)(
            *("run", "tap-voicecalls", "target-postgres"),
            TAP_VOICECALLS_BATCH_CONFIG=json.dumps(batches(files.as_uri())),
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert len(list(files.glob("calls-*.json.gz"))) > len(KEYS)
        with psycopg.connect(postgres.conninfo) as connection:
            for stream, rows in since("", sandbox).items():
                query = sql.SQL("select {}, extra_fields from tap_voicecalls.{}").format(
                    sql.Identifier(KEYS[stream]), sql.Identifier(stream)
                )
                assert {key for key, _ in connection.execute(query)} == rows.keys()

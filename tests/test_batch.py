"""`batch_config`: records go to files, and BATCH messages name the files.

* The files hold the same records as RECORD messages would, on disk and on S3.
* They hold nothing that is deselected or that a stream map removes.
* No STATE is ahead of the BATCH messages before it, also when the tap is terminated.
* A target that supports batches loads the files.
"""

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
from tests.harness import (
    DEFAULT_STREAMS,
    KEYS,
    NOW,
    REPLICATION_KEYS,
    FakeClock,
    make_tap,
    sync,
    timestamp,
)
from tests.interleaving import SMALL_SLICES, alternations, interleave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sandbox.history import Row

#: How many slices of each vendor are read in pairs; both have more.
ROUNDS = 10


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a mock S3 server."""
    # Shared by all tests, because s3fs keeps its connection for the life of the process.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty directory or bucket prefix for the files."""
    if request.param == "disk":
        return tmp_path.as_uri()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return f"s3://voicecalls/{tmp_path.name}"


def batches(root: str, size: int = 25) -> dict[str, Any]:
    """Return a value for the setting `batch_config`."""
    return {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": root, "prefix": "calls-"},
        "batch_size": size,
    }


class BatchTarget:
    """A target that loads the files of a BATCH message as soon as it arrives.

    Attributes:
        records: The loaded records, by stream and key.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[Any, Row]] = {stream: {} for stream in KEYS}

    def load(self, message: dict[str, Any]) -> None:
        stream = message["stream"]
        assert message["encoding"] == {"format": "jsonl", "compression": "gzip"}
        for url in message["manifest"]:
            for line in gzip.decompress(UPath(url).read_bytes()).splitlines():
                record = json.loads(line)
                self.records[stream][record[KEYS[stream]]] = record


def rows_since(start: str, sandbox: Sandbox) -> dict[str, dict[Any, Row]]:
    """Return the vendors' rows from the start date on, by stream and key."""
    return {
        stream: {
            key: row
            for key, row in sandbox.rows[stream].items()
            if row[REPLICATION_KEYS[stream]] >= start
        }
        for stream in DEFAULT_STREAMS
    }


def covered(state: dict[str, Any], rows: dict[str, dict[Any, Row]]) -> Iterator[tuple[str, Any]]:
    """Yield the stream and key of each row that a run from this state does not read again."""
    for stream, bookmark in state["bookmarks"].items():
        if value := bookmark.get("replication_key_value"):
            for key, row in rows[stream].items():
                if row[bookmark["replication_key"]] < value:
                    yield stream, key


def missing(target: BatchTarget, expected: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the expected rows that the target has not loaded."""
    return [(stream, key) for stream, key in expected if key not in target.records[stream]]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=60, days=20, page_size=20)


START = timestamp(NOW - timedelta(days=25))


@pytest.fixture
def config(sandbox: Sandbox, root: str) -> dict[str, Any]:
    return sandbox.config | SMALL_SLICES | {"start_date": START, "batch_config": batches(root)}


def test_batch_files_hold_the_same_records_as_messages(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    target = BatchTarget()
    lockstep = interleave(sandbox, ROUNDS)
    output = sync(config, clock=clock)
    for message in output.messages:
        if message["type"] == "BATCH":
            target.load(message)
    assert output.failures == {}
    assert lockstep.rounds == ROUNDS
    unbatched = sync(config | {"batch_config": None}, clock=clock)
    for stream, rows in rows_since(START, sandbox).items():
        assert output.records(stream) == []
        assert target.records[stream].keys() == rows.keys()
        assert target.records[stream] == unbatched.latest(stream)


def test_state_follows_the_batch_that_holds_its_records(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    target = BatchTarget()
    rows = rows_since(START, sandbox)
    interleave(sandbox, ROUNDS)

    def on_message(message: dict[str, Any]) -> None:
        if message["type"] == "BATCH":
            target.load(message)
        elif message["type"] == "STATE":
            assert missing(target, covered(message["value"], rows)) == []

    output = sync(config, clock=clock, on_message=on_message)
    assert len(output.states) > 10
    assert alternations(output.messages) >= 2
    assert {stream for stream, _ in covered(output.state, rows)} == set(DEFAULT_STREAMS)


def test_sigterm_leaves_no_state_ahead_of_the_batches(tmp_path: Path) -> None:
    # The signal arrives during the request for the third page, when no file is full yet, and both
    # vendors have returned rows.
    start = timestamp(datetime.now(timezone.utc) - timedelta(days=21))
    with Sandbox(calls=600, days=20, page_size=20, zendesk_requests_per_minute=None) as sandbox:
        settings = sandbox.config | {
            "start_date": start,
            "talkdesk_window_days": 4,
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
            interleave(sandbox, 2)
            assert tap.stdout is not None
            messages = [json.loads(line) for line in tap.stdout]
        rows = rows_since(start, sandbox)
    target = BatchTarget()
    for message in messages:
        if message["type"] == "BATCH":
            target.load(message)
    assert messages[-1]["type"] == "STATE"
    assert target.records["zendesk_calls"].keys() != rows["zendesk_calls"].keys()
    assert missing(target, covered(messages[-1]["value"], rows)) == []


def test_batch_files_hold_what_is_selected_and_mapped(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        stream["schema"]["properties"].pop("talk_time", None)
        for entry in stream["metadata"]:
            if entry["breadcrumb"][-1:] in (["notes"], ["quality_issues"], ["extra_fields"]):
                entry["metadata"]["selected"] = False
    settings = config | {
        "stream_maps": {
            "zendesk_calls": {"phone_number": "sha256(phone_number or '')"},
            "zendesk_legs": {"__alias__": "legs", "__filter__": "duration > 60"},
            "talkdesk_calls": {"__else__": None, "call_id": "call_id", "end_at": "end_at"},
        },
    }
    batched = sync(settings, clock=clock, catalog=catalog)
    unbatched = sync(settings | {"batch_config": None}, clock=clock, catalog=catalog)
    assert batched.failures == {}
    for stream in ("zendesk_calls", "legs", "talkdesk_calls"):
        found = [
            json.loads(line)
            for message in batched.messages
            if message["type"] == "BATCH" and message["stream"] == stream
            for url in message["manifest"]
            for line in gzip.decompress(UPath(url).read_bytes()).splitlines()
        ]
        assert found
        assert found == unbatched.records(stream)


def test_failing_stream_map_fails_a_batched_stream(
    config: dict[str, Any], clock: FakeClock
) -> None:
    output = sync(config | {"stream_maps": {"zendesk_calls": {"odd": "1 / 0"}}}, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert output.bookmark("zendesk_calls") is None


@pytest.mark.meltano
def test_target_postgres_loads_batch_files(tmp_path: Path) -> None:
    files = tmp_path / "files"
    with Sandbox(calls=60, days=20, page_size=1000) as sandbox, database() as postgres:
        run = Meltano(sandbox, postgres, tmp_path)(
            *("run", "tap-voicecalls", "target-postgres"),
            TAP_VOICECALLS_BATCH_CONFIG=json.dumps(batches(files.as_uri())),
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert len(list(files.glob("calls-*.json.gz"))) > len(DEFAULT_STREAMS)
        with psycopg.connect(postgres.conninfo) as connection:
            for stream, rows in rows_since("", sandbox).items():
                query = sql.SQL("select {}, extra_fields from tap_voicecalls.{}").format(
                    sql.Identifier(KEYS[stream]), sql.Identifier(stream)
                )
                assert {key for key, _ in connection.execute(query)} == rows.keys()

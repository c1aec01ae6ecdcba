"""`MessageWriter` writes exactly what the SDK's own writer does, only faster.

* Both writers write the same messages and batches, with and without stream maps.
* A dry run keeps its record limit, and the `record_count` metric is exact.
* Output is buffered, but every record is flushed before the STATE that follows it.
* SIGTERM never cuts a line in two.
"""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib import RecordMessage, StateMessage
from singer_sdk.singerlib.encoding import SimpleSingerWriter

from tap_voicecalls.sync.conform import Record
from tap_voicecalls.sync.writer import BUFFER_SIZE, MessageWriter
from tests.harness import KEYS, NOW, FakeClock, bookmarks, make_tap, timestamp
from tests.interleaving import interleave

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from sandbox import Sandbox

Message = dict[str, Any]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """Accounts whose calls have unknown fields and unusual numbers."""
    sandbox = start_sandbox(calls=40, days=20, page_size=20, zendesk_requests_per_minute=None)
    unknown = {"sentiment": {"score": 0.1, "words": ["ä", None]}, "price": 1.10, "big": 2**63}
    for row in list(sandbox.zendesk.calls.values())[:25:3]:  # some pages have no unknown fields
        sandbox.zendesk.put_call(row | unknown)
    for call in list(sandbox.talkdesk.calls.values())[::3]:
        sandbox.talkdesk.put_call(call | unknown | {"float_custom_field_n1": 12345678901234.5})
    return sandbox


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.config | {
        "start_date": timestamp(NOW - timedelta(days=25)),
        "zendesk_requests_per_minute": 1000,
        "talkdesk_window_days": 4,
    }


class CountingOutput(io.BytesIO):
    """A standard output that counts the calls to `write`."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        return super().write(data)


def run(
    config: dict[str, Any],
    writer: GenericSingerWriter[Any, Any],
    change_catalog: Callable[[Any], None] = lambda _: None,
) -> tuple[list[Message], CountingOutput]:
    """Sync with the given writer and return the messages and the output that received them."""
    catalog = make_tap(FakeClock(), config).catalog_dict
    change_catalog(catalog)
    output = CountingOutput()
    with redirect_stdout(io.TextIOWrapper(output, encoding="utf-8")) as wrapper:
        make_tap(FakeClock(), config, catalog=catalog, message_writer=writer).sync_all()
        wrapper.detach()  # flushes, and leaves `output` open
        written = output.getvalue().decode()
    return [json.loads(line, parse_float=Decimal) for line in written.splitlines()], output


def comparable(messages: list[Message]) -> dict[str, list[Message]]:
    """Return the messages of each stream and the last state.

    Timestamps, file names, and how the vendors' messages alternate differ from run to run.
    """
    streams: dict[str, list[Message]] = {}
    for message in messages:
        if message["type"] == "RECORD":
            assert datetime.fromisoformat(message.pop("time_extracted")).utcoffset() == timedelta(0)
        message.pop("manifest", None)
        if message["type"] == "STATE":
            streams["last state"] = [message]
        else:
            streams.setdefault(message["stream"], []).append(message)
    return streams


def deselect(catalog: Any) -> None:
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"][-1:] in (["talk_time"], ["quality_issues"], ["notes"]):
                entry["metadata"]["selected"] = False


@pytest.mark.parametrize(
    ("settings", "change_catalog"),
    [
        ({}, lambda _: None),
        ({}, deselect),
        ({"flattening_enabled": True, "flattening_max_depth": 2}, lambda _: None),
        (
            {
                "stream_maps": {
                    "zendesk_calls": {"phone_number": None, "minutes": "duration / 60"},
                    "zendesk_legs": {"__alias__": "legs", "__filter__": "duration > 60"},
                    "talkdesk_calls": None,
                }
            },
            deselect,
        ),
    ],
    ids=["plain", "deselected", "flattened", "mapped"],
)
def test_both_writers_write_the_same_messages(
    sandbox: Sandbox,
    config: dict[str, Any],
    settings: dict[str, Any],
    change_catalog: Callable[[Any], None],
) -> None:
    lockstep = interleave(sandbox, 5)
    fast, _ = run(config | settings, MessageWriter(), change_catalog)
    sdk, _ = run(config | settings, SimpleSingerWriter(), change_catalog)
    assert len(fast) > 100
    assert lockstep.rounds == 5
    assert comparable(fast) == comparable(sdk)


def test_both_writers_write_the_same_batches(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path
) -> None:
    lockstep = interleave(sandbox, 5)
    batches = {
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": tmp_path.as_uri()},
            "batch_size": 30,
        }
    }
    fast, _ = run(config | batches, MessageWriter())
    sdk, _ = run(config | batches, SimpleSingerWriter())
    assert [message["type"] for message in fast].count("BATCH") > 3
    assert lockstep.rounds == 5
    assert comparable(fast) == comparable(sdk)


def test_dry_run_keeps_its_record_limit(
    config: dict[str, Any], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    tap = make_tap(FakeClock(), config)
    tap.run_sync_dry_run(dry_run_record_limit=3)
    messages = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    written = [message["stream"] for message in messages if message["type"] == "RECORD"]
    assert Counter(written) == dict.fromkeys(KEYS, 3)


@pytest.mark.parametrize("writer", [MessageWriter, SimpleSingerWriter])
def test_record_count_metric_counts_every_record(
    config: dict[str, Any],
    writer: Callable[[], GenericSingerWriter[Any, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "singer_sdk.metrics"):
        messages, _ = run(config, writer())
    written = Counter(message["stream"] for message in messages if message["type"] == "RECORD")
    counted = re.findall(r'"record_count","value":(\d+),"tags":{"stream":"(\w+)"', caplog.text)
    assert {stream: int(count) for count, stream in counted} == written


def test_records_are_written_in_large_chunks(config: dict[str, Any]) -> None:
    messages, output = run(config, MessageWriter())
    kinds = [message["type"] for message in messages]
    others = len(kinds) - kinds.count("RECORD")
    assert output.writes <= others + len(output.getvalue()) / BUFFER_SIZE + 1


class Call(Record):
    """A record of a stream with one column."""

    id: int


def test_records_are_flushed_before_the_state_that_follows(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = MessageWriter()
    writer.write_message(RecordMessage(stream="calls", record={"id": 1}))
    writer.write_records("calls", [Call(id=2)], NOW)
    assert capfdbinary.readouterr().out == b""
    writer.write_message(StateMessage(value={}))
    assert [json.loads(line)["type"] for line in capfdbinary.readouterr().out.splitlines()] == [
        "RECORD",
        "RECORD",
        "STATE",
    ]


def test_sigterm_waits_for_the_line_being_written(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class InterruptedOutput(io.BytesIO):
        def write(self, data: Any) -> int:
            half = len(data) // 2
            super().write(data[:half])
            if b'"RECORD"' in data:
                signal.raise_signal(signal.SIGTERM)
            return half + super().write(data[half:])

    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    output = InterruptedOutput()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="utf-8"))
    tap = make_tap(FakeClock(), config)
    try:
        with pytest.raises(SystemExit):
            tap.sync_all()
    finally:
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
    messages = [json.loads(line) for line in output.getvalue().splitlines()]
    assert messages[-1]["type"] == "STATE"
    assert any(message["type"] == "RECORD" for message in messages)


def test_state_is_written_while_another_vendor_changes_it(config: dict[str, Any]) -> None:
    output = io.BytesIO()
    tap = make_tap(
        FakeClock(),
        config,
        state=bookmarks(zendesk_calls="a"),
        message_writer=MessageWriter(output),
    )
    other: dict[str, str] = {}
    tap.state["bookmarks"]["other"] = other
    is_done = threading.Event()

    def change_state() -> None:
        while not is_done.is_set():
            for number in range(20):
                other[f"marker {number}"] = "x"
            other.clear()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor() as pool:
            pool.submit(change_state)
            try:
                for number in range(2000):
                    tap.state["bookmarks"]["zendesk_calls"]["replication_key_value"] = str(number)
                    tap.write_message(StateMessage(value=tap.state))
                    tap.state_writer.write_state(tap.state)
            finally:
                is_done.set()
    finally:
        sys.setswitchinterval(interval)
    assert len(output.getvalue().splitlines()) >= 4000

"""The short way of writing says exactly what the SDK's own way says."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sys
from collections import Counter
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib import RecordMessage, StateMessage
from singer_sdk.singerlib.encoding import SimpleSingerWriter

from tap_voicecalls.sync.writer import PIECE, MessageWriter
from tests.harness import KEYS, NOW, FakeClock, make_tap, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from singer_sdk.singerlib.encoding import GenericSingerWriter

    from sandbox import Sandbox

Message = dict[str, Any]


@pytest.fixture
def config(start_sandbox: Callable[..., Sandbox]) -> dict[str, Any]:
    """Settings that lead to calls with all that may be odd about them."""
    sandbox = start_sandbox(calls=40, days=20, page_size=20, zendesk_requests_per_minute=None)
    odd = {"sentiment": {"score": 0.1, "words": ["ä", None]}, "price": 1.10, "big": 2**63}
    for row in list(sandbox.zendesk.calls.values())[:25:3]:  # some pages have nothing odd
        sandbox.zendesk.put_call(row | odd)
    for call in list(sandbox.talkdesk.calls.values())[::3]:
        sandbox.talkdesk.put_call(call | odd | {"float_custom_field_n1": 12345678901234.5})
    return sandbox.config | {
        "start_date": timestamp(NOW - timedelta(days=25)),
        "zendesk_requests_per_minute": 1000,
    }


class Counting(io.BytesIO):
    """Standard output that counts how often it is written to."""

    writes = 0

    def write(self, piece: Any) -> int:
        self.writes += 1
        return super().write(piece)


def run(
    config: dict[str, Any],
    writer: GenericSingerWriter[Any, Any],
    change_catalog: Callable[[Any], None] = lambda _: None,
) -> tuple[list[Message], Counting]:
    """What a tap with this writer writes to standard output."""
    catalog = make_tap(FakeClock(), config).catalog_dict
    change_catalog(catalog)
    output = Counting()
    with redirect_stdout(io.TextIOWrapper(output, encoding="utf-8")) as wrapper:
        make_tap(FakeClock(), config, catalog=catalog, message_writer=writer).sync_all()
        wrapper.detach()  # which flushes, and leaves `output` open
        written = output.getvalue().decode()
    return [json.loads(line, parse_float=Decimal) for line in written.splitlines()], output


def without_times(messages: list[Message]) -> list[Message]:
    """Messages but for when they were made."""
    for message in messages:
        if message["type"] == "RECORD":
            assert datetime.fromisoformat(message.pop("time_extracted")).utcoffset() == timedelta(0)
        message.pop("manifest", None)
    return messages


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
def test_both_ways_write_the_same_messages(
    config: dict[str, Any],
    settings: dict[str, Any],
    change_catalog: Callable[[Any], None],
) -> None:
    short, _ = run(config | settings, MessageWriter(), change_catalog)
    own, _ = run(config | settings, SimpleSingerWriter(), change_catalog)
    assert len(short) > 100
    assert without_times(short) == without_times(own)


def test_both_ways_write_the_same_batches(config: dict[str, Any], tmp_path: Path) -> None:
    batches = {
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": tmp_path.as_uri()},
            "batch_size": 30,
        }
    }
    short, _ = run(config | batches, MessageWriter())
    own, _ = run(config | batches, SimpleSingerWriter())
    assert [message["type"] for message in short].count("BATCH") > 3
    assert without_times(short) == without_times(own)


def test_a_dry_run_writes_no_more_records_than_it_is_to(
    config: dict[str, Any], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    tap = make_tap(FakeClock(), config)
    tap.run_sync_dry_run(dry_run_record_limit=3)
    messages = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    written = [message["stream"] for message in messages if message["type"] == "RECORD"]
    assert Counter(written) == dict.fromkeys(KEYS, 3)


@pytest.mark.parametrize("writer", [MessageWriter, SimpleSingerWriter])
def test_the_metric_counts_every_record(
    config: dict[str, Any],
    writer: Callable[[], GenericSingerWriter[Any, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "singer_sdk.metrics"):
        messages, _ = run(config, writer())
    written = Counter(message["stream"] for message in messages if message["type"] == "RECORD")
    counted = re.findall(r'"record_count","value":(\d+),"tags":{"stream":"(\w+)"', caplog.text)
    assert {stream: int(count) for count, stream in counted} == written


def test_records_are_written_in_large_pieces(config: dict[str, Any]) -> None:
    messages, output = run(config, MessageWriter())
    kinds = [message["type"] for message in messages]
    others = len(kinds) - kinds.count("RECORD")
    assert output.writes <= others + len(output.getvalue()) / PIECE + 1


def test_a_record_goes_out_no_later_than_the_state_behind_it(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = MessageWriter()
    writer.write_message(RecordMessage(stream="calls", record={"id": 1}))
    writer.write_records("calls", [{"id": 2}], NOW)
    assert capfdbinary.readouterr().out == b""
    writer.write_message(StateMessage(value={}))
    assert [json.loads(line)["type"] for line in capfdbinary.readouterr().out.splitlines()] == [
        "RECORD",
        "RECORD",
        "STATE",
    ]


def test_a_termination_waits_for_the_line_that_is_being_written(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(io.BytesIO):
        def write(self, piece: Any) -> int:
            half = len(piece) // 2
            super().write(piece[:half])
            if b'"RECORD"' in piece:
                signal.raise_signal(signal.SIGTERM)
            return half + super().write(piece[half:])

    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    output = Interrupted()
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

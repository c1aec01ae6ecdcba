"""Streams without a replication key: each run reads the whole table.

* They have no bookmark, and whatever a state or a catalog says of one is ignored.
* ACTIVATE_VERSION follows the last record of a complete read, if the setting is on, and
  nothing else: with it, a target deletes what it did not get.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from sandbox.zendesk_lists import LISTS
from tests.harness import (
    DEFAULT_STREAMS,
    KEYS,
    NOW,
    REPLICATION_KEYS,
    Killed,
    make_tap,
    select,
    sync,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from tests.harness import FakeClock, Output

FULL_TABLES = sorted(KEYS.keys() - REPLICATION_KEYS)
every_table = pytest.mark.parametrize("stream", FULL_TABLES)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """Lists of two pages."""
    sandbox = start_sandbox(calls=30, days=20, page_size=10)
    for rows in sandbox.zendesk.lists.values():
        row = next(iter(rows.values()))
        rows.clear()
        rows.update({row_id: row | {"id": row_id} for row_id in range(1, 17)})
    return sandbox


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    start = timestamp(NOW - timedelta(days=25))
    return sandbox.config | {"start_date": start, "emit_activate_version_messages": True}


def path_of(stream: str) -> str:
    return LISTS[stream.removeprefix("zendesk_")].path


def types(output: Output, stream: str) -> list[str]:
    """Return the types of the messages about a stream, repeated ones once."""
    found = [it["type"] for it in output.messages if it.get("stream") == stream]
    return [it for it, before in zip(found, [None, *found], strict=False) if it != before]


def versions(output: Output) -> set[tuple[str, str, Any]]:
    return {
        (message["type"], message["stream"], message["version"])
        for message in output.messages
        if "version" in message
    }


@every_table
def test_each_run_writes_the_whole_table(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    del config["emit_activate_version_messages"]
    first = sync(config, clock=clock, only=stream)
    second = sync(config, clock=clock, only=stream, state=first.state)
    assert first.failures == second.failures == {}
    for output in (first, second):
        assert output.latest(stream).keys() == sandbox.rows[stream].keys()
    assert first.state == {"bookmarks": {stream: {}}}


@every_table
def test_rows_before_an_error_are_written(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    state = sync(config, clock=clock, only=stream).state
    sandbox.faults.add(Fault.status(path_of(stream), 403, after=1, times=None))
    output = sync(config, clock=clock, only=stream, state=state)
    assert list(output.failures) == [stream]
    assert len(output.records(stream)) == 10


def test_default_streams_are_incremental() -> None:
    assert set(DEFAULT_STREAMS) <= REPLICATION_KEYS.keys()


@every_table
@pytest.mark.parametrize(
    "bookmark",
    [
        {"replication_key": "updated_at", "replication_key_value": "2999-01-01T00:00:00Z"},
        {"replication_key_value": "banana"},
        {"partitions": [{"context": {"id": 1}}, {"context": {"id": 2}}]},
        "banana",
        7,
    ],
    ids=json.dumps,
)
def test_bookmark_of_a_table_is_ignored(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str, bookmark: object
) -> None:
    output = sync(config, clock=clock, only=stream, state={"bookmarks": {stream: bookmark}})
    assert output.failures == {}
    assert len(output.records(stream)) == len(sandbox.rows[stream])


@every_table
def test_catalog_can_not_make_a_table_incremental(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for entry in catalog["streams"]:
        entry |= {"replication_method": "INCREMENTAL", "replication_key": "created_at"}
    output = sync(config, clock=clock, only=stream, catalog=catalog)
    assert output.failures == {}
    assert output.latest(stream).keys() == sandbox.rows[stream].keys()


@every_table
def test_dates_do_not_limit_a_table(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    dates = {"start_date": "2026-11-19T00:00:00Z", "end_date": "2026-11-19T01:00:00Z"}
    output = sync(config | dates, clock=clock, only=stream)
    assert output.latest(stream).keys() == sandbox.rows[stream].keys()


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        (False, "16 records, read up to 2026-11-20T12:00:00Z, 2 requests, 0 s in all: complete"),
        (True, "10 records, not read to the end, 2 requests, 0 s in all: failed"),
    ],
    ids=["complete", "failed"],
)
def test_summary_of_a_table(
    sandbox: Sandbox,
    config: dict[str, Any],
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    *,
    fails: bool,
    expected: str,
) -> None:
    if fails:
        sandbox.faults.add(Fault.status(path_of("zendesk_groups"), 403, after=1))
    with caplog.at_level(logging.INFO):
        sync(config, clock=clock, only="zendesk_groups")
    assert f"zendesk_groups: {expected}\n" in caplog.text


# ACTIVATE_VERSION


@every_table
@pytest.mark.parametrize(
    "settings",
    [{}, {"flattening_enabled": True, "flattening_max_depth": 1}],
    ids=["in bulk", "by the SDK"],
)
def test_version_is_activated_after_the_last_record(
    config: dict[str, Any], clock: FakeClock, stream: str, settings: dict[str, Any]
) -> None:
    output = sync(config | settings, clock=clock, only=stream)
    assert output.failures == {}
    assert types(output, stream) == ["SCHEMA", "RECORD", "ACTIVATE_VERSION"]
    assert output.messages[-1]["type"] == "STATE"
    version = int(NOW.timestamp())
    assert versions(output) == {(it, stream, version) for it in ("RECORD", "ACTIVATE_VERSION")}
    assert all("version" in it for it in output.messages if it["type"] == "RECORD")


def test_next_run_has_a_newer_version(config: dict[str, Any], clock: FakeClock) -> None:
    first = versions(sync(config, clock=clock, only=FULL_TABLES[0]))
    clock.advance(seconds=1)
    second = versions(sync(config, clock=clock, only=FULL_TABLES[0]))
    assert max(it[2] for it in first) < min(it[2] for it in second)


@every_table
@pytest.mark.parametrize("settings", [{}, {"emit_activate_version_messages": False}], ids=str)
def test_no_version_without_the_setting(
    config: dict[str, Any], clock: FakeClock, stream: str, settings: dict[str, Any]
) -> None:
    del config["emit_activate_version_messages"]
    assert versions(sync(config | settings, clock=clock, only=stream)) == set()


@every_table
@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("after", [0, 1])
def test_no_version_is_activated_after_an_error(
    sandbox: Sandbox,
    config: dict[str, Any],
    clock: FakeClock,
    stream: str,
    status: int,
    after: int,
) -> None:
    sandbox.faults.add(Fault.status(path_of(stream), status, after=after, times=None))
    output = sync(config, clock=clock, only=stream)
    assert list(output.failures) == [stream]
    assert bool(output.records(stream)) == bool(after)
    assert "ACTIVATE_VERSION" not in types(output, stream)


@every_table
def test_no_version_is_activated_without_rows(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    sandbox.zendesk.lists[stream.removeprefix("zendesk_")].clear()
    output = sync(config, clock=clock, only=stream)
    assert output.failures == {}
    assert types(output, stream) == ["SCHEMA"]


def test_no_version_is_activated_by_a_killed_run(config: dict[str, Any], clock: FakeClock) -> None:
    def kill(message: dict[str, Any]) -> None:
        if message["type"] == "ACTIVATE_VERSION":
            raise Killed

    output = sync(config, clock=clock, only="zendesk_groups", on_message=kill)
    assert types(output, "zendesk_groups") == ["SCHEMA", "RECORD"]


@every_table
def test_no_version_with_batches(
    config: dict[str, Any], clock: FakeClock, stream: str, tmp_path: Any
) -> None:
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri()},
    }
    output = sync(config | {"batch_config": batches}, clock=clock, only=stream)
    assert output.failures == {}
    assert types(output, stream) == ["SCHEMA", "BATCH"]
    assert versions(output) == set()


def test_no_version_in_a_dry_run(
    config: dict[str, Any], clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tap(clock, config).run_sync_dry_run(dry_run_record_limit=10_000)
    assert '"version"' not in capfd.readouterr().out


def test_incremental_streams_have_no_version(config: dict[str, Any], clock: FakeClock) -> None:
    """Read from `start_date` on, they are never whole, whatever the catalog says."""
    catalog = select(make_tap(clock, config).catalog_dict)
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    output = sync(config, clock=clock, catalog=catalog)
    assert output.failures == {}
    assert {stream for _, stream, _ in versions(output)} == set(FULL_TABLES)


def test_version_of_a_renamed_stream_has_its_name(config: dict[str, Any], clock: FakeClock) -> None:
    settings = config | {"stream_maps": {"zendesk_groups": {"__alias__": "teams", "url": None}}}
    output = sync(settings, clock=clock, only="zendesk_groups")
    assert types(output, "teams") == ["SCHEMA", "RECORD", "ACTIVATE_VERSION"]

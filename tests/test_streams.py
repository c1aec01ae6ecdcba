"""What a Singer user may expect of each stream, whatever the vendor."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.zendesk.streams import ZendeskCalls
from tests.harness import KEYS, NOW, FakeClock, bookmarks, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=60, days=20, page_size=20)


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.config | {
        "start_date": timestamp(NOW - timedelta(days=25)),
        "talkdesk_window_days": 4,
    }


def truth(sandbox: Sandbox, stream: str) -> set[Any]:
    rows: dict[str, dict[Any, Any]] = {
        "talkdesk_calls": sandbox.talkdesk.calls,
        "zendesk_calls": sandbox.zendesk.calls,
        "zendesk_legs": sandbox.zendesk.legs,
    }
    examples = {10217, 10402, 10407, "17378a31cf7546d3acb9621f29a4e883"}
    return set(rows[stream]) - examples


def test_a_resume_from_every_state_loses_nothing(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    output = sync(config, clock=clock)
    positions = [at for at, line in enumerate(output.messages) if line["type"] == "STATE"]
    assert len(positions) > 10
    for position in positions[::3]:
        resumed = sync(config, clock=clock, state=output.messages[position]["value"])
        for stream, key in KEYS.items():
            before = {
                line["record"][key]
                for line in output.messages[:position]
                if line["type"] == "RECORD" and line["stream"] == stream
            }
            assert before | set(resumed.latest(stream)) == truth(sandbox, stream)


def test_the_second_run_brings_what_changed_and_little_else(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    first = sync(config, clock=clock)
    clock.advance(hours=1)
    changed = sandbox.change_calls(10, at=clock.now())
    clock.advance(minutes=5)
    second = sync(config, clock=clock, state=first.state)
    assert second.failures == {}
    for stream, count in changed.items():
        assert count <= len(second.records(stream)) < len(first.records(stream)) / 2 + count
        assert set(first.latest(stream)) | set(second.latest(stream)) == truth(sandbox, stream)


def test_the_last_state_holds_bookmarks_and_nothing_else(
    config: dict[str, Any], clock: FakeClock
) -> None:
    state = sync(config, clock=clock).state
    assert set(state) == {"bookmarks"}
    for bookmark in state["bookmarks"].values():
        assert set(bookmark) == {"replication_key", "replication_key_value"}


def test_a_state_follows_the_records_even_where_no_bookmark_moved(
    config: dict[str, Any], clock: FakeClock
) -> None:
    # Some targets forget a state that they have not told yet when the next record comes.
    first = sync(config, clock=clock)
    second = sync(config, clock=clock, state=first.state)
    assert second.records("zendesk_legs")
    assert second.bookmark("zendesk_legs") == first.bookmark("zendesk_legs")
    assert second.messages[-1]["type"] == "STATE"


def test_bookmarks_have_one_fixed_width(config: dict[str, Any], clock: FakeClock) -> None:
    for state in sync(config, clock=clock).states:
        for bookmark in state["bookmarks"].values():
            if value := bookmark.get("replication_key_value"):
                assert len(value) == 20
                assert value[10] == "T"
                assert value[19] == "Z"


@pytest.mark.parametrize(
    "written", ["2026-11-10T02:00:00+02:00", "2026-11-10 00:00:00", "2026-11-10T00:00:00.9Z"]
)
def test_a_bookmark_of_another_form_is_understood(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, written: str
) -> None:
    state = bookmarks(zendesk_calls=written)
    sync(config, clock=clock, state=state, only="zendesk_calls")
    asked = [request.query["start_time"] for request in sandbox.requests if request.query]
    assert asked[0] == "1794268800"


def test_a_bookmark_that_is_no_time_is_an_error(config: dict[str, Any]) -> None:
    with pytest.raises(VoiceCallsError, match=r"bookmark of zendesk_legs .* 'banana'"):
        TapVoiceCalls(config=dict(config), state=bookmarks(zendesk_legs="banana"))


def test_a_bookmark_of_another_replication_key_is_ignored(
    config: dict[str, Any], clock: FakeClock
) -> None:
    bookmark = {"replication_key": "created_at", "replication_key_value": "2026-11-19T00:00:00Z"}
    state = {"bookmarks": {"zendesk_calls": bookmark}}
    output = sync(config, clock=clock, state=state, only="zendesk_calls")
    assert len(output.latest("zendesk_calls")) == 60
    assert output.state["bookmarks"]["zendesk_calls"]["replication_key"] == "updated_at"


def test_a_start_date_after_the_bookmark_counts(config: dict[str, Any], clock: FakeClock) -> None:
    later = timestamp(NOW - timedelta(days=5))
    state = bookmarks(zendesk_calls=timestamp(NOW - timedelta(days=20)))
    output = sync(config | {"start_date": later}, clock=clock, state=state, only="zendesk_calls")
    assert all(record["updated_at"] >= later for record in output.records("zendesk_calls"))


@pytest.mark.parametrize("stream", list(KEYS))
def test_a_stream_that_is_not_selected_asks_for_nothing(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    output = sync(config, clock=clock, only=stream)
    assert {line["stream"] for line in output.messages if "stream" in line} == {stream}
    vendors = {request.vendor for request in sandbox.requests}
    assert vendors == ({"zendesk"} if "zendesk" in stream else {"talkdesk", "talkdesk-id", "files"})


def test_only_selected_columns_are_written(config: dict[str, Any], clock: FakeClock) -> None:
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] and entry["breadcrumb"][-1] in {"talk_time", "extra_fields"}:
                entry["metadata"]["selected"] = False
    output = sync(config, clock=clock, catalog=catalog)
    for stream, key in KEYS.items():
        for record in output.records(stream):
            assert not {"talk_time", "extra_fields"} & set(record)
            assert record[key]


@pytest.mark.parametrize("asked", [None, "acme-warehouse/1.0"])
def test_every_vendor_is_told_who_asks(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, asked: str | None
) -> None:
    sync(config | ({"user_agent": asked} if asked else {}), clock=clock)
    own_name = f"tap-voicecalls/{TapVoiceCalls.plugin_version}"
    told = {request.headers["User-Agent"] for request in sandbox.requests}
    assert told == {asked or own_name}


def test_stream_maps_and_flattening_work(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    for row in list(sandbox.zendesk.calls.values()):
        sandbox.zendesk.put_call(row | {"sentiment": {"score": 3}})
    settings = config | {
        "stream_maps": {"zendesk_calls": {"phone_number": None, "minutes": "duration / 60"}},
        "flattening_enabled": True,
        "flattening_max_depth": 1,
    }
    output = sync(settings, clock=clock, only="zendesk_calls")
    for record in output.records("zendesk_calls"):
        assert "phone_number" not in record
        assert record["minutes"] == pytest.approx(record["duration"] / 60)


def test_an_error_of_the_tap_itself_does_not_hold_up_the_other_streams(
    config: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise KeyError("s3cr3t")

    monkeypatch.setattr(ZendeskCalls, "slices", broken)
    output = sync(config, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert "KeyError in test_streams.py:" in output.failures["zendesk_calls"]
    assert "s3cr3t" not in output.failures["zendesk_calls"]
    assert output.records("zendesk_legs")
    assert output.bookmark("zendesk_calls") is None


def test_keys_are_unique_among_the_latest_versions(
    config: dict[str, Any], clock: FakeClock
) -> None:
    output = sync(config, clock=clock)
    for stream, key in KEYS.items():
        versions = {
            (record[key], json.dumps(record, sort_keys=True)) for record in output.records(stream)
        }
        assert len(versions) == len(output.latest(stream))

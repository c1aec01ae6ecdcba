"""The Singer contract of every stream, for both vendors.

* State: a run resumes from any STATE without losing a record, and then reads only recent changes.
* Bookmarks have one format; other RFC 3339 notations are read, anything else is an error.
* The catalog: a deselected stream sends no requests, a deselected column is not written.
* Stream maps, flattening and the `User-Agent` header work for every stream.
* An internal error in one stream does not affect the others.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.zendesk.streams import ZendeskCalls
from tests.harness import (
    DEFAULT_STREAMS,
    KEYS,
    NOW,
    FakeClock,
    bookmarks,
    make_tap,
    sync,
    timestamp,
)

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


#: The documented example rows in the sandbox, older than the start date.
OLD_KEYS = {10217, 10402, 10407, "17378a31cf7546d3acb9621f29a4e883"}


def expected_keys(sandbox: Sandbox, stream: str) -> set[Any]:
    """Return the keys of the vendor's rows since the start date."""
    return set(sandbox.rows[stream]) - OLD_KEYS


def test_resume_from_any_state_loses_nothing(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    output = sync(config, clock=clock)
    positions = [at for at, line in enumerate(output.messages) if line["type"] == "STATE"]
    assert len(positions) > 10
    for position in positions[::3]:
        resumed = sync(config, clock=clock, state=output.messages[position]["value"])
        for stream in DEFAULT_STREAMS:
            before = {
                line["record"][KEYS[stream]]
                for line in output.messages[:position]
                if line["type"] == "RECORD" and line["stream"] == stream
            }
            assert before | set(resumed.latest(stream)) == expected_keys(sandbox, stream)


def test_second_run_reads_only_recent_changes(
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
        assert set(first.latest(stream)) | set(second.latest(stream)) == expected_keys(
            sandbox, stream
        )


def test_final_state_has_only_bookmarks(config: dict[str, Any], clock: FakeClock) -> None:
    state = sync(config, clock=clock).state
    assert set(state) == {"bookmarks"}
    for bookmark in state["bookmarks"].values():
        assert set(bookmark) == {"replication_key", "replication_key_value"}


def test_state_follows_the_records_if_no_bookmark_advanced(
    config: dict[str, Any], clock: FakeClock
) -> None:
    # Some targets drop a state that they have not emitted yet when the next record arrives.
    first = sync(config, clock=clock)
    second = sync(config, clock=clock, state=first.state)
    assert second.records("zendesk_legs")
    assert second.bookmark("zendesk_legs") == first.bookmark("zendesk_legs")
    assert second.messages[-1]["type"] == "STATE"


def test_repeated_records_of_a_key_are_identical(config: dict[str, Any], clock: FakeClock) -> None:
    output = sync(config, clock=clock)
    for stream in DEFAULT_STREAMS:
        versions = {
            (record[KEYS[stream]], json.dumps(record, sort_keys=True))
            for record in output.records(stream)
        }
        assert len(versions) == len(output.latest(stream))


def test_bookmarks_have_one_format(config: dict[str, Any], clock: FakeClock) -> None:
    for state in sync(config, clock=clock).states:
        for bookmark in state["bookmarks"].values():
            if value := bookmark.get("replication_key_value"):
                assert len(value) == 20
                assert value[10] == "T"
                assert value[19] == "Z"


@pytest.mark.parametrize(
    "bookmark", ["2026-11-10T02:00:00+02:00", "2026-11-10 00:00:00", "2026-11-10T00:00:00.9Z"]
)
def test_bookmark_in_another_rfc_3339_notation_is_read(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, bookmark: str
) -> None:
    state = bookmarks(zendesk_calls=bookmark)
    sync(config, clock=clock, state=state, only="zendesk_calls")
    start_times = [request.query["start_time"] for request in sandbox.requests if request.query]
    assert start_times[0] == "1794268800"


BROKEN_BOOKMARKS = [
    "banana",
    5,
    ["2026-11-10T00:00:00Z"],
    {"replication_key": "updated_at", "replication_key_value": "2026-02-30T00:00:00Z"},
    {"replication_key": "updated_at", "replication_key_value": "banana"},
    {"replication_key": "updated_at", "replication_key_value": 1794268800},
    {"replication_key": "updated_at", "replication_key_value": 0},
    {"replication_key": "updated_at", "replication_key_value": True},
    {"replication_key": "updated_at", "replication_key_value": ""},
    {"replication_key": "updated_at", "replication_key_value": ["2026-11-10T00:00:00Z"]},
    {"replication_key": "updated_at", "replication_key_value": {"value": "2026-11-10"}},
]


@pytest.mark.parametrize("bookmark", BROKEN_BOOKMARKS, ids=json.dumps)
def test_broken_bookmark_fails_only_its_own_stream(
    config: dict[str, Any], clock: FakeClock, bookmark: object
) -> None:
    state = bookmarks(zendesk_calls="2026-11-19T00:00:00Z")
    state["bookmarks"]["zendesk_legs"] = bookmark
    output = sync(config, clock=clock, state=state)
    assert list(output.failures) == ["zendesk_legs"]
    assert "bookmark of zendesk_legs in the state" in output.failures["zendesk_legs"]
    assert output.records("zendesk_legs") == []
    assert output.records("zendesk_calls")
    assert output.records("talkdesk_calls")
    again = sync(config, clock=clock, state=output.state, only="zendesk_legs")
    assert list(again.failures) == ["zendesk_legs"]


@pytest.mark.parametrize(
    "bookmark",
    [
        None,
        {},
        {"replication_key": "updated_at"},
        {"replication_key": "updated_at", "replication_key_value": None},
        {"replication_key": ["updated_at"], "replication_key_value": 5},
        {"progress_markers": 5, "partitions": 5},
        {"partitions": [{"context": {"id": 1}}, {"context": {"id": 2}}]},
    ],
    ids=json.dumps,
)
def test_state_without_a_bookmark_reads_from_start_date(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, bookmark: object
) -> None:
    output = sync(config, clock=clock, state={"bookmarks": {"zendesk_legs": bookmark}})
    assert output.failures == {}
    for stream in DEFAULT_STREAMS:
        assert set(output.latest(stream)) == expected_keys(sandbox, stream)
    assert len(output.records("zendesk_legs")) == len(output.latest("zendesk_legs"))


def test_bookmarks_of_other_streams_stay_in_the_state(
    config: dict[str, Any], clock: FakeClock
) -> None:
    foreign = {"users": {"partitions": [{"context": {"id": 1}}]}, "orders": 5, "x": None}
    state = bookmarks(zendesk_legs="2026-11-19T00:00:00Z")
    state["bookmarks"] |= foreign
    output = sync(config, clock=clock, state=state)
    assert output.failures == {}
    assert output.state["bookmarks"].items() >= foreign.items()


@pytest.mark.parametrize("state", [[], "state", {"bookmarks": ["x"]}, {"bookmarks": "x"}], ids=str)
def test_broken_state_is_an_error(config: dict[str, Any], state: Any) -> None:
    with pytest.raises(VoiceCallsError, match="The state is not valid"):
        make_tap(FakeClock(), config).load_state(state)


def test_state_of_another_tap_is_a_warning(
    config: dict[str, Any], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        sync(config, clock=clock, state={"bookmarks": {"orders": {"offset": 3}}})
    assert "The state has no bookmarks of this tap, but of orders" in caplog.text


def test_bookmark_of_another_replication_key_is_ignored(
    config: dict[str, Any], clock: FakeClock
) -> None:
    bookmark = {"replication_key": "created_at", "replication_key_value": "2026-11-19T00:00:00Z"}
    state = {"bookmarks": {"zendesk_calls": bookmark}}
    output = sync(config, clock=clock, state=state, only="zendesk_calls")
    assert len(output.latest("zendesk_calls")) == 60
    assert output.state["bookmarks"]["zendesk_calls"]["replication_key"] == "updated_at"


def test_start_date_after_the_bookmark_takes_precedence(
    config: dict[str, Any], clock: FakeClock
) -> None:
    later = timestamp(NOW - timedelta(days=5))
    state = bookmarks(zendesk_calls=timestamp(NOW - timedelta(days=20)))
    output = sync(config | {"start_date": later}, clock=clock, state=state, only="zendesk_calls")
    assert all(record["updated_at"] >= later for record in output.records("zendesk_calls"))


@pytest.mark.parametrize("stream", KEYS)
def test_deselected_stream_sends_no_requests(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, stream: str
) -> None:
    output = sync(config, clock=clock, only=stream)
    assert {line["stream"] for line in output.messages if "stream" in line} == {stream}
    vendors = {request.vendor for request in sandbox.requests}
    assert vendors == ({"zendesk"} if "zendesk" in stream else {"talkdesk", "talkdesk-id", "files"})


def test_deselected_columns_are_not_written(config: dict[str, Any], clock: FakeClock) -> None:
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] and entry["breadcrumb"][-1] in {"talk_time", "extra_fields"}:
                entry["metadata"]["selected"] = False
    output = sync(config, clock=clock, catalog=catalog)
    for stream in DEFAULT_STREAMS:
        for record in output.records(stream):
            assert not {"talk_time", "extra_fields"} & set(record)
            assert record[KEYS[stream]]


def test_stream_maps_and_flattening_are_applied(
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


@pytest.mark.parametrize(
    "expression", ["1 / 0", "int(phone_number + 'x')", "phone_number.nothing()"]
)
def test_failing_stream_map_fails_only_its_own_stream(
    config: dict[str, Any], clock: FakeClock, expression: str
) -> None:
    settings = config | {"stream_maps": {"zendesk_calls": {"odd": expression}}}
    output = sync(settings, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert output.failures["zendesk_calls"].startswith("stream_maps can't be applied to a record: ")
    assert "+" not in output.failures["zendesk_calls"]  # a phone number
    assert output.bookmark("zendesk_calls") is None
    assert output.records("zendesk_legs")
    assert output.records("talkdesk_calls")


def test_full_table_reads_from_start_date_and_ignores_the_bookmark(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    first = sync(config, clock=clock)
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    output = sync(config, clock=clock, state=first.state, catalog=catalog)
    assert output.failures == {}
    for stream in DEFAULT_STREAMS:
        assert set(output.latest(stream)) == expected_keys(sandbox, stream)
        assert None not in {first.bookmark(stream), output.bookmark(stream)}
        assert str(first.bookmark(stream)) <= str(output.bookmark(stream))


def test_full_table_in_the_metadata_is_the_same(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock
) -> None:
    state = bookmarks(zendesk_calls=timestamp(NOW))
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        del stream["replication_method"]
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["forced-replication-method"] = "FULL_TABLE"
    output = sync(config, clock=clock, state=state, catalog=catalog)
    assert output.failures == {}
    assert set(output.latest("zendesk_calls")) == expected_keys(sandbox, "zendesk_calls")


def test_catalog_without_keys_reads_by_the_streams_own_keys(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        for name in ("replication_key", "replication_method", "key_properties"):
            stream.pop(name, None)
        stream["metadata"] = [{"breadcrumb": [], "metadata": {"selected": True}}]
    first = sync(config, clock=clock, catalog=catalog)
    second = sync(config, clock=clock, catalog=catalog, state=first.state)
    assert first.failures == second.failures == {}
    for stream in DEFAULT_STREAMS:
        assert len(second.records(stream)) < len(first.records(stream)) / 2


def test_catalog_without_a_primary_key_fails_only_that_stream(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    entries = {stream["tap_stream_id"]: stream for stream in catalog["streams"]}
    del entries["zendesk_calls"]["schema"]["properties"]["id"]
    del entries["zendesk_legs"]["schema"]
    output = sync(config, clock=clock, catalog=catalog)
    assert sorted(output.failures) == ["zendesk_calls", "zendesk_legs"]
    assert "lacks the primary key id" in output.failures["zendesk_legs"]
    assert output.records("talkdesk_calls")


def test_catalog_without_a_selected_stream_is_an_error(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = False
    with pytest.raises(VoiceCallsError, match="No stream is selected"):
        sync(config, clock=clock, catalog=catalog)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"stream_maps": {"zendesk_calls": {"minutes": "id / 60"}}},
    ],
    ids=["plain", "flattened", "mapped"],
)
def test_column_missing_from_the_catalog_is_not_written(
    config: dict[str, Any], clock: FakeClock, settings: dict[str, Any]
) -> None:
    catalog = TapVoiceCalls(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        properties = stream["schema"]["properties"]
        for name in ("talk_time", "extra_fields", "phone_number", stream.get("replication_key")):
            properties.pop(name, None)
    output = sync(config | settings, clock=clock, catalog=catalog)
    assert output.failures == {}
    schemas = {line["stream"]: line for line in output.messages if line["type"] == "SCHEMA"}
    for stream in DEFAULT_STREAMS:
        columns = set(schemas[stream]["schema"]["properties"])
        assert output.records(stream)
        assert all(set(record) == columns for record in output.records(stream))
        assert output.bookmark(stream)


@pytest.mark.parametrize("user_agent", [None, "acme-warehouse/1.0"])
def test_user_agent_is_sent_with_every_request(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, user_agent: str | None
) -> None:
    sync(config | ({"user_agent": user_agent} if user_agent else {}), clock=clock)
    default = f"tap-voicecalls/{TapVoiceCalls.plugin_version}"
    sent = {request.headers["User-Agent"] for request in sandbox.requests}
    assert sent == {user_agent or default}


def test_error_in_the_sdk_fails_only_its_own_stream(
    config: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("s3cr3t")

    monkeypatch.setattr(ZendeskCalls, "get_replication_key_signpost", fail)
    output = sync(config, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert "KeyError in test_streams.py:" in output.failures["zendesk_calls"]
    assert output.records("zendesk_legs")


def test_internal_error_fails_only_its_own_stream(
    config: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("s3cr3t")

    monkeypatch.setattr(ZendeskCalls, "slices", fail)
    output = sync(config, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert "KeyError in test_streams.py:" in output.failures["zendesk_calls"]
    assert "s3cr3t" not in output.failures["zendesk_calls"]
    assert output.records("zendesk_legs")
    assert output.bookmark("zendesk_calls") is None

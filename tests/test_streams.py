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
from tests.harness import KEYS, NOW, FakeClock, bookmarks, make_tap, sync, timestamp

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
    vendor, _, kind = stream.partition("_")
    rows: dict[Any, Any] = getattr(getattr(sandbox, vendor), kind)
    return set(rows) - OLD_KEYS


def test_resume_from_any_state_loses_nothing(
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
    for stream, key in KEYS.items():
        versions = {
            (record[key], json.dumps(record, sort_keys=True)) for record in output.records(stream)
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


def state(bookmark: object) -> dict[str, Any]:
    return {"bookmarks": {"zendesk_legs": bookmark}}


@pytest.mark.parametrize(
    "bookmark",
    [
        *(
            {"replication_key": "updated_at", "replication_key_value": value}
            for value in ("banana", "2026-02-30T00:00:00Z", 1794268800, ["x"], {"a": 1}, True)
        ),
        "2026-11-01T00:00:00Z",
        ["x"],
    ],
    ids=str,
)
def test_invalid_bookmark_fails_its_stream_alone(
    config: dict[str, Any], clock: FakeClock, bookmark: object
) -> None:
    output = sync(config, clock=clock, state=state(bookmark))
    assert list(output.failures) == ["zendesk_legs"]
    assert "bookmark of zendesk_legs" in output.failures["zendesk_legs"]
    assert output.records("zendesk_calls")
    assert output.records("talkdesk_calls")
    assert output.records("zendesk_legs") == []


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
    for stream, key in KEYS.items():
        for record in output.records(stream):
            assert not {"talk_time", "extra_fields"} & set(record)
            assert record[key]


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


def test_stream_map_that_fails_fails_its_stream_alone(
    config: dict[str, Any], clock: FakeClock
) -> None:
    stream_maps = {"stream_maps": {"zendesk_calls": {"minutes": "duration / nothing"}}}
    output = sync(config | stream_maps, clock=clock)
    assert list(output.failures) == ["zendesk_calls"]
    assert "stream_maps can't be applied" in output.failures["zendesk_calls"]
    assert output.bookmark("zendesk_calls") is None
    assert output.records("zendesk_legs")
    assert output.records("talkdesk_calls")


def test_full_table_reads_from_start_date(config: dict[str, Any], clock: FakeClock) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        stream["replication_method"] = "FULL_TABLE"
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["forced-replication-method"] = "FULL_TABLE"
    first = sync(config, clock=clock)
    output = sync(config, clock=clock, catalog=catalog, state=first.state)
    assert output.failures == {}
    for stream_name in KEYS:
        assert output.latest(stream_name).keys() == first.latest(stream_name).keys()


def test_catalog_without_a_selected_stream_is_an_error(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = False
    with pytest.raises(VoiceCallsError, match="No stream is selected"):
        sync(config, clock=clock, catalog=catalog)


def test_column_missing_in_the_catalog_is_not_written(
    config: dict[str, Any], clock: FakeClock
) -> None:
    catalog = make_tap(clock, config).catalog_dict
    for stream in catalog["streams"]:
        stream["schema"]["properties"].pop("extra_fields")
        stream["metadata"] = [
            entry for entry in stream["metadata"] if "extra_fields" not in entry["breadcrumb"]
        ]
    output = sync(config, clock=clock, catalog=catalog)
    for message in output.messages:
        if message["type"] == "RECORD":
            assert "extra_fields" not in message["record"]
        if message["type"] == "SCHEMA":
            assert "extra_fields" not in message["schema"]["properties"]


@pytest.mark.parametrize("user_agent", [None, "acme-warehouse/1.0"])
def test_user_agent_is_sent_with_every_request(
    sandbox: Sandbox, config: dict[str, Any], clock: FakeClock, user_agent: str | None
) -> None:
    sync(config | ({"user_agent": user_agent} if user_agent else {}), clock=clock)
    default = f"tap-voicecalls/{TapVoiceCalls.plugin_version}"
    sent = {request.headers["User-Agent"] for request in sandbox.requests}
    assert sent == {user_agent or default}


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

"""Streams that are not selected by default cost nothing: no request, no permission, no message.

The mark is `selected_by_default = False` in the stream's class, and `selected-by-default` in the
catalog's metadata. Meltano goes by its own setting `select`, for which `meltano.yml` and the
definition for Meltano Hub have the same default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docgen import PROJECT
from sandbox import Fault
from sandbox.zendesk import PATH
from sandbox.zendesk_lists import LISTS
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.zendesk.streams import ZendeskLegs
from tests.harness import DEFAULT_STREAMS, KEYS, FakeClock, make_tap, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from tests.vendors import ZendeskAccount


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=5)


@pytest.fixture
def _without_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ZendeskLegs, "selected_by_default", False)


def written(output: Any) -> set[str]:
    return {message["stream"] for message in output.messages if "stream" in message}


def root_metadata(entry: dict[str, Any]) -> dict[str, Any]:
    (root,) = (it["metadata"] for it in entry["metadata"] if not it["breadcrumb"])
    return dict(root)


def test_default_streams_are_the_call_history() -> None:
    assert DEFAULT_STREAMS == ("talkdesk_calls", "zendesk_calls", "zendesk_legs")


def test_catalog_marks_which_streams_are_selected_by_default(
    sandbox: Sandbox, clock: FakeClock
) -> None:
    catalog = make_tap(clock, sandbox.config).catalog_dict
    marks = {it["tap_stream_id"]: root_metadata(it) for it in catalog["streams"]}
    assert {
        name: (mark["selected-by-default"], mark["selected"]) for name, mark in marks.items()
    } == {name: (name in DEFAULT_STREAMS,) * 2 for name in KEYS}


def test_default_run_sends_exactly_the_requests_for_calls_and_legs(
    start_zendesk: Callable[..., ZendeskAccount],
) -> None:
    """Byte for byte those of the version that had no other streams."""
    zendesk = start_zendesk(calls=3, days=2, page_size=4)
    config = zendesk.config(start_date="2026-11-18T00:00:00Z")
    assert sync(config, clock=zendesk.clock).failures == {}
    headers = {
        "User-Agent": f"tap-voicecalls/{TapVoiceCalls.plugin_version}",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "application/json",
        "Connection": "keep-alive",
    }
    variable = {"Host", "Authorization", "Content-Length", "Content-Type"}
    for request in zendesk.requests:
        assert {it: request.headers[it] for it in request.headers.keys() - variable} == headers
    token_request = {
        "grant_type": "client_credentials",
        "client_id": zendesk.server.client_id,
        "client_secret": zendesk.server.client_secret,
        "scope": "read",
        "expires_in": 14400,
    }
    assert [(it.method, it.path, it.query, it.body) for it in zendesk.requests] == [
        ("POST", "/oauth/tokens", {}, token_request),
        ("GET", f"{PATH}/calls", {"start_time": "1794960000"}, None),
        ("GET", f"{PATH}/legs", {"start_time": "1794960000"}, None),
        ("GET", f"{PATH}/legs", {"start_time": "1795097630"}, None),
    ]


def test_default_run_needs_no_access_to_the_other_streams(
    start_zendesk: Callable[..., ZendeskAccount],
) -> None:
    zendesk = start_zendesk()
    zendesk.add_faults(*(Fault.status(it.path, 403, times=None) for it in LISTS.values()))
    assert sync(zendesk.config(), clock=zendesk.clock).failures == {}


@pytest.mark.usefixtures("_without_legs")
@pytest.mark.parametrize("source", ["no catalog", "discovered", "without selected", "older"])
def test_stream_that_is_not_selected_by_default_sends_no_requests(
    sandbox: Sandbox, clock: FakeClock, source: str
) -> None:
    catalog = make_tap(clock, sandbox.config).catalog_dict
    if source == "without selected":
        for entry in catalog["streams"]:
            for it in entry["metadata"]:
                it["metadata"].pop("selected", None)
    elif source == "older":  # of a version that did not have the stream
        catalog["streams"] = [it for it in catalog["streams"] if "legs" not in it["tap_stream_id"]]
    output = sync(sandbox.config, clock=clock, catalog=None if source == "no catalog" else catalog)
    assert output.failures == {}
    assert written(output) == {*DEFAULT_STREAMS} - {"zendesk_legs"}
    assert f"{PATH}/legs" not in {request.path for request in sandbox.requests}


@pytest.mark.usefixtures("_without_legs")
def test_catalog_can_select_it(sandbox: Sandbox, clock: FakeClock) -> None:
    catalog = make_tap(clock, sandbox.config).catalog_dict
    for entry in catalog["streams"]:
        for it in entry["metadata"]:
            if not it["breadcrumb"] and entry["tap_stream_id"] == "zendesk_legs":
                it["metadata"]["selected"] = True
    output = sync(sandbox.config, clock=clock, catalog=catalog)
    assert written(output) == {*DEFAULT_STREAMS}


@pytest.mark.parametrize("stream", sorted(KEYS.keys() - {"zendesk_legs"}))
def test_stream_maps_of_a_stream_that_is_not_selected_have_no_effect(
    sandbox: Sandbox, clock: FakeClock, stream: str
) -> None:
    config = sandbox.config | {"stream_maps": {stream: {"__alias__": "renamed", "number": "7"}}}
    output = sync(config, clock=clock, only="zendesk_legs")
    assert (output.failures, written(output)) == ({}, {"zendesk_legs"})


@pytest.mark.usefixtures("_without_legs")
def test_connection_test_does_not_read_it(
    sandbox: Sandbox, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tap(clock, sandbox.config).run_connection_test()
    assert "to read zendesk_calls.\n" in capsys.readouterr().out
    assert f"{PATH}/legs" not in {request.path for request in sandbox.requests}


def test_meltano_selects_the_default_streams() -> None:
    (extractor,) = yaml.safe_load((PROJECT / "meltano.yml").read_text("utf-8"))["plugins"][
        "extractors"
    ]
    hub = yaml.safe_load((PROJECT / "hub/tap-voicecalls.yml").read_text("utf-8"))
    assert extractor["select"] == hub["select"] == [f"{stream}.*" for stream in DEFAULT_STREAMS]


def test_meltano_yml_lists_the_other_streams_as_comments() -> None:
    lines = (PROJECT / "meltano.yml").read_text("utf-8").splitlines()
    for stream in KEYS:
        mark = "" if stream in DEFAULT_STREAMS else "# "
        assert lines.count(f"        {mark}- {stream}.*") == 1

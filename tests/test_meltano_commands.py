"""What people ask of Meltano from day to day, beside runs that go well."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from sandbox import Fault
from sandbox.zendesk import PATH
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import KEYS
from tests.pipeline import (
    JOB,
    SCHEDULE,
    STATE_ID,
    recently,
    run_to_the_end,
)

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.pipeline import Pipeline, Seen, TwoRuns

pytestmark = pytest.mark.meltano


@dataclass(frozen=True)
class Incident:
    """A full refresh, a run in which a stream fails, and one that goes well again.

    Attributes:
        refreshed: What was there after the full refresh.
        failed: The run that failed.
        after_failure: What was there then.
        recovered: What was there after the last run.
        refused: A run that was begun while the last one was under way.
    """

    refreshed: Seen
    failed: CompletedProcess[str]
    after_failure: Seen
    recovered: Seen
    refused: CompletedProcess[str]


@pytest.fixture(scope="module")
def incident(pipeline: Pipeline, two_runs: TwoRuns) -> Incident:  # noqa: ARG001 - comes first
    sandbox, meltano = pipeline.sandbox, pipeline.meltano

    run_to_the_end(meltano, "run", "--full-refresh", JOB, **recently())
    refreshed = pipeline.look()

    # Later than the bookmark, but not so late that the tap reads it again in any case.
    sandbox.change_calls(10, at=datetime.now(timezone.utc) - timedelta(minutes=2))
    sandbox.faults.add(Fault.status(f"{PATH}/legs", 403, times=None))
    # Without a lookback, only the bookmark that stayed leads back to what was left out.
    settings = recently() | {"TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS": "0"}
    failed = meltano("schedule", "run", SCHEDULE, **settings)
    after_failure = pipeline.look()

    sandbox.faults.clear()
    refused: list[CompletedProcess[str]] = []

    def run_again() -> None:
        # Were it not refused, the sandbox, which waits for it, could not answer it.
        refused.append(meltano("run", "--timeout=30", JOB))

    sandbox.faults.add(Fault.late("*", run_again))
    run_to_the_end(meltano, "run", JOB, **settings)
    return Incident(refreshed, failed, after_failure, pipeline.look(), *refused)


@pytest.mark.parametrize("stream", KEYS)
def test_a_full_refresh_brings_again_what_is_in_the_table(
    two_runs: TwoRuns, incident: Incident, stream: str
) -> None:
    before = two_runs.seen[1].tables[stream]
    last_write = max(row["_sdc_batched_at"] for row in before.values())
    table = incident.refreshed.tables[stream]
    since = datetime.fromisoformat(recently()["TAP_VOICECALLS_START_DATE"].replace("Z", ""))
    moment = "end_at" if stream == "talkdesk_calls" else "updated_at"
    recent = [row for row in table.values() if row[moment] > since]
    assert len(recent) >= 60
    assert all(row["_sdc_batched_at"] > last_write for row in recent)
    assert table.keys() == incident.refreshed.history[stream].keys()


def test_a_stream_that_fails_fails_the_run_with_its_reason(incident: Incident) -> None:
    assert incident.failed.returncode == 1
    assert "zendesk_legs: Zendesk answered GET" in incident.failed.stderr
    assert "Traceback" not in incident.failed.stderr


def test_only_the_bookmark_of_the_stream_that_failed_stays(incident: Incident) -> None:
    before, after = incident.refreshed.bookmarks, incident.after_failure.bookmarks
    assert (
        after["zendesk_legs"]["replication_key_value"]
        == (before["zendesk_legs"]["replication_key_value"])
    )
    for stream in ("talkdesk_calls", "zendesk_calls"):
        assert before[stream]["replication_key_value"] < after[stream]["replication_key_value"], (
            stream
        )


def test_the_other_streams_arrive_all_the_same(incident: Incident) -> None:
    history, tables = incident.after_failure.history, incident.after_failure.tables
    assert tables["talkdesk_calls"].keys() == history["talkdesk_calls"].keys()
    assert tables["zendesk_calls"].keys() == history["zendesk_calls"].keys()
    assert tables["zendesk_legs"].keys() < history["zendesk_legs"].keys()


def test_the_next_run_brings_what_the_failure_left_out(incident: Incident) -> None:
    legs = incident.recovered.history["zendesk_legs"]
    stored = incident.recovered.tables["zendesk_legs"]
    assert {key: leg["call_charge"] for key, leg in legs.items()} == {
        key: leg["call_charge"] for key, leg in stored.items()
    }


def test_a_second_run_beside_the_first_is_refused(incident: Incident) -> None:
    assert incident.refused.returncode == 1
    assert f"Another '{STATE_ID}' pipeline is already running" in incident.refused.stderr


@pytest.mark.usefixtures("two_runs")
def test_the_state_is_listed_by_its_name(pipeline: Pipeline) -> None:
    listed = pipeline.meltano("state", "list")
    assert STATE_ID in listed.stdout.splitlines()


def test_the_schedule_is_listed_with_its_job(pipeline: Pipeline) -> None:
    listed = json.loads(pipeline.meltano("schedule", "list", "--format=json").stdout)
    (schedule,) = listed["schedules"]["job"]
    assert schedule["name"] == SCHEDULE
    assert schedule["interval"] == "@hourly"
    assert schedule["job"]["name"] == JOB
    assert schedule["job"]["tasks"] == ["tap-voicecalls target-postgres"]


def test_the_settings_are_listed_with_their_variables_and_no_secret(pipeline: Pipeline) -> None:
    listed = pipeline.meltano("config", "list", "--all", "tap-voicecalls").stdout
    for name, setting in TapVoiceCalls.config_jsonschema["properties"].items():
        assert f"\n{name} " in listed
        assert f"[env: TAP_VOICECALLS_{name.upper()}]" in listed
        assert f"\t{setting['title']}: {setting['description']}" in listed
    for name in ("zendesk_client_secret", "talkdesk_client_secret"):
        assert pipeline.sandbox.config[name] not in listed


def test_the_columns_are_listed_and_the_keys_are_always_read(pipeline: Pipeline) -> None:
    listed = pipeline.meltano(
        *("select", "tap-voicecalls", "--list", "--all"),
        TAP_VOICECALLS__SELECT='["zendesk_*.*", "!*.phone_number", "!*.updated_at"]',
    ).stdout
    assert "[selected   ] zendesk_calls.talk_time\n" in listed
    assert "[excluded   ] zendesk_calls.phone_number\n" in listed
    assert "[automatic  ] zendesk_calls.updated_at\n" in listed
    assert "[automatic  ] zendesk_legs.id\n" in listed
    assert "[excluded   ] talkdesk_calls.talk_time\n" in listed


def test_what_is_not_selected_is_not_read(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.sandbox.forget_requests()
    run_to_the_end(
        pipeline.meltano,
        *("run", "tap-voicecalls", "target-jsonl"),
        **recently(),
        TAP_VOICECALLS__SELECT='["zendesk_calls.*", "!zendesk_calls.phone_number"]',
        TARGET_JSONL_DESTINATION_PATH=str(tmp_path),
    )
    (file,) = tmp_path.glob("*.jsonl")
    assert file.name == "zendesk_calls.jsonl"
    calls = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(calls) >= 60
    assert all("phone_number" not in call and "talk_time" in call for call in calls)
    asked = {request.path for request in pipeline.sandbox.requests}
    assert asked == {"/oauth/tokens", f"{PATH}/calls"}


def test_a_connection_test_tells_of_each_vendor_whether_it_can_be_read(pipeline: Pipeline) -> None:
    test = pipeline.meltano(
        *("invoke", "tap-voicecalls", "--test"),
        **recently(),
        TAP_VOICECALLS_ZENDESK_CLIENT_SECRET="wrong",
    )
    assert test.returncode == 1
    assert "Talkdesk is ready: " in test.stdout
    assert "Zendesk is not ready: Zendesk answered POST /oauth/tokens with 401" in test.stderr

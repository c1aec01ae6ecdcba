"""Meltano commands for operations: full refresh, failed runs, state, schedule, settings, select."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from sandbox import Fault
from sandbox.zendesk import PATH
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import DEFAULT_STREAMS, REPLICATION_KEYS
from tests.pipeline import (
    EXTRACT_LOAD,
    JOB,
    SCHEDULE,
    STATE_ID,
    recent_start,
    run_successfully,
)

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.pipeline import Pipeline, Snapshot, TwoRuns

pytestmark = pytest.mark.meltano


@dataclass(frozen=True)
class Incident:
    """A full refresh, a run in which one stream fails, and a successful run.

    Attributes:
        refreshed: The state after the full refresh.
        failed: The failed run.
        after_failure: The state after the failed run.
        recovered: The state after the successful run.
        overlapping: A run that was started during the successful run.
    """

    refreshed: Snapshot
    failed: CompletedProcess[str]
    after_failure: Snapshot
    recovered: Snapshot
    overlapping: CompletedProcess[str]


@pytest.fixture(scope="module")
def incident(pipeline: Pipeline, two_runs: TwoRuns) -> Incident:  # noqa: ARG001 - must run first
    sandbox, meltano = pipeline.sandbox, pipeline.meltano

    run_successfully(meltano, "run", "--full-refresh", *EXTRACT_LOAD, **recent_start())
    refreshed = pipeline.snapshot()

    # After the bookmark, but before the range that the next run syncs in any case.
    sandbox.change_calls(10, at=datetime.now(timezone.utc) - timedelta(minutes=2))
    sandbox.faults.add(Fault.status(f"{PATH}/legs", 403, times=None))
    # Without a lookback, the next run loads the missing legs only if the bookmark did not move.
    settings = recent_start() | {"TAP_VOICECALLS_ZENDESK_LOOKBACK_SECONDS": "0"}
    failed = meltano("schedule", "run", SCHEDULE, **settings)
    after_failure = pipeline.snapshot()

    sandbox.faults.clear()
    overlapping: list[CompletedProcess[str]] = []

    def start_second_run() -> None:
        # The sandbox is blocked during this run and would not respond to it.
        overlapping.append(meltano("run", "--timeout=30", *EXTRACT_LOAD))

    sandbox.faults.add(Fault.late("*", start_second_run))
    run_successfully(meltano, "run", *EXTRACT_LOAD, **settings)
    return Incident(refreshed, failed, after_failure, pipeline.snapshot(), *overlapping)


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_full_refresh_reloads_existing_rows(
    two_runs: TwoRuns, incident: Incident, stream: str
) -> None:
    before = two_runs.snapshots[1].tables[stream]
    last_write = max(row["_sdc_batched_at"] for row in before.values())
    table = incident.refreshed.tables[stream]
    start = datetime.fromisoformat(recent_start()["TAP_VOICECALLS_START_DATE"].replace("Z", ""))
    recent = [row for row in table.values() if row[REPLICATION_KEYS[stream]] > start]
    assert len(recent) >= 60
    assert all(row["_sdc_batched_at"] > last_write for row in recent)
    assert table.keys() == incident.refreshed.source[stream].keys()


def test_failed_stream_fails_the_run_with_a_reason(incident: Incident) -> None:
    assert incident.failed.returncode == 1
    assert "zendesk_legs: Zendesk returned" in incident.failed.stderr
    assert "Traceback" not in incident.failed.stderr


def test_failed_stream_keeps_its_bookmark(incident: Incident) -> None:
    before, after = incident.refreshed.bookmarks, incident.after_failure.bookmarks
    assert (
        after["zendesk_legs"]["replication_key_value"]
        == (before["zendesk_legs"]["replication_key_value"])
    )
    for stream in ("talkdesk_calls", "zendesk_calls"):
        assert before[stream]["replication_key_value"] < after[stream]["replication_key_value"], (
            stream
        )


def test_other_streams_are_loaded_despite_failure(incident: Incident) -> None:
    source, tables = incident.after_failure.source, incident.after_failure.tables
    assert tables["talkdesk_calls"].keys() == source["talkdesk_calls"].keys()
    assert tables["zendesk_calls"].keys() == source["zendesk_calls"].keys()
    assert tables["zendesk_legs"].keys() < source["zendesk_legs"].keys()


def test_next_run_loads_rows_missing_after_failure(incident: Incident) -> None:
    legs = incident.recovered.source["zendesk_legs"]
    stored = incident.recovered.tables["zendesk_legs"]
    assert {key: leg["call_charge"] for key, leg in legs.items()} == {
        key: leg["call_charge"] for key, leg in stored.items()
    }


def test_overlapping_run_is_rejected(incident: Incident) -> None:
    assert incident.overlapping.returncode == 1
    assert f"Another '{STATE_ID}' pipeline is already running" in incident.overlapping.stderr


@pytest.mark.usefixtures("two_runs")
def test_state_list_shows_state_id(pipeline: Pipeline) -> None:
    listed = pipeline.meltano("state", "list")
    assert STATE_ID in listed.stdout.splitlines()


def test_schedule_list_shows_job(pipeline: Pipeline) -> None:
    listed = json.loads(pipeline.meltano("schedule", "list", "--format=json").stdout)
    (schedule,) = listed["schedules"]["job"]
    assert schedule["name"] == SCHEDULE
    assert schedule["interval"] == "@hourly"
    assert schedule["job"]["name"] == JOB
    assert schedule["job"]["tasks"] == ["tap-voicecalls target-postgres dbt-postgres:build"]


def test_config_list_shows_settings_without_secrets(pipeline: Pipeline) -> None:
    listed = pipeline.meltano("config", "list", "--all", "tap-voicecalls").stdout
    for name, setting in TapVoiceCalls.config_jsonschema["properties"].items():
        assert f"\n{name} " in listed
        assert f"[env: TAP_VOICECALLS_{name.upper()}]" in listed
        assert f"\t{setting['title']}: {setting['description']}" in listed
    for name in ("zendesk_client_secret", "talkdesk_client_secret"):
        assert pipeline.sandbox.config[name] not in listed


def test_select_list_shows_columns_and_automatic_keys(pipeline: Pipeline) -> None:
    listed = pipeline.meltano(
        *("select", "tap-voicecalls", "--list", "--all"),
        TAP_VOICECALLS__SELECT='["zendesk_*.*", "!*.phone_number", "!*.updated_at"]',
    ).stdout
    assert "[selected   ] zendesk_calls.talk_time\n" in listed
    assert "[excluded   ] zendesk_calls.phone_number\n" in listed
    assert "[automatic  ] zendesk_calls.updated_at\n" in listed
    assert "[automatic  ] zendesk_legs.id\n" in listed
    assert "[excluded   ] talkdesk_calls.talk_time\n" in listed


def test_deselected_streams_and_columns_are_not_synced(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.sandbox.forget_requests()
    run_successfully(
        pipeline.meltano,
        *("run", "tap-voicecalls", "target-jsonl"),
        **recent_start(),
        TAP_VOICECALLS__SELECT='["zendesk_calls.*", "!zendesk_calls.phone_number"]',
        TARGET_JSONL_DESTINATION_PATH=str(tmp_path),
    )
    (file,) = tmp_path.glob("*.jsonl")
    assert file.name == "zendesk_calls.jsonl"
    calls = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(calls) >= 60
    assert all("phone_number" not in call and "talk_time" in call for call in calls)
    requested = {request.path for request in pipeline.sandbox.requests}
    assert requested == {"/oauth/tokens", f"{PATH}/calls"}


def test_connection_test_reports_each_vendor(pipeline: Pipeline) -> None:
    test = pipeline.meltano(
        *("invoke", "tap-voicecalls", "--test"),
        **recent_start(),
        TAP_VOICECALLS_ZENDESK_CLIENT_SECRET="wrong",
    )
    assert test.returncode == 1
    assert "Talkdesk is ready: " in test.stdout
    assert (
        "Zendesk is not ready: Zendesk returned 401 Unauthorized for POST /oauth/tokens:"
        in test.stderr
    )

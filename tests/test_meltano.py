"""The job and the schedule load both vendors into PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psycopg
import pytest

from demo.database import database
from demo.meltano import Meltano
from sandbox import Sandbox
from sandbox.history import example
from tests.dbt_builds import VENDORS
from tests.dbt_commands import IS_SUPPORTED
from tests.harness import DEFAULT_STREAMS, KEYS, REPLICATION_KEYS, timestamp
from tests.pipeline import as_stored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Pipeline, TwoRuns

pytestmark = pytest.mark.meltano

needs_dbt = pytest.mark.skipif(not IS_SUPPORTED, reason="dbt does not support this Python")


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_each_run_leaves_in_postgresql_what_the_vendor_has(
    two_runs: TwoRuns, stream: str, run: int
) -> None:
    source, table = two_runs.snapshots[run].source[stream], two_runs.snapshots[run].tables[stream]
    assert table.keys() == source.keys()
    for key, row in source.items():
        assert {name: table[key][name] for name in row} == as_stored(row, two_runs.types[stream])


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_documented_examples_are_loaded(two_runs: TwoRuns, stream: str) -> None:
    for row in example(stream):
        stored = two_runs.snapshots[0].tables[stream][row[KEYS[stream]]]
        assert {name: stored[name] for name in row} == as_stored(row, two_runs.types[stream])


def test_values_keep_their_types(two_runs: TwoRuns) -> None:
    call = two_runs.snapshots[0].tables["zendesk_calls"][10217]
    assert call["created_at"] == datetime(2019, 1, 16, 10, 36, 56)  # noqa: DTZ001 - as stored: UTC
    assert call["quality_issues"] == ["high_pdd", "high_jitter"]
    assert call["call_charge"] == "0.025"
    leg = two_runs.snapshots[0].tables["zendesk_legs"][10407]
    assert (leg["call_id"], leg["type"], leg["talk_time"]) == (10217, "agent", 14)
    talkdesk_call = two_runs.snapshots[0].tables["talkdesk_calls"][
        "17378a31cf7546d3acb9621f29a4e883"
    ]
    assert talkdesk_call["end_at"] == datetime(2026, 4, 23, 10, 22, 50)  # noqa: DTZ001
    assert talkdesk_call["csat_survey_time"] is None
    assert talkdesk_call["is_in_business_hours"] is True


@pytest.mark.parametrize(
    ("stream", "column", "type_name"),
    [
        ("talkdesk_calls", "call_id", "text"),
        ("talkdesk_calls", "end_at", "timestamp"),
        ("talkdesk_calls", "csat_survey_time", "timestamp"),
        ("talkdesk_calls", "talk_time", "int8"),
        ("talkdesk_calls", "is_transfer", "bool"),
        ("talkdesk_calls", "float_custom_field_n1", "numeric"),
        ("talkdesk_calls", "extra_fields", "jsonb"),
        ("zendesk_calls", "id", "int8"),
        ("zendesk_calls", "customer_id", "int8"),
        ("zendesk_calls", "updated_at", "timestamp"),
        ("zendesk_calls", "call_charge", "text"),
        ("zendesk_calls", "quality_issues", "_text"),
        ("zendesk_calls", "extra_fields", "jsonb"),
        ("zendesk_legs", "id", "int8"),
        ("zendesk_legs", "call_id", "int8"),
        ("zendesk_legs", "extra_fields", "jsonb"),
    ],
)
def test_columns_have_useful_types(
    two_runs: TwoRuns, stream: str, column: str, type_name: str
) -> None:
    assert two_runs.types[stream][column] == type_name


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_second_run_is_incremental(two_runs: TwoRuns, stream: str) -> None:
    before, after = (snapshot.tables[stream] for snapshot in two_runs.snapshots)
    last_write = max(row["_sdc_batched_at"] for row in before.values())
    loaded = sum(row["_sdc_batched_at"] > last_write for row in after.values())
    assert two_runs.changed[stream] <= loaded < len(after) / 2


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_bookmark_advances(two_runs: TwoRuns, stream: str) -> None:
    before, after = (snapshot.bookmarks[stream] for snapshot in two_runs.snapshots)
    assert before.keys() == {"replication_key", "replication_key_value"}
    assert before["replication_key"] == REPLICATION_KEYS[stream]
    assert before["replication_key_value"] < after["replication_key_value"]


@needs_dbt
def test_scheduled_run_builds_the_marts(pipeline: Pipeline, two_runs: TwoRuns) -> None:
    """From the tables of that run: the calls that changed after the first run are in them."""
    tables = two_runs.snapshots[1].tables
    with psycopg.connect(pipeline.postgres.conninfo) as connection:
        rows = connection.execute(
            "select vendor, call_id, csat_score from voicecalls.voicecalls__calls"
        ).fetchall()
        days = connection.execute(
            "select vendor, sum(calls) from voicecalls.voicecalls__metrics_daily group by vendor"
        ).fetchall()
    calls = {("zendesk", str(key)): None for key in tables["zendesk_calls"]} | {
        ("talkdesk", key): row["csat_score"] for key, row in tables["talkdesk_calls"].items()
    }
    assert {(vendor, key): score for vendor, key, score in rows} == calls
    assert dict(days) == {vendor: len(tables[f"{vendor}_calls"]) for vendor in VENDORS}


@needs_dbt
@pytest.mark.usefixtures("two_runs")
def test_dbt_checks_freshness(pipeline: Pipeline) -> None:
    assert pipeline.meltano("invoke", "dbt-postgres:freshness").returncode == 0


@needs_dbt
@pytest.mark.usefixtures("two_runs")
def test_failed_build_fails_the_run(pipeline: Pipeline) -> None:
    variables = '{"voicecalls_sources": [{"schema": "empty"}]}'
    run = pipeline.meltano("run", "dbt-postgres:build", DBT_POSTGRES_VARS=variables)
    assert run.returncode == 1
    assert "the schema postgres.empty contains neither talkdesk_calls" in run.stderr + run.stdout


def test_rejected_credentials_of_one_vendor_spare_the_other(tmp_path: Path) -> None:
    start_date = timestamp(datetime.now(timezone.utc) - timedelta(days=15))
    with Sandbox(calls=20, days=10, page_size=1000) as sandbox, database() as postgres:
        run = Meltano(sandbox, postgres, tmp_path)(
            *("run", "tap-voicecalls", "target-jsonl"),
            TAP_VOICECALLS_START_DATE=start_date,
            TAP_VOICECALLS_TALKDESK_CLIENT_SECRET="n0t-the-s3cret",
            TARGET_JSONL_DESTINATION_PATH=str(tmp_path),
        )
        calls = (tmp_path / "zendesk_calls.jsonl").read_text().splitlines()
        recent = [row for row in sandbox.zendesk.calls.values() if row["updated_at"] >= start_date]
    assert run.returncode == 1
    assert len(calls) == len(recent)
    assert "talkdesk_client_secret" in run.stderr
    assert "n0t-the-s3cret" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr

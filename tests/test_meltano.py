"""`meltano run` from both vendors into PostgreSQL, twice, and what stands there then."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from sandbox import Sandbox
from sandbox.database import database
from sandbox.history import example
from sandbox.meltano import Meltano
from tests.running import KEYS, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.database import Database
    from sandbox.history import Row

    Tables = dict[str, dict[Any, Row]]

pytestmark = pytest.mark.meltano

RUN = ("run", "tap-voicecalls", "target-postgres")
STATE = ("state", "get", "sandbox:tap-voicecalls-to-target-postgres")


@dataclass(frozen=True)
class Pipeline:
    """Two runs with changes between them.

    Attributes:
        history: What the vendors had at each run, by stream and key.
        changed: How many rows of each stream changed or came in between the runs.
        tables: What PostgreSQL had after each run.
        types: The columns' types.
        states: Meltano's state after each run.
    """

    history: tuple[Tables, Tables]
    changed: dict[str, int]
    tables: tuple[Tables, Tables]
    types: dict[str, dict[str, str]]
    states: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Sandbox(calls=60, days=20, page_size=1000) as sandbox, database() as postgres:
        meltano = Meltano(sandbox, postgres, tmp_path_factory.mktemp("meltano"))

        def run() -> tuple[Tables, Tables, dict[str, Any]]:
            run_to_the_end(meltano)
            state = json.loads(meltano(*STATE).stdout)["singer_state"]["bookmarks"]
            return history_of(sandbox), tables_in(postgres), state

        first = run()
        changed = sandbox.change_calls(10)
        history, tables, states = zip(first, run(), strict=True)
        yield Pipeline(history, changed, tables, types_in(postgres), states)


def run_to_the_end(meltano: Meltano) -> None:
    run = meltano(*RUN)
    assert run.returncode == 0, run.stdout + run.stderr


def history_of(sandbox: Sandbox) -> Tables:
    return {
        "talkdesk_calls": dict(sandbox.talkdesk.calls),
        "zendesk_calls": dict(sandbox.zendesk.calls),
        "zendesk_legs": dict(sandbox.zendesk.legs),
    }


def tables_in(postgres: Database) -> Tables:
    tables: Tables = {}
    with psycopg.connect(postgres.conninfo, row_factory=dict_row) as connection:
        for stream, key in KEYS.items():
            query = sql.SQL("select * from tap_voicecalls.{}").format(sql.Identifier(stream))
            rows = connection.execute(query).fetchall()
            tables[stream] = {row[key]: row for row in rows}
            assert len(tables[stream]) == len(rows)
    return tables


def types_in(postgres: Database) -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    with psycopg.connect(postgres.conninfo) as connection:
        for table, column, its_type in connection.execute(
            "select table_name, column_name, udt_name from information_schema.columns "
            "where table_schema = 'tap_voicecalls'"
        ):
            types.setdefault(table, {})[column] = its_type
    return types


def as_stored(row: Row, types: dict[str, str]) -> Row:
    """A vendor's row as the table should have it."""
    stored = dict(row)
    for name, value in row.items():
        if value == "" and types[name] != "text":
            stored[name] = None
        elif value is not None and types[name] == "numeric":
            stored[name] = Decimal(str(value))
        elif value is not None and types[name] == "timestamp":
            stored[name] = datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)
    return stored


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("stream", KEYS)
def test_each_run_leaves_in_postgresql_what_the_vendor_has(
    pipeline: Pipeline, stream: str, run: int
) -> None:
    history, table = pipeline.history[run][stream], pipeline.tables[run][stream]
    assert table.keys() == history.keys()
    for key, row in history.items():
        assert {name: table[key][name] for name in row} == as_stored(row, pipeline.types[stream])


@pytest.mark.parametrize("stream", KEYS)
def test_the_examples_in_the_vendors_documents_arrive(pipeline: Pipeline, stream: str) -> None:
    for row in example(stream):
        stored = pipeline.tables[0][stream][row[KEYS[stream]]]
        assert {name: stored[name] for name in row} == as_stored(row, pipeline.types[stream])


def test_values_arrive_in_the_type_they_have(pipeline: Pipeline) -> None:
    call = pipeline.tables[0]["zendesk_calls"][10217]
    assert call["created_at"] == datetime(2019, 1, 16, 10, 36, 56)  # noqa: DTZ001 - as stored: UTC
    assert call["quality_issues"] == ["high_pdd", "high_jitter"]
    assert call["call_charge"] == "0.025"
    leg = pipeline.tables[0]["zendesk_legs"][10407]
    assert (leg["call_id"], leg["type"], leg["talk_time"]) == (10217, "agent", 14)
    talkdesk_call = pipeline.tables[0]["talkdesk_calls"]["17378a31cf7546d3acb9621f29a4e883"]
    assert talkdesk_call["end_at"] == datetime(2026, 4, 23, 10, 22, 50)  # noqa: DTZ001
    assert talkdesk_call["csat_survey_time"] is None
    assert talkdesk_call["is_in_business_hours"] is True


@pytest.mark.parametrize(
    ("stream", "column", "its_type"),
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
def test_columns_have_the_types_to_work_with(
    pipeline: Pipeline, stream: str, column: str, its_type: str
) -> None:
    assert pipeline.types[stream][column] == its_type


@pytest.mark.parametrize("stream", KEYS)
def test_the_second_run_brings_little_more_than_the_changes(
    pipeline: Pipeline, stream: str
) -> None:
    before, after = (table[stream] for table in pipeline.tables)
    last_write = max(row["_sdc_batched_at"] for row in before.values())
    brought = sum(row["_sdc_batched_at"] > last_write for row in after.values())
    assert pipeline.changed[stream] <= brought < len(after) / 2


@pytest.mark.parametrize("stream", KEYS)
def test_meltano_keeps_a_bookmark_that_moves_on(pipeline: Pipeline, stream: str) -> None:
    before, after = (state[stream] for state in pipeline.states)
    assert before.keys() == {"replication_key", "replication_key_value"}
    assert before["replication_key"] == ("end_at" if stream == "talkdesk_calls" else "updated_at")
    assert before["replication_key_value"] < after["replication_key_value"]


def test_one_vendors_refusal_does_not_hold_up_the_other(tmp_path: Path) -> None:
    recently = text(datetime.now(timezone.utc) - timedelta(days=15))
    with Sandbox(calls=20, days=10, page_size=1000) as sandbox, database() as postgres:
        run = Meltano(sandbox, postgres, tmp_path)(
            *("run", "tap-voicecalls", "target-jsonl"),
            TAP_VOICECALLS_START_DATE=recently,
            TAP_VOICECALLS_TALKDESK_CLIENT_SECRET="n0t-the-s3cret",
            TARGET_JSONL_DESTINATION_PATH=str(tmp_path),
        )
        calls = (tmp_path / "zendesk_calls.jsonl").read_text().splitlines()
        recent = [row for row in sandbox.zendesk.calls.values() if row["updated_at"] >= recently]
    assert run.returncode == 1
    assert len(calls) == len(recent)
    assert "talkdesk_client_secret" in run.stderr
    assert "n0t-the-s3cret" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr

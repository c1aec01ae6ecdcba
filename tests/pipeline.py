"""Meltano pipelines from both vendors into PostgreSQL, and snapshots of their source and result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.dbt_commands import IS_SUPPORTED
from tests.harness import DEFAULT_STREAMS, KEYS, timestamp

if TYPE_CHECKING:
    from demo.database import Database
    from demo.meltano import Meltano
    from sandbox import Sandbox
    from sandbox.history import Row

    Tables = dict[str, dict[Any, Row]]

#: The part of the job that does not need dbt.
EXTRACT_LOAD = ("tap-voicecalls", "target-postgres")
JOB = "voicecalls-to-postgres"
SCHEDULE = "voicecalls-hourly"
STATE_ID = "sandbox:tap-voicecalls-to-target-postgres"


@dataclass(frozen=True)
class Snapshot:
    """The state of a pipeline after a run.

    Attributes:
        source: The vendors' rows by stream and primary key.
        tables: The rows in PostgreSQL by stream and primary key.
        bookmarks: Meltano's bookmarks by stream.
    """

    source: Tables
    tables: Tables
    bookmarks: dict[str, Any]


@dataclass(frozen=True)
class Pipeline:
    """The project's Meltano between both vendors and PostgreSQL."""

    sandbox: Sandbox
    postgres: Database
    meltano: Meltano

    def snapshot(self) -> Snapshot:
        """Return the current state."""
        return Snapshot(
            {stream: dict(rows) for stream, rows in self.sandbox.rows.items()},
            {
                stream: read_table(self.postgres, "tap_voicecalls", stream)
                for stream in DEFAULT_STREAMS
            },
            get_bookmarks(self.meltano),
        )


@dataclass(frozen=True)
class TwoRuns:
    """Two runs, with changes at the vendors in between.

    Attributes:
        snapshots: The state after each run.
        changed: The number of rows of each stream that changed or were added in between.
        types: The type of each column by table.
    """

    snapshots: tuple[Snapshot, Snapshot]
    changed: dict[str, int]
    types: dict[str, dict[str, str]]


def run_twice(pipeline: Pipeline) -> TwoRuns:
    """Extract and load, change calls, and run the project's schedule."""
    run_successfully(pipeline.meltano, "run", *EXTRACT_LOAD)
    first = pipeline.snapshot()
    changed = pipeline.sandbox.change_calls(10)
    hourly = ("schedule", "run", SCHEDULE) if IS_SUPPORTED else ("run", *EXTRACT_LOAD)
    run_successfully(pipeline.meltano, *hourly)
    return TwoRuns((first, pipeline.snapshot()), changed, column_types(pipeline.postgres))


def run_successfully(meltano: Meltano, *command: str, **environment: str) -> None:
    """Run a command and check that it succeeds."""
    run = meltano(*command, **environment)
    assert run.returncode == 0, run.stdout + run.stderr


def recent_start() -> dict[str, str]:
    """Return a start date that skips the years between the documented examples and the history."""
    start = datetime.now(timezone.utc) - timedelta(days=21)
    return {"TAP_VOICECALLS_START_DATE": timestamp(start)}


def read_table(postgres: Database, schema: str, stream: str) -> dict[Any, Row]:
    """Return the rows of a table by primary key, which must be unique."""
    query = sql.SQL("select * from {}").format(sql.Identifier(schema, stream))
    with psycopg.connect(postgres.conninfo, row_factory=dict_row) as connection:
        rows = connection.execute(query).fetchall()
    table = {row[KEYS[stream]]: row for row in rows}
    assert len(table) == len(rows)
    return table


def as_stored(row: Row, types: dict[str, str]) -> Row:
    """Return a vendor's row as PostgreSQL stores it, given the types of the columns."""
    stored = dict(row)
    for name, value in row.items():
        if value == "" and types[name] != "text":
            stored[name] = None
        elif value is not None and types[name] == "numeric":
            stored[name] = Decimal(str(value))
        elif value is not None and types[name] == "timestamp":
            stored[name] = datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)
    return stored


def column_types(postgres: Database) -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    with psycopg.connect(postgres.conninfo) as connection:
        for table, column, type_name in connection.execute(
            "select table_name, column_name, udt_name from information_schema.columns "
            "where table_schema = 'tap_voicecalls'"
        ):
            types.setdefault(table, {})[column] = type_name
    return types


def get_bookmarks(meltano: Meltano, state_id: str = STATE_ID) -> dict[str, Any]:
    """Return the bookmarks in Meltano's state."""
    state = meltano("state", "get", state_id)
    bookmarks: dict[str, Any] = json.loads(state.stdout)["singer_state"]["bookmarks"]
    return bookmarks

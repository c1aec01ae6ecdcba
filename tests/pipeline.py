"""Meltano's runs from both vendors into PostgreSQL, and what is seen at both ends of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.harness import KEYS, timestamp

if TYPE_CHECKING:
    from demo.database import Database
    from demo.meltano import Meltano
    from sandbox import Sandbox
    from sandbox.history import Row

    Tables = dict[str, dict[Any, Row]]

JOB = "voicecalls-to-postgres"
SCHEDULE = "voicecalls-hourly"
STATE_ID = "sandbox:tap-voicecalls-to-target-postgres"


@dataclass(frozen=True)
class Seen:
    """What the vendors have, what PostgreSQL has, both by stream and key, Meltano's bookmarks."""

    history: Tables
    tables: Tables
    bookmarks: dict[str, Any]


@dataclass(frozen=True)
class Pipeline:
    """The project's Meltano between both vendors and PostgreSQL."""

    sandbox: Sandbox
    postgres: Database
    meltano: Meltano

    def look(self) -> Seen:
        """What is there now."""
        return Seen(
            {
                "talkdesk_calls": dict(self.sandbox.talkdesk.calls),
                "zendesk_calls": dict(self.sandbox.zendesk.calls),
                "zendesk_legs": dict(self.sandbox.zendesk.legs),
            },
            {stream: table_in(self.postgres, "tap_voicecalls", stream) for stream in KEYS},
            bookmarks_in(self.meltano),
        )


@dataclass(frozen=True)
class TwoRuns:
    """Two runs with changes between them.

    Attributes:
        seen: What was there after each.
        changed: How many rows of each stream changed or came in between them.
        types: The columns' types.
    """

    seen: tuple[Seen, Seen]
    changed: dict[str, int]
    types: dict[str, dict[str, str]]


def run_twice(pipeline: Pipeline) -> TwoRuns:
    """Runs the project's job, then its schedule."""
    run_to_the_end(pipeline.meltano, "run", JOB)
    first = pipeline.look()
    changed = pipeline.sandbox.change_calls(10)
    run_to_the_end(pipeline.meltano, "schedule", "run", SCHEDULE)
    return TwoRuns((first, pipeline.look()), changed, types_in(pipeline.postgres))


def run_to_the_end(meltano: Meltano, *command: str, **settings: str) -> None:
    """Runs a command that goes well."""
    run = meltano(*command, **settings)
    assert run.returncode == 0, run.stdout + run.stderr


def recently() -> dict[str, str]:
    """The setting of a start that leaves the long years without calls out."""
    start = datetime.now(timezone.utc) - timedelta(days=21)
    return {"TAP_VOICECALLS_START_DATE": timestamp(start)}


def table_in(postgres: Database, schema: str, stream: str) -> dict[Any, Row]:
    query = sql.SQL("select * from {}").format(sql.Identifier(schema, stream))
    with psycopg.connect(postgres.conninfo, row_factory=dict_row) as connection:
        rows = connection.execute(query).fetchall()
    table = {row[KEYS[stream]]: row for row in rows}
    assert len(table) == len(rows)
    return table


def types_in(postgres: Database) -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    with psycopg.connect(postgres.conninfo) as connection:
        for table, column, its_type in connection.execute(
            "select table_name, column_name, udt_name from information_schema.columns "
            "where table_schema = 'tap_voicecalls'"
        ):
            types.setdefault(table, {})[column] = its_type
    return types


def bookmarks_in(meltano: Meltano, state_id: str = STATE_ID) -> dict[str, Any]:
    """The bookmarks that Meltano keeps."""
    state = meltano("state", "get", state_id)
    bookmarks: dict[str, Any] = json.loads(state.stdout)["singer_state"]["bookmarks"]
    return bookmarks

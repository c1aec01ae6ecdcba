"""The tap piped into targets of others, twice, and what they hold then."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from demo.database import database
from sandbox import Sandbox
from sandbox.history import example
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH
from tap_voicecalls import schemas
from tap_voicecalls.sync.conform import ANY_JSON, EXTRA_FIELDS
from tests.harness import KEYS, timestamp
from tests.targets import TARGETS, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from demo.database import Database
    from sandbox.history import Row
    from tests.targets import Load

    Column = Mapping[str, Any]

pytestmark = pytest.mark.targets

COLUMNS: dict[str, dict[str, Column]] = {
    stream: json.loads(resources.files(schemas).joinpath(f"{stream}.json").read_text("utf-8"))[
        "properties"
    ]
    for stream in KEYS
}
REPLICATION_KEYS = {
    "talkdesk_calls": "end_at",
    "zendesk_calls": "updated_at",
    "zendesk_legs": "updated_at",
}
#: Texts that are easily taken for something else.
AWKWARD_TEXTS = (
    *(
        "null",
        "None",
        "NULL",
        "\\N",
        "true",
        "0",
        "007",
        "{}",
        "[]",
        "2026-01-01",
        "%s {x} $1 :name",
    ),
    *("''", '""', "'", '"', ",", "#", ";", "|", " spaces around ", "Zoë 李 明 📞", "long " * 999),
    *(
        "back\\slash",
        "\\",
        "\\n",
        "a\\",
        '\\"',
        "two\nlines",
        "two\r\nlines",
        "a\ttab",
        '"no",\n"yes"',
    ),
)


class Holder(Protocol):
    """What a target has written.

    Attributes:
        settings: The target's settings.
        upserts: Whether it replaces rows by their key; else it appends them.
    """

    settings: Mapping[str, Any]
    upserts: bool

    def rows(self, stream: str) -> list[Row]:
        """Reads all rows of a stream."""

    def stored(self, value: Any, column: Column) -> Any:
        """How it holds a value other than null."""


class PostgreSQL:
    upserts = True

    def __init__(self, postgres: Database, _: Path) -> None:
        self._conninfo = postgres.conninfo
        self._schema = "meltanolabs"
        self.settings: Mapping[str, Any] = {
            "sqlalchemy_url": postgres.sqlalchemy_url,
            "default_target_schema": self._schema,
        }

    def rows(self, stream: str) -> list[Row]:
        query = sql.SQL("select * from {}").format(sql.Identifier(self._schema, stream))
        with psycopg.connect(self._conninfo, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    def stored(self, value: Any, column: Column) -> Any:
        if is_time(column):
            return moment(value)
        return Decimal(str(value)) if "number" in column["type"] else value


class PipelinewisePostgreSQL(PostgreSQL):
    def __init__(self, postgres: Database, _: Path) -> None:
        super().__init__(postgres, _)
        self._schema = "pipelinewise"
        self.settings = {
            "host": postgres.sockets,
            "port": 5432,
            "user": "postgres",
            "password": "none",
            "dbname": "postgres",
            "default_target_schema": self._schema,
        }

    def stored(self, value: Any, column: Column) -> Any:
        if is_time(column):
            return moment(value)
        if isinstance(value, str):
            # As in JSON, of which only these two are taken back.
            written = json.dumps(value, ensure_ascii=False)[1:-1]
            return written.replace('\\"', '"').replace("\\\\", "\\") or None
        return value


class DuckDB:
    upserts = True

    def __init__(self, _: Database, folder: Path) -> None:
        self._path = folder / "calls.duckdb"
        self.settings: Mapping[str, Any] = {
            "path": str(self._path),
            "default_target_schema": "voice",
        }

    def rows(self, stream: str) -> list[Row]:
        with duckdb.connect(str(self._path), read_only=True) as connection:
            table = connection.table(f"voice.{stream}")
            rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
        for row in rows:
            for name, column in COLUMNS[stream].items():
                if row[name] is not None and {"array", "object"} & set(column["type"]):
                    row[name] = json.loads(row[name])
                row[name] = self._without_backslashes(row[name])
        return rows

    def stored(self, value: Any, column: Column) -> Any:
        if is_time(column):
            return moment(value)
        return self._without_backslashes(value) if value != "" else None

    def _without_backslashes(self, value: Any) -> Any:
        # It lets DuckDB guess the form of its own files. In a file with backslashes and without
        # quotes, they count as escapes.
        return value.replace("\\", "") if isinstance(value, str) else value


class JSONLines:
    upserts = False

    def __init__(self, _: Database, folder: Path) -> None:
        self._folder = folder / "lines"
        self.settings: Mapping[str, Any] = {
            "destination_path": str(self._folder),
            "do_timestamp_file": False,
        }

    def rows(self, stream: str) -> list[Row]:
        lines = (self._folder / f"{stream}.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def stored(self, value: Any, _: Column) -> Any:
        return value


class CSV:
    upserts = False

    def __init__(self, _: Database, folder: Path) -> None:
        self._folder = folder / "csv"
        self.settings: Mapping[str, Any] = {
            "output_path": str(self._folder),
            # Else each run would replace the file of the one before.
            "file_naming_scheme": "{stream_name}-{timestamp}.csv",
        }

    def rows(self, stream: str) -> list[Row]:
        rows: list[Row] = []
        for path in sorted(self._folder.glob(f"{stream}-*.csv")):
            with path.open(encoding="utf-8", newline="") as lines:
                rows += csv.DictReader(lines)
        for row in rows:
            row |= {name: None for name, value in row.items() if value == ""}
        return rows

    def stored(self, value: Any, column: Column) -> Any:
        if is_time(column):
            return f"{moment(value)}+00:00"
        # As Python writes it, where numbers within objects are decimal.
        return str(json.loads(json.dumps(value), parse_float=Decimal)) or None


class SQLite:
    upserts = True

    def __init__(self, _: Database, folder: Path) -> None:
        self._path = folder / "calls.db"
        self.settings: Mapping[str, Any] = {"database": str(self._path)}

    def rows(self, stream: str) -> list[Row]:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"select * from {stream}")]  # noqa: S608

    def stored(self, value: Any, _: Column) -> Any:
        return str(value) if isinstance(value, list | dict) else value


HOLDERS: dict[str, Callable[[Database, Path], Holder]] = {
    "meltanolabs-target-postgres": PostgreSQL,
    "pipelinewise-target-postgres": PipelinewisePostgreSQL,
    "target-duckdb": DuckDB,
    "target-jsonl": JSONLines,
    "meltanolabs-target-csv": CSV,
    "target-sqlite": SQLite,
}


def is_time(column: Column) -> bool:
    return column.get("format") == "date-time"


def moment(value: str) -> datetime:
    """A time in UTC, without saying so."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)


@dataclass(frozen=True)
class Run:
    """A run, and what there is after it.

    Attributes:
        ended: How it ended.
        since: The earliest time that it asked each stream's vendor about.
        truth: What the vendors have since the start date, by stream and key, with all columns.
        rows: What the target holds, by stream.
    """

    ended: Load
    since: dict[str, datetime]
    truth: dict[str, dict[Any, Row]]
    rows: dict[str, list[Row]]


@dataclass(frozen=True)
class Pipeline:
    """Two runs with changes between them."""

    holder: Holder
    runs: tuple[Run, Run]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    with database(time_zone="Asia/Kolkata") as started:
        yield started


@pytest.fixture(scope="module", params=TARGETS)
def pipeline(
    request: pytest.FixtureRequest, postgres: Database, tmp_path_factory: pytest.TempPathFactory
) -> Pipeline:
    folder = tmp_path_factory.mktemp(request.param)
    holder = HOLDERS[request.param](postgres, folder)
    with Sandbox(calls=60, days=20, page_size=1000, zendesk_requests_per_minute=None) as sandbox:
        put_awkward_calls(sandbox)
        settings = recent(sandbox)

        def run(state: Mapping[str, Any]) -> Run:
            sandbox.forget_requests()
            ended = load(request.param, folder, tap=settings, target=holder.settings, state=state)
            assert ended.codes == (0, 0), ended.logs
            return Run(
                ended,
                asked_since(sandbox),
                {stream: truth(sandbox, stream, settings["start_date"]) for stream in KEYS},
                {stream: holder.rows(stream) for stream in KEYS},
            )

        first = run({})
        sandbox.change_calls(10)
        return Pipeline(holder, (first, run(first.ended.states[-1])))


def recent(sandbox: Sandbox) -> dict[str, Any]:
    """Settings that leave out the examples of the documents, and the years since then."""
    start = timestamp(datetime.now(timezone.utc) - timedelta(days=25))
    return sandbox.config | {"start_date": start, "zendesk_requests_per_minute": 1000}


def asked_since(sandbox: Sandbox) -> dict[str, datetime]:
    asked: dict[str, list[datetime]] = {stream: [] for stream in KEYS}
    for request in sandbox.requests:
        if request.path.startswith(PATH):
            start = datetime.fromtimestamp(int(request.query["start_time"]), timezone.utc)
            asked[f"zendesk_{request.path.rpartition('/')[2]}"].append(start.replace(tzinfo=None))
        elif request.path == JOBS:
            asked["talkdesk_calls"].append(moment(request.body["timespan"]["from"]))
    return {stream: min(times) for stream, times in asked.items()}


def put_awkward_calls(sandbox: Sandbox) -> None:
    """Adds calls and legs with values that get lost easily."""
    at = timestamp(datetime.now(timezone.utc) - timedelta(days=3))
    ((talkdesk_call,), (zendesk_call,), (leg, *_)) = map(example, KEYS)
    for number, awkward in enumerate(AWKWARD_TEXTS):
        sandbox.talkdesk.put_call(
            talkdesk_call
            | {"call_id": f"call {number}", "start_at": at, "end_at": at, "notes": awkward}
            | {"rating_reason": awkward, "timestamp_custom_field_n1": at, "new_field": awkward}
            | {"int_custom_field_n1": -number, "float_custom_field_n1": number / 7}
        )
        sandbox.zendesk.put_call(
            zendesk_call
            # More than a float can tell apart.
            | {"id": 2**53 + number, "created_at": at, "updated_at": at, "call_charge": "0.10"}
            | {"quality_issues": [awkward, None, awkward] if number else []}
            | {"post_call_summary": awkward, "post_call_transcription": {"text": [awkward]}}
            | {"new_object": {"text": awkward, "list": [number, 0.5, True, None, {}]}}
        )
        sandbox.zendesk.put_leg(
            leg | {"id": 2**53 + number, "call_id": 2**53 + number, "updated_at": at}
        )


def truth(sandbox: Sandbox, stream: str, start: str) -> dict[Any, Row]:
    rows: dict[str, Mapping[Any, Row]] = {
        "talkdesk_calls": sandbox.talkdesk.calls,
        "zendesk_calls": sandbox.zendesk.calls,
        "zendesk_legs": sandbox.zendesk.legs,
    }
    return {
        key: record(row, COLUMNS[stream])
        for key, row in rows[stream].items()
        if row[REPLICATION_KEYS[stream]] >= start
    }


def record(row: Row, columns: Mapping[str, Column]) -> Row:
    """A vendor's row in the columns of its stream."""
    written: Row = dict.fromkeys(columns)
    for name, value in row.items():
        if name not in columns:
            written[EXTRA_FIELDS] = (written[EXTRA_FIELDS] or {}) | {name: value}
        elif columns[name].get(ANY_JSON) and not isinstance(value, str | None):
            written[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif value != "" or ("string" in columns[name]["type"] and not is_time(columns[name])):
            written[name] = value
    return written


both_runs = pytest.mark.parametrize("run", [0, 1], ids=["first run", "second run"])
every_stream = pytest.mark.parametrize("stream", KEYS)


@both_runs
@every_stream
def test_each_run_leaves_in_the_target_what_the_vendor_has(
    pipeline: Pipeline, stream: str, run: int
) -> None:
    def stored(name: str, value: Any) -> Any:
        return None if value is None else pipeline.holder.stored(value, COLUMNS[stream][name])

    key = KEYS[stream]
    # Of those that only append, the last version of each row.
    held = {row[key]: row for row in pipeline.runs[run].rows[stream]}
    truth = {stored(key, its): row for its, row in pipeline.runs[run].truth[stream].items()}
    assert held.keys() == truth.keys()
    for its, row in truth.items():
        assert {name: held[its][name] for name in row} == {
            name: stored(name, value) for name, value in row.items()
        }


@every_stream
def test_the_second_run_replaces_or_appends(pipeline: Pipeline, stream: str) -> None:
    before, after = (run.rows[stream] for run in pipeline.runs)
    if pipeline.holder.upserts:
        assert len(after) == len({row[KEYS[stream]] for row in after})
    else:
        assert after[: len(before)] == before


@both_runs
def test_the_target_gives_back_a_complete_state(pipeline: Pipeline, run: int) -> None:
    state = pipeline.runs[run].ended.states[-1]
    assert state.keys() == {"bookmarks"}
    assert {
        stream: (bookmark.keys(), bookmark["replication_key"])
        for stream, bookmark in state["bookmarks"].items()
    } == {
        stream: ({"replication_key", "replication_key_value"}, key)
        for stream, key in REPLICATION_KEYS.items()
    }


@every_stream
def test_the_second_run_goes_on_from_that_state(pipeline: Pipeline, stream: str) -> None:
    first, second = pipeline.runs
    bookmark = first.ended.states[-1]["bookmarks"][stream]["replication_key_value"]
    assert first.since[stream] < second.since[stream] == moment(bookmark)


def test_a_target_that_refuses_its_settings_ends_the_tap_with_a_line(tmp_path: Path) -> None:
    # More rows than a pipe holds: whichever is the faster, the tap must notice.
    with Sandbox(calls=60, days=20, page_size=1000) as sandbox:
        ended = load("target-duckdb", tmp_path, tap=recent(sandbox), target={}, state={})
    tap_log, target_log = ended.logs
    assert ended.codes == (1, 1)
    assert "Invalid configuration" in target_log
    assert "The target went away before everything was written" in tap_log.splitlines()[-1]
    assert "Traceback" not in tap_log

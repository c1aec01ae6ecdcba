"""Third-party targets load both vendors' calls completely, in a full and an incremental run."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from demo.database import database
from sandbox import Fault, Sandbox
from sandbox.history import example
from sandbox.talkdesk import jobs_path
from sandbox.zendesk import PATH
from sandbox.zendesk_lists import LISTS
from tap_voicecalls.schemas import read_schema
from tap_voicecalls.sync.conform import ANY_JSON, EXTRA_FIELDS, LEFT_OUT
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import (
    DEFAULT_STREAMS,
    KEYS,
    NOW,
    REPLICATION_KEYS,
    FakeClock,
    as_written,
    row_key,
    select,
    sync,
    timestamp,
)
from tests.interleaving import SMALL_SLICES, alternations, interleave
from tests.targets import TARGETS, kill_after_states, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from demo.database import Database
    from sandbox.history import Row
    from tests.targets import Load

    Column = Mapping[str, Any]

pytestmark = pytest.mark.targets

CATALOG = select(
    TapVoiceCalls(config={}, parse_env_config=False, validate_config=False).catalog_dict
)
COLUMNS: dict[str, dict[str, Column]] = {
    stream: read_schema(stream)["properties"] for stream in KEYS
}
#: The fields without a column that are not in `extra_fields` either.
NOT_TAKEN = {name for stream in KEYS for name in read_schema(stream).get(LEFT_OUT, ())}
#: How many slices of each vendor the first run reads in pairs.
ROUNDS = 5
#: The streams that do not hold everything up to now yet. So the newest rows are not compared.
RECENT_ROWS_MISSING = {*REPLICATION_KEYS} - {*DEFAULT_STREAMS}
#: Strings that are easily misinterpreted.
AWKWARD_STRINGS = (
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


class Destination(Protocol):
    """The destination of a target.

    Attributes:
        config: The config of the target.
        upserts: Whether the target replaces rows with the same key, rather than append them.
    """

    config: Mapping[str, Any]
    upserts: bool

    def rows(self, stream: str) -> list[Row]:
        """Return all rows of a stream."""

    def as_stored(self, value: Any, column: Column) -> Any:
        """Return a value other than null as the target stores it."""


class PostgreSQL:
    upserts = True

    def __init__(self, postgres: Database, folder: Path) -> None:
        self._conninfo = postgres.conninfo
        self._schema = folder.name.replace("-", "_")
        self.config: Mapping[str, Any] = {
            "sqlalchemy_url": postgres.sqlalchemy_url,
            "default_target_schema": self._schema,
        }

    def rows(self, stream: str) -> list[Row]:
        query = sql.SQL("select * from {}").format(sql.Identifier(self._schema, stream))
        with psycopg.connect(self._conninfo, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    def as_stored(self, value: Any, column: Column) -> Any:
        if is_timestamp(column):
            return naive_utc(value)
        return Decimal(str(value)) if "number" in column["type"] else value


class PipelinewisePostgreSQL(PostgreSQL):
    def __init__(self, postgres: Database, folder: Path) -> None:
        super().__init__(postgres, folder)
        self.config = {
            "host": postgres.socket_dir,
            "port": 5432,
            "user": "postgres",
            "password": "none",
            "dbname": "postgres",
            "default_target_schema": self._schema,
        }

    def as_stored(self, value: Any, column: Column) -> Any:
        if is_timestamp(column):
            return naive_utc(value)
        if isinstance(value, str):
            # The target stores strings with JSON's escapes, except for these two.
            escaped = json.dumps(value, ensure_ascii=False)[1:-1]
            return escaped.replace('\\"', '"').replace("\\\\", "\\") or None
        return value


class DuckDB:
    upserts = True

    def __init__(self, _: Database, folder: Path) -> None:
        self._path = folder / "calls.duckdb"
        self.config: Mapping[str, Any] = {
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

    def as_stored(self, value: Any, column: Column) -> Any:
        if is_timestamp(column):
            return naive_utc(value)
        return self._without_backslashes(value) if value != "" else None

    def _without_backslashes(self, value: Any) -> Any:
        # The target lets DuckDB detect the CSV dialect of its files. In a file with backslashes but
        # without quotes, DuckDB takes the backslashes for escape characters.
        return value.replace("\\", "") if isinstance(value, str) else value


class JSONLines:
    upserts = False

    def __init__(self, _: Database, folder: Path) -> None:
        self._folder = folder / "lines"
        self.config: Mapping[str, Any] = {
            "destination_path": str(self._folder),
            "do_timestamp_file": False,
        }

    def rows(self, stream: str) -> list[Row]:
        lines = (self._folder / f"{stream}.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def as_stored(self, value: Any, _: Column) -> Any:
        return value


class CSV:
    upserts = False

    def __init__(self, _: Database, folder: Path) -> None:
        self._folder = folder / "csv"
        self.config: Mapping[str, Any] = {
            "output_path": str(self._folder),
            # By default, each run would replace the file of the previous run.
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

    def as_stored(self, value: Any, column: Column) -> Any:
        if is_timestamp(column):
            return f"{naive_utc(value)}+00:00"
        # The target writes Python's `str` of a value, with Decimal for numbers in objects.
        return str(json.loads(json.dumps(value), parse_float=Decimal)) or None


class SQLite:
    upserts = True

    def __init__(self, _: Database, folder: Path) -> None:
        self._path = folder / "calls.db"
        self.config: Mapping[str, Any] = {"database": str(self._path)}

    def rows(self, stream: str) -> list[Row]:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"select * from {stream}")]  # noqa: S608

    def as_stored(self, value: Any, _: Column) -> Any:
        return str(value) if isinstance(value, list | dict) else value


DESTINATIONS: dict[str, Callable[[Database, Path], Destination]] = {
    "meltanolabs-target-postgres": PostgreSQL,
    "pipelinewise-target-postgres": PipelinewisePostgreSQL,
    "target-duckdb": DuckDB,
    "target-jsonl": JSONLines,
    "meltanolabs-target-csv": CSV,
    "target-sqlite": SQLite,
}


def is_timestamp(column: Column) -> bool:
    return column.get("format") == "date-time"


def naive_utc(value: str) -> datetime:
    """Return a UTC timestamp as a datetime without a time zone."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)


@dataclass(frozen=True)
class Run:
    """A run and the state after it.

    Attributes:
        load: The result of the run.
        start: The earliest time that the tap requested, by stream.
        expected: The expected records since the start date, by stream and primary key.
        rows: The rows at the destination, by stream.
    """

    load: Load
    start: dict[str, datetime]
    expected: dict[str, dict[Any, Row]]
    rows: dict[str, list[Row]]


@dataclass(frozen=True)
class Pipeline:
    """Two runs with changes in between."""

    destination: Destination
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
    destination = DESTINATIONS[request.param](postgres, folder)
    with Sandbox(calls=60, days=20, page_size=50, zendesk_requests_per_minute=None) as sandbox:
        put_awkward_calls(sandbox)
        config = recent_config(sandbox) | {"emit_activate_version_messages": True}
        lockstep = interleave(sandbox, ROUNDS, timeout=60)

        def run(state: Mapping[str, Any]) -> Run:
            sandbox.forget_requests()
            result = load(
                request.param,
                folder,
                tap=config,
                target=destination.config,
                state=state,
                catalog=CATALOG,
            )
            assert result.exit_codes == (0, 0), result.logs
            return Run(
                result,
                requested_start(sandbox),
                {
                    stream: expected_records(sandbox, stream, config["start_date"])
                    for stream in KEYS
                },
                {stream: destination.rows(stream) for stream in KEYS},
            )

        first = run({})
        assert lockstep.rounds == ROUNDS
        sandbox.change_calls(10)
        return Pipeline(destination, (first, run(first.load.states[-1])))


def recent_config(sandbox: Sandbox) -> dict[str, Any]:
    """Return a config that skips the documented examples and the years after them."""
    start = timestamp(datetime.now(timezone.utc) - timedelta(days=25))
    return sandbox.config | {
        "start_date": start,
        "zendesk_requests_per_minute": 1000,
        "talkdesk_window_days": 4,
    }


def requested_start(sandbox: Sandbox) -> dict[str, datetime]:
    """Return the earliest time in the requests to the vendors, by stream."""
    starts: dict[str, list[datetime]] = {stream: [] for stream in REPLICATION_KEYS}
    for request in sandbox.requests:
        if request.path.startswith(PATH):
            start = datetime.fromtimestamp(int(request.query["start_time"]), timezone.utc)
            starts[f"zendesk_{request.path.rpartition('/')[2]}"].append(start.replace(tzinfo=None))
        elif request.method == "POST" and (report := re.match(jobs_path("(.+)"), request.path)):
            starts[f"talkdesk_{report[1]}"].append(naive_utc(request.body["timespan"]["from"]))
    return {stream: min(times) for stream, times in starts.items()}


def put_awkward_calls(sandbox: Sandbox) -> None:
    """Add calls and legs with values that targets easily corrupt."""
    at = timestamp(datetime.now(timezone.utc) - timedelta(days=3))
    ((talkdesk_call,), (zendesk_call,), (leg, *_)) = map(example, DEFAULT_STREAMS)
    for number, awkward in enumerate(AWKWARD_STRINGS):
        sandbox.talkdesk.put_call(
            talkdesk_call
            | {"call_id": f"call {number}", "start_at": at, "end_at": at, "notes": awkward}
            | {
                "rating_reason": awkward,
                "ring_groups": awkward,
                "timestamp_custom_field_n1": at,
                "new_field": awkward,
            }
            | {"int_custom_field_n1": -number, "float_custom_field_n1": number / 7}
        )
        sandbox.zendesk.put_call(
            zendesk_call
            # Too large for a float to represent exactly.
            | {"id": 2**53 + number, "created_at": at, "updated_at": at, "call_charge": "0.10"}
            | {"quality_issues": [awkward, None, awkward] if number else []}
            | {"post_call_summary": awkward, "post_call_transcription": {"text": [awkward]}}
            | {"new_object": {"text": awkward, "list": [number, 0.5, True, None, {}]}}
        )
        sandbox.zendesk.put_leg(
            leg | {"id": 2**53 + number, "call_id": 2**53 + number, "updated_at": at}
        )
        for stream in KEYS.keys() - REPLICATION_KEYS:
            rows = sandbox.zendesk.lists[stream.removeprefix("zendesk_")]
            rows[2**53 + number] = example(stream)[0] | {"id": 2**53 + number, "name": awkward}


def expected_records(sandbox: Sandbox, stream: str, start: str) -> dict[Any, Row]:
    replication_key = REPLICATION_KEYS.get(stream)
    rows = [as_written(stream, row) for row in sandbox.rows[stream].values()]
    end = "9999"
    if stream in RECENT_ROWS_MISSING:
        end = timestamp(datetime.now(timezone.utc) - timedelta(hours=1))
    return {
        row_key(stream, row): expected_record(row, COLUMNS[stream])
        for row in rows
        if replication_key is None or start <= (row[replication_key] or "") < end
    }


def expected_record(row: Row, columns: Mapping[str, Column]) -> Row:
    """Return the record of a vendor's row, with all columns of its stream."""
    record: Row = dict.fromkeys(columns)
    for name, value in row.items():
        if name not in columns and name in NOT_TAKEN:
            continue
        if name not in columns:
            record[EXTRA_FIELDS] = (record[EXTRA_FIELDS] or {}) | {name: value}
        elif columns[name].get(ANY_JSON) and not isinstance(value, str | None):
            record[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif value != "" or ("string" in columns[name]["type"] and not is_timestamp(columns[name])):
            record[name] = value
    return record


both_runs = pytest.mark.parametrize("run", [0, 1], ids=["first run", "second run"])
every_stream = pytest.mark.parametrize("stream", KEYS)


@both_runs
@every_stream
def test_destination_matches_vendor_after_each_run(
    pipeline: Pipeline, stream: str, run: int
) -> None:
    def as_stored(name: str, value: Any) -> Any:
        if value is None:
            return None
        return pipeline.destination.as_stored(value, COLUMNS[stream][name])

    # If the target appends rows, this keeps the last version of each.
    actual = {row_key(stream, row): row for row in pipeline.runs[run].rows[stream]}
    expected = {
        row_key(stream, {name: as_stored(name, value) for name, value in record.items()}): record
        for record in pipeline.runs[run].expected[stream].values()
    }
    assert expected
    assert actual.keys() >= expected.keys()
    assert actual.keys() == expected.keys() or stream in RECENT_ROWS_MISSING
    for key, record in expected.items():
        assert {name: actual[key][name] for name in record} == {
            name: as_stored(name, value) for name, value in record.items()
        }


@every_stream
def test_second_run_upserts_or_appends(pipeline: Pipeline, stream: str) -> None:
    before, after = (run.rows[stream] for run in pipeline.runs)
    if pipeline.destination.upserts:
        assert len(after) == len({row_key(stream, row) for row in after})
    else:
        assert after[: len(before)] == before


@both_runs
def test_target_emits_complete_state(pipeline: Pipeline, run: int) -> None:
    state = pipeline.runs[run].load.states[-1]
    assert state.keys() == {"bookmarks"}
    assert {
        stream: (bookmark.keys(), bookmark.get("replication_key"))
        for stream, bookmark in state["bookmarks"].items()
    } == {
        **{stream: (set(), None) for stream in KEYS},
        **{
            stream: ({"replication_key", "replication_key_value"}, key)
            for stream, key in REPLICATION_KEYS.items()
        },
    }


@pytest.mark.parametrize("stream", REPLICATION_KEYS)
def test_second_run_starts_from_that_state(pipeline: Pipeline, stream: str) -> None:
    first, second = pipeline.runs
    bookmark = naive_utc(first.load.states[-1]["bookmarks"][stream]["replication_key_value"])
    if stream == "talkdesk_user_status":
        bookmark = bookmark.replace(hour=0, minute=0, second=0)
    assert first.start[stream] < second.start[stream] == bookmark


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [1, 3])
def test_state_of_a_killed_target_covers_only_what_it_has_stored(
    target: str, count: int, postgres: Database, tmp_path: Path
) -> None:
    """Both vendors' records alternate, and a batch of the target holds a part of each."""
    clock = FakeClock()
    start = timestamp(NOW - timedelta(days=25))
    with Sandbox(calls=60, days=20, page_size=20, clock=clock.time) as sandbox:
        interleave(sandbox, ROUNDS)
        messages = sync(sandbox.config | SMALL_SLICES | {"start_date": start}, clock=clock).messages
    assert alternations(messages) >= ROUNDS // 2
    destination = DESTINATIONS[target](postgres, tmp_path)
    config = {**destination.config, "batch_size_rows": 25}
    states = kill_after_states(target, tmp_path, messages=messages, target=config, count=count)
    for stream, bookmark in states[-1]["bookmarks"].items():
        if value := bookmark.get("replication_key_value"):
            stored = {str(row[KEYS[stream]]) for row in destination.rows(stream)}
            assert stored >= {
                str(key)
                for key, row in sandbox.rows[stream].items()
                if start <= row[REPLICATION_KEYS[stream]] < value
            }


@pytest.mark.parametrize("options", [{}, {"hard_delete": True}], ids=["mark", "delete"])
def test_only_a_complete_read_removes_vanished_rows_from_postgresql(
    postgres: Database, tmp_path: Path, options: dict[str, Any]
) -> None:
    schema = f"vanished_{len(options)}"
    target = {"sqlalchemy_url": postgres.sqlalchemy_url, "default_target_schema": schema}
    query = sql.SQL("select id from {} where _sdc_deleted_at is null")
    streams = [stream for stream in KEYS if stream.startswith("zendesk")]
    tables = [stream for stream in streams if stream not in REPLICATION_KEYS]

    with Sandbox(calls=20, days=20, page_size=10) as sandbox:
        config = recent_config(sandbox) | {"emit_activate_version_messages": True}
        config = {name: value for name, value in config.items() if "talkdesk" not in name}

        def run() -> tuple[int, dict[str, set[int]]]:
            """Return the tap's exit code, and the rows that are not marked as deleted."""
            result = load(
                "meltanolabs-target-postgres",
                tmp_path,
                tap=config,
                target=target | options,
                state={},
                catalog=CATALOG,
            )
            with psycopg.connect(postgres.conninfo) as connection:
                found = {
                    stream: connection.execute(query.format(sql.Identifier(schema, stream)))
                    for stream in streams
                }
                return result.exit_codes[0], {
                    stream: {row_id for (row_id,) in rows} for stream, rows in found.items()
                }

        first = run()
        before = {stream: set(sandbox.rows[stream]) for stream in tables}
        sandbox.zendesk.reorganize()
        after = {stream: set(sandbox.rows[stream]) for stream in tables}
        for endpoint in LISTS.values():
            sandbox.faults.add(Fault.status(endpoint.path, 403, after=1, times=None))
        failed = run()
        sandbox.faults.clear()
        second = run()
    assert [exit_code for exit_code, _ in (first, failed, second)] == [0, 1, 0]
    assert {stream for stream in tables if before[stream] != after[stream]} == {
        "zendesk_agents",
        "zendesk_phone_numbers",
    }
    for stream in tables:
        assert first[1][stream] == failed[1][stream] == before[stream]
        assert second[1][stream] == after[stream]
    for stream in set(streams) - set(tables):
        assert first[1][stream] == second[1][stream] != set()


def test_tap_reports_pipe_closed_by_failing_target(tmp_path: Path) -> None:
    """The target rejects its config. There is more output than fits the pipe's buffer."""
    with Sandbox(calls=60, days=20, page_size=1000) as sandbox:
        result = load(
            "target-duckdb",
            tmp_path,
            tap=recent_config(sandbox),
            target={},
            state={},
            catalog=CATALOG,
        )
    tap_log, target_log = result.logs
    assert result.exit_codes == (1, 1)
    assert "Invalid configuration" in target_log
    assert "The target closed the pipe before everything was written" in tap_log.splitlines()[-1]
    assert "Traceback" not in tap_log

"""A real PostgreSQL that takes every record, with the column types of `target-postgres`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from tap_voicecalls.schemas import read_schema
from tests.harness import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from demo.database import Database
    from sandbox.history import Row

#: Records are loaded in batches of this size.
_BATCH = 500


class Warehouse:
    """Tables that hold the records of all examples, each record once."""

    def __init__(self, postgres: Database) -> None:
        """Create the tables."""
        self._connection = psycopg.connect(postgres.conninfo, autocommit=True)
        self._waiting: dict[str, list[str]] = {stream: [] for stream in KEYS}
        self._known: set[int] = set()
        self._columns = {
            stream: {
                name: _column_type(column)
                for name, column in read_schema(stream)["properties"].items()
            }
            for stream in KEYS
        }
        for stream, columns in self._columns.items():
            definition = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                for name, kind in columns.items()
            )
            self._connection.execute(
                sql.SQL("create temporary table {} ({})").format(sql.Identifier(stream), definition)
            )

    def add(self, stream: str, records: Iterable[Row]) -> None:
        """Load records, at the latest with the next `flush`."""
        for record in records:
            text = json.dumps(record)
            if hash(text) not in self._known:
                self._known.add(hash(text))
                self._waiting[stream].append(text)
        if len(self._waiting[stream]) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Load the records that wait.

        Raises:
            AssertionError: PostgreSQL does not take one of them.
        """
        for stream, texts in self._waiting.items():
            records, texts[:] = [json.loads(text) for text in texts], []
            try:
                self._insert(stream, records)
            except (psycopg.Error, UnicodeError):
                for record in records:
                    try:
                        self._insert(stream, [record])
                    except (psycopg.Error, UnicodeError) as error:
                        raise AssertionError(f"{stream}: {error}: {record}") from None

    def close(self) -> None:
        """Close the connection, which drops the tables."""
        self._connection.close()

    def _insert(self, stream: str, records: list[Row]) -> None:
        columns = self._columns[stream]
        statement = sql.SQL("insert into {} values ({})").format(
            sql.Identifier(stream),
            sql.SQL(", ").join(
                sql.SQL(f"%s::{kind}") if kind.endswith("[]") else sql.SQL(f"%s::text::{kind}")
                for kind in columns.values()
            ),
        )
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(
                statement,
                [
                    [_parameter(record.get(name), kind) for name, kind in columns.items()]
                    for record in records
                ],
            )


def _column_type(column: Mapping[str, Any]) -> str:
    if column.get("format") == "date-time":
        return "timestamp"
    (kind,) = (kind for kind in column["type"] if kind != "null")
    if kind == "array":
        return f"{_column_type(column['items'])}[]"
    return {
        "integer": "bigint",
        "number": "double precision",
        "boolean": "boolean",
        "string": "text",
        "object": "jsonb",
    }[kind]


def _parameter(value: Any, kind: str) -> Any:
    if value is None or kind.endswith("[]"):
        return value
    return json.dumps(value) if kind == "jsonb" else str(value)

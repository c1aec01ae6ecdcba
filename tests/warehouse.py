"""PostgreSQL and DuckDB, each with the target that loads into it and the dbt that builds in it."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import psycopg
from psycopg.rows import dict_row

from demo.database import database
from tests.dbt_commands import start_dbt
from tests.targets import TARGET_ENVIRONMENT, target_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sandbox.history import Row
    from tests.dbt_commands import Dbt


@dataclass(frozen=True)
class Warehouse:
    """A database, its target and its dbt.

    Attributes:
        name: The name of the database, which is the name of its dbt adapter.
        folder: A folder for files.
        target: The distribution name of the target.
        config: The config of the target.
        execute: Runs SQL in a new session and returns the rows, if any.
        dbt: dbt, connected to the database.
    """

    name: str
    folder: Path
    target: str
    config: dict[str, object]
    execute: Callable[[str], list[Row]]
    dbt: Dbt

    def load(self, messages: Iterable[Row], schema: str) -> None:
        """Load Singer messages with the target into a schema."""
        config = self.folder / "target.json"
        config.write_text(json.dumps(self.config | {"default_target_schema": schema}))
        run = subprocess.run(  # noqa: S603 - an installed target
            [target_command(self.target), "--config", config],
            env=os.environ | TARGET_ENVIRONMENT,
            input="".join(f"{json.dumps(message)}\n" for message in messages),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert run.returncode == 0, run.stderr

    def rows(self, model: str) -> list[Row]:
        """Return the rows of a model."""
        return self.execute(f"select * from voicecalls.{model}")  # noqa: S608


@contextmanager
def postgresql_warehouse(folder: Path) -> Iterator[Warehouse]:
    """Start a PostgreSQL whose time zone is not UTC."""
    with database(time_zone="Asia/Kolkata") as server:

        def execute(query: str) -> list[Row]:
            with psycopg.connect(server.conninfo, row_factory=dict_row) as connection:
                cursor = connection.execute(query.encode())
                return cursor.fetchall() if cursor.description else []

        config = {"sqlalchemy_url": server.sqlalchemy_url, "add_record_metadata": True}
        environment = {
            "DBT_TARGET": "postgres",
            "DBT_POSTGRES_HOST": server.socket_dir,
            "DBT_POSTGRES_USER": "postgres",
            "DBT_POSTGRES_DBNAME": "postgres",
        }
        with start_dbt(folder, environment) as dbt:
            target = "meltanolabs-target-postgres"
            yield Warehouse("postgres", folder, target, config, execute, dbt)


@contextmanager
def duckdb_warehouse(folder: Path) -> Iterator[Warehouse]:
    """Start a DuckDB in a file."""
    file = str(folder / "calls.duckdb")

    def execute(query: str) -> list[Row]:
        with duckdb.connect(file) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    environment = {"DBT_TARGET": "duckdb", "DBT_DUCKDB_PATH": file}
    with start_dbt(folder, environment) as dbt:
        yield Warehouse("duckdb", folder, "target-duckdb", {"path": file}, execute, dbt)

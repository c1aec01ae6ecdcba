"""Meltano loads into DuckDB and builds the dbt models there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from demo.database import Database
from demo.meltano import Meltano
from sandbox import Sandbox
from tests.dbt_commands import IS_SUPPORTED
from tests.pipeline import recent_start, run_successfully
from tests.targets import is_supported

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.meltano,
    pytest.mark.skipif(
        not (IS_SUPPORTED and is_supported("target-duckdb")),
        reason="dbt and target-duckdb do not support this Python",
    ),
]


def test_calls_are_loaded_and_modeled_in_duckdb(tmp_path: Path) -> None:
    file = str(tmp_path / "calls.duckdb")
    settings = recent_start() | {"TARGET_DUCKDB_PATH": file, "DBT_DUCKDB_PATH": file}
    with Sandbox(calls=20, days=10, page_size=1000) as sandbox:
        meltano = Meltano(sandbox, Database("unused"), tmp_path)
        run_successfully(meltano, "install", "target-duckdb", "dbt-duckdb")
        run_successfully(
            meltano, "run", "tap-voicecalls", "target-duckdb", "dbt-duckdb:build", **settings
        )
    with duckdb.connect(file) as connection:
        calls = connection.execute(
            "select vendor, count(*) from voicecalls.voicecalls__calls group by vendor"
        ).fetchall()
    assert dict(calls) == {"talkdesk": 20, "zendesk": 20}

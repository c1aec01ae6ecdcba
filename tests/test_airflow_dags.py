"""Airflow's DAGs, in Airflow's virtual environment, without a server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.airflow import COMMAND, free_port
from demo.database import database
from demo.forwarder import HOST, forward
from demo.meltano import PROJECT, Meltano
from sandbox import Sandbox

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(not COMMAND.exists(), reason="`make airflow` installs Apache Airflow"),
]

DAGS = """
import voicecalls_backfill, voicecalls_hourly
from airflow.sdk import DAG
dags = [value for module in (voicecalls_backfill, voicecalls_hourly)
        for value in vars(module).values() if isinstance(value, DAG)]
result = {}
for dag in dags:
    for task in dag.tasks:
        result[f"{dag.dag_id}.{task.task_id}"] = [task.pool, task.retries]
"""
SPLIT = """
from datetime import date
from voicecalls_accounts import split
result = [split(date(2026, 1, 1), date(2026, 1, end), 10) for end in (1, 2, 11, 12)]
"""
RUN = """
from voicecalls_tasks import MeltanoOperator
try:
    MeltanoOperator(task_id="run", arguments=["run"]).run_meltano(["run"], {})
except Exception as error:
    result = f"{type(error).__name__}: {error}"
"""


BUILD = """
from voicecalls_tasks import MeltanoOperator
MeltanoOperator(task_id="build", arguments=["invoke", "dbt-postgres:build"]).execute({})
result = None
"""


def run(script: str, folder: Path, **environment: str) -> Any:
    """Run a script with the DAGs' folder on its path, and return its `result`."""
    done = subprocess.run(  # noqa: S603 - Airflow's Python
        [COMMAND.with_name("python"), "-c", f"{script}\nimport json; print(json.dumps(result))"],
        env=os.environ
        | {"AIRFLOW_HOME": str(folder), "PYTHONPATH": str(PROJECT / "airflow/dags")}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_account_has_its_pool_and_retries(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yml"
    accounts.write_text(
        "- {name: emea, vendor: zendesk, schema: tap_voicecalls__emea, start_date: 2026-11-20}"
    )
    tasks = run(DAGS, tmp_path, VOICECALLS_ACCOUNTS=str(accounts))
    for dag in ("voicecalls_hourly", "voicecalls_backfill"):
        assert tasks[f"{dag}.load_emea"] == ["voicecalls_emea", 5]


def test_parts_cover_the_range_newest_first(tmp_path: Path) -> None:
    days = [
        [(part["start"][-2:], part["end"][-2:]) for part in parts] for parts in run(SPLIT, tmp_path)
    ]
    assert days == [
        [],
        [("01", "02")],
        [("01", "11")],
        [("11", "12"), ("01", "11")],
    ]


def test_host_without_project_folder_is_named(tmp_path: Path) -> None:
    message = run(RUN, tmp_path, VOICECALLS_PROJECT=str(tmp_path / "elsewhere"))
    assert f"has no {tmp_path}/elsewhere/.venv/bin/meltano. Clone the project there" in message
    assert message.startswith(f"AirflowException: The host {os.uname().nodename} ")


def test_output_that_is_not_json_is_no_error(tmp_path: Path) -> None:
    meltano = tmp_path / ".venv/bin/meltano"
    meltano.parent.mkdir(parents=True)
    meltano.write_text("#!/bin/sh\necho '[1]'; echo oops; exit 3\n")
    meltano.chmod(0o755)
    message = run(RUN, tmp_path, VOICECALLS_PROJECT=str(tmp_path))
    assert message == "AirflowException: meltano exited with 3: see its messages above."


@pytest.mark.dbt
def test_models_are_built_in_the_warehouse_of_the_connection(tmp_path: Path) -> None:
    """Also at another port than the default one."""
    port = free_port()
    url = f"postgres://postgres:secret@{HOST}:{port}/postgres"
    with Sandbox(calls=20) as sandbox, database() as postgres:
        loaded = Meltano(sandbox, postgres, tmp_path)("run", "tap-voicecalls", "target-postgres")
        assert loaded.returncode == 0, loaded.stderr
        socket_file = next(Path(postgres.socket_dir).glob(".s.PGSQL.*[0-9]"))
        with forward({port: socket_file}):
            names = ("STATE", "WAREHOUSE")
            run(BUILD, tmp_path, **{f"AIRFLOW_CONN_VOICECALLS_{name}": url for name in names})
        with psycopg.connect(postgres.conninfo) as connection:
            counted = connection.execute("select count(*) from voicecalls.voicecalls__calls")
            assert counted.fetchone() == (
                sandbox.truth["zendesk_calls"] + sandbox.truth["talkdesk_calls"],
            )

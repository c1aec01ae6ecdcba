"""The recipe "Load the newest calls first" in docs/operating.md, with other dates."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox import Fault, Sandbox
from tests.harness import DEFAULT_STREAMS, REPLICATION_KEYS, timestamp
from tests.pipeline import as_stored, column_types, read_table
from tests.vendors import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from sandbox.history import Row

    Tables = dict[str, dict[Any, Row]]

pytestmark = pytest.mark.meltano

TODAY = datetime.now(timezone.utc)
START, RECENT = (timestamp(TODAY - timedelta(days=days))[:10] for days in (365, 4))
#: The dates in the recipe, and those of the test.
DATES = {"2025-11-24": START, "2026-11-20": RECENT}
every_stream = pytest.mark.parametrize("stream", DEFAULT_STREAMS)


def read_recipe() -> list[tuple[list[str], dict[str, str]]]:
    """Return the commands of the recipe: Meltano's arguments, and environment variables."""
    text = (PROJECT / "docs/operating.md").read_text()
    section = text.partition("\n## Load the newest calls first\n")[2]
    (script, *_) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    for documented, date in DATES.items():
        assert documented in script
        script = script.replace(documented, date)
    commands = []
    for line in script.replace("\\\n", "").splitlines():
        if words := shlex.split(line, comments=True):
            at = words.index(".venv/bin/meltano")
            commands.append((words[at + 1 :], dict(word.split("=", 1) for word in words[:at])))
    return commands


@dataclass(frozen=True)
class Recipe:
    """The two commands of the recipe, run twice.

    Attributes:
        sandbox: The vendors, with the calls of a year.
        changed: The ID of a call that changed while the backfill was running.
        runs: What each run returned: hourly job, backfill, hourly job, backfill.
        tables: The tables after each run.
        types: The type of each column by table.
    """

    sandbox: Sandbox
    changed: int
    runs: list[CompletedProcess[str]]
    tables: list[Tables]
    types: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    hourly, backfill = read_recipe()
    with (
        Sandbox(calls=300, days=360, page_size=100, zendesk_requests_per_minute=None) as sandbox,
        database() as postgres,
    ):
        meltano = Meltano(sandbox, postgres, tmp_path_factory.mktemp("meltano"))
        sandbox.change_calls(
            10, at=datetime.now(timezone.utc) - timedelta(hours=1)
        )  # also new ones
        calls = sandbox.zendesk.calls
        changed = next(key for key, call in calls.items() if call["updated_at"] >= START)

        def change_call() -> None:
            change = {"updated_at": timestamp(datetime.now(timezone.utc)), "call_charge": "9.99"}
            sandbox.zendesk.put_call(calls[changed] | change)

        runs: list[CompletedProcess[str]] = []
        tables: list[Tables] = []
        for arguments, environment in (hourly, backfill, hourly, backfill):
            if len(runs) == 1:  # during the backfill, which has read the call by its second request
                sandbox.faults.add(Fault.late(CALLS, change_call, after=1))
            runs.append(
                meltano(
                    *arguments, **environment, TAP_VOICECALLS_ZENDESK_REQUESTS_PER_MINUTE="1000"
                )
            )
            tables.append(
                {each: read_table(postgres, "tap_voicecalls", each) for each in DEFAULT_STREAMS}
            )
        yield Recipe(sandbox, changed, runs, tables, column_types(postgres))


def rows_since(recipe: Recipe, stream: str, start: str) -> dict[Any, Row]:
    rows = recipe.sandbox.rows[stream].items()
    return {key: row for key, row in rows if row[REPLICATION_KEYS[stream]] >= start}


def test_every_command_succeeds(recipe: Recipe) -> None:
    assert [run.returncode for run in recipe.runs] == [0] * 4, recipe.runs[-1].stderr


@every_stream
def test_first_run_loads_exactly_the_newest_calls(recipe: Recipe, stream: str) -> None:
    loaded = recipe.tables[0][stream].keys()
    assert loaded
    assert loaded == rows_since(recipe, stream, RECENT).keys() - {recipe.changed}


@every_stream
def test_backfill_completes_the_history(recipe: Recipe, stream: str) -> None:
    assert len(recipe.tables[1][stream]) >= 300
    assert recipe.tables[1][stream].keys() == rows_since(recipe, stream, START).keys()


@every_stream
def test_tables_equal_the_source_after_the_next_hourly_run(recipe: Recipe, stream: str) -> None:
    """Also the call that changed after the backfill had read it."""
    assert recipe.tables[1]["zendesk_calls"][recipe.changed]["call_charge"] != "9.99"
    stored, source = recipe.tables[2][stream], rows_since(recipe, stream, START)
    assert stored.keys() == source.keys()
    for key, row in source.items():
        assert {name: stored[key][name] for name in row} == as_stored(row, recipe.types[stream])


def test_finished_backfill_loads_nothing(recipe: Recipe) -> None:
    for stream in DEFAULT_STREAMS:
        assert recipe.tables[3][stream] == recipe.tables[2][stream]
    assert f"nothing to read, because its bookmark {RECENT}T00:00:00Z" in recipe.runs[3].stderr

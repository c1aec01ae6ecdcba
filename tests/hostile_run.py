"""Runs of the tap against a hostile vendor: each is bounded, recorded and checked from outside.

`hostile_attacks.py` generates what the vendor does, and `hostile_oracle.py` says what must hold.
"""

from __future__ import annotations

import logging
import os
import signal
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

from hypothesis import HealthCheck, seed, settings

from demo.database import database
from sandbox import Fault, Sandbox
from sandbox.hostile import Attack, Journal, make_hostile
from tap_voicecalls.http import client
from tests.harness import KEYS, NOW, FakeClock, Output, sync, timestamp
from tests.hostile_attacks import describe
from tests.hostile_oracle import (
    Evidence,
    check_complete,
    check_schemas,
    check_secrets,
    check_succeeded,
    check_text,
    check_values,
    gather_evidence,
)
from tests.hostile_warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from threading import Event
    from types import FrameType

TestT = TypeVar("TestT", bound="Callable[..., None]")

#: The longest run in hours, by the fake clock.
MAX_HOURS = 12
#: The most requests of a run, and the most real seconds.
MAX_REQUESTS = 3000
MAX_SECONDS = 300
#: The most memory of a run, in MB, the sandbox's included.
MAX_MEMORY = 250
#: The longest message of a failure, in characters.
MAX_MESSAGE = 2000
LOOKBACKS = {"zendesk": timedelta(seconds=300), "talkdesk": timedelta(hours=48)}
START = NOW - timedelta(days=20)
#: What is newer may be too new to be in a report.
END = NOW - timedelta(minutes=15)

_PROCESS = Path("/proc/self")
_SEED = os.environ.get("HOSTILE_SEED")
hostile = settings(
    max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "200")),
    deadline=None,
    derandomize=_SEED is None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def with_seed(test: TestT) -> TestT:
    """Generate other examples for another HOSTILE_SEED."""
    seeded: TestT = seed(int(_SEED))(test) if _SEED else test
    return seeded


class Unbounded(BaseException):
    """A run that takes too long. The tap must not catch it as one of its own errors."""


class BoundedClock(FakeClock):
    """A clock that ends the run once it has waited too long or too often."""

    def sleep(self, seconds: float, interrupt: Event | None = None) -> None:
        super().sleep(seconds, interrupt)
        if self.now() - NOW > timedelta(hours=MAX_HOURS) or len(self.sleeps) > MAX_REQUESTS:
            raise Unbounded(f"{self.now() - NOW} and {len(self.sleeps)} waits")


@contextmanager
def real_time_limit(seconds: float) -> Iterator[None]:
    """Raise `Unbounded` in this thread after some real seconds, and again every few seconds."""

    def interrupt(_: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"
        raise Unbounded(f"still running after {seconds} s, in {where}")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def memory_limit(megabytes: int) -> Iterator[None]:
    """Assert that this process never takes more memory than this beyond what it has now."""
    if not _PROCESS.exists():  # only Linux knows the peak
        yield
        return
    before = _memory("VmRSS")
    (_PROCESS / "clear_refs").write_text("5")  # resets the peak
    yield
    peak = _memory("VmHWM") - before
    assert peak <= megabytes, f"{peak} MB of memory"


def _memory(field: str) -> int:
    lines = (_PROCESS / "status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(field))
    return int(kilobytes) // 1024


class _Log(logging.Handler):
    """The tap's log at the most verbose configuration, without the sandbox's own lines."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.tracebacks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("aiohttp", "asyncio")):
            self.lines.append(record.getMessage())
            if record.exc_info:
                self.tracebacks.append(logging.Formatter().formatException(record.exc_info))


@contextmanager
def verbose_log() -> Iterator[_Log]:
    """Collect the log of everything at DEBUG."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("", "urllib3", "urllib3.connectionpool")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(log)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        loggers[0].removeHandler(log)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@dataclass
class World:
    """What outlives an example.

    Attributes:
        foreign: A sandbox that stands for a server of someone else.
        warehouse: A PostgreSQL with a table per stream.
    """

    foreign: Sandbox
    warehouse: Warehouse


@contextmanager
def open_world() -> Iterator[World]:
    """Start a foreign server, and a PostgreSQL that has loaded all records in the end."""
    with (
        Sandbox(calls=0) as foreign,
        database() as postgres,
        mock.patch.object(client, "TIMEOUT", (1.0, 0.2)),
    ):
        warehouse = Warehouse(postgres)
        yield World(foreign, warehouse)
        warehouse.flush()
        warehouse.close()


@dataclass
class HostileRun:
    """One run of the tap against a hostile vendor, and another one once the vendor is well again.

    Attributes:
        world: What outlives this example.
        vendor: `zendesk` or `talkdesk`.
        stream: The one stream to select; by default all of the vendor's.
        attacks: What the vendor does.
        faults: What else it does: report jobs that fail.
        options: Options of the sandbox.
        config: Settings of the tap.
        kill: At which STATE message the run was killed, as a target sees it, counted from the end.
    """

    world: World
    vendor: str
    attacks: Sequence[Attack]
    stream: str | None = None
    faults: Sequence[Fault] = ()
    options: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    kill: int = 0

    def check(self) -> None:
        """Run the tap twice and check everything."""
        try:
            self._check()
        except Unbounded as error:
            attacks = "\n".join(map(describe, self.attacks))
            raise Unbounded(f"{error}\n{attacks}\n{self.faults}") from None

    def _check(self) -> None:
        clock = BoundedClock()
        self.world.foreign.forget_requests()
        options: dict[str, Any] = {"calls": 30, "days": 18, "page_size": 12, "now": NOW}
        with (
            verbose_log() as log,
            real_time_limit(MAX_SECONDS),
            Sandbox(
                clock=clock.time, zendesk_requests_per_minute=None, **options | self.options
            ) as sandbox,
        ):
            config = {
                name: value
                for name, value in sandbox.config.items()
                if name.startswith(self.vendor)
                and not (self.config and name.startswith("zendesk_client"))
            }
            config |= {"start_date": timestamp(START)} | self.config
            foreign = self.world.foreign.zendesk.url.removeprefix("http://")
            journal = Journal(foreign, lambda seconds: clock.advance(seconds=seconds))
            sandbox.faults.add(*self.faults)
            make_hostile(sandbox.faults, self.attacks, journal)
            with memory_limit(MAX_MEMORY):
                output = self._sync(config, clock)
            self._check_output(output, sandbox, journal)
            self._check_secrecy(output, sandbox, log)
            assert len(sandbox.requests) < MAX_REQUESTS
            newest = timestamp(clock.now() - LOOKBACKS[self.vendor])
            assert all((output.bookmark(stream) or "") <= newest for stream in self._streams())

            sandbox.faults.clear()
            sandbox.talkdesk.jobs.clear()
            clock.advance(hours=1)
            loaded = _until_state(output, self.kill)
            after = self._sync(config, clock, loaded.state)
            self._check_recovery(loaded, after, sandbox, journal)

    def _streams(self) -> list[str]:
        own = [stream for stream in KEYS if stream.startswith(self.vendor)]
        return [self.stream] if self.stream else own

    def _sync(
        self, config: Mapping[str, Any], clock: FakeClock, state: Mapping[str, Any] | None = None
    ) -> Output:
        is_whole = self.stream is None
        return sync(config, clock=clock, state=state, only=self.stream, all_streams=is_whole)

    def _check_output(self, output: Output, sandbox: Sandbox, journal: Journal) -> None:
        check_schemas(output)
        for stream, failure in output.failures.items():
            assert "internal error" not in failure, f"{stream}: {failure}"
        for stream in self._streams():
            evidence = _evidence(sandbox, stream, journal)
            records = output.records(stream)
            check_values(records, stream, evidence)
            if not self.faults:
                check_succeeded(output, stream, evidence)
            if stream not in output.failures:
                check_complete(records, stream, evidence)
            self.world.warehouse.add(stream, records)

    def _check_secrecy(self, output: Output, sandbox: Sandbox, log: _Log) -> None:
        secrets = _secrets(sandbox)
        for text in (*log.lines, *output.failures.values()):
            check_text(text, secrets)
        for text in log.tracebacks:
            check_secrets(text, secrets)
        for text in output.failures.values():
            assert len(text) < MAX_MESSAGE, f"a message of {len(text)} characters: {text[:500]}"
        strangers = [request for request in sandbox.requests if request.vendor == "files"]
        for request in (*strangers, *self.world.foreign.requests):
            assert self.vendor == "talkdesk", f"Zendesk's client went to {request.path}"
            assert request.method == "GET"
            assert "Authorization" not in request.headers
            check_secrets(f"{request.headers} {request.body}", secrets)

    def _check_recovery(
        self, loaded: Output, after: Output, sandbox: Sandbox, journal: Journal
    ) -> None:
        assert after.failures == {}, f"the next run fails too: {after.failures}"
        for stream in self._streams():
            records = [*loaded.records(stream), *after.records(stream)]
            check_complete(records, stream, _evidence(sandbox, stream, journal))


def _until_state(output: Output, kill: int) -> Output:
    """Return what a target has got up to a STATE message, counted from the end."""
    ends = [0] + [
        index for index, message in enumerate(output.messages, 1) if message["type"] == "STATE"
    ]
    return Output(output.messages[: ends[max(0, len(ends) - 1 - kill)]])


def _secrets(sandbox: Sandbox) -> tuple[str, ...]:
    zendesk, talkdesk = sandbox.zendesk, sandbox.talkdesk
    plain = (
        *(zendesk.client_secret, zendesk.access_token, zendesk.api_token),
        *(talkdesk.client_secret, talkdesk.private_key),
        *(f"{zendesk.email}/token:{zendesk.api_token}",),
        *(f"{talkdesk.client_id}:{talkdesk.client_secret}",),
    )
    encoded = [b64encode(secret.encode()).decode() for secret in plain]
    numbers = [row["token"] for row in zendesk.lists["phone_numbers"].values()]
    return (*plain, *encoded, *numbers, *zendesk.tokens.issued, *talkdesk.tokens.issued)


def _evidence(sandbox: Sandbox, stream: str, journal: Journal) -> Evidence:
    rows = sandbox.rows[stream].values()
    return gather_evidence(journal, stream, rows, timestamp(START), timestamp(END))

"""A vendor that is stuck does not hold up the other, whose rows and STATE are out meanwhile.

The tap runs as a program. The other vendor responds only once the first one is stuck, and that one
is released only once the last STATE of the other has been read.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tests.command_line import settings, started, write
from tests.harness import DEFAULT_STREAMS, KEYS
from tests.vendors import CALLS, FILE, JOB_STATUS, PRESIGNED, TalkdeskAccount, ZendeskAccount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sandbox.history import Row

    Messages = Sequence[dict[str, Any]]

ZENDESK = tuple(stream for stream in DEFAULT_STREAMS if stream in ZendeskAccount.streams)
TALKDESK = tuple(stream for stream in DEFAULT_STREAMS if stream in TalkdeskAccount.streams)
#: After so many (real) seconds, a tap in which one vendor holds up the other is killed.
KILL_AFTER = 60


class Stuck:
    """Keeps a vendor stuck at a path, and the other one from responding before that."""

    def __init__(self, sandbox: Sandbox, kind: str, path: str, other: str) -> None:
        self._sandbox = sandbox
        self._path = path
        self._arrived, self._released = threading.Event(), threading.Event()
        fault = {
            "silent": Fault.hang(
                path, until=self._released.is_set, meanwhile=self._arrived.set, times=None
            ),
            "429": Fault.status(path, 429, headers={"Retry-After": "1"}, times=None),
            "endless": Fault.job(path, status="stuck", times=None),
        }[kind]
        sandbox.faults.add(fault, Fault.hang(other, until=self._is_stuck, times=None))

    def _is_stuck(self) -> bool:
        return self._arrived.is_set() or any(
            fnmatchcase(request.path, self._path) for request in self._sandbox.requests
        )

    def release(self) -> None:
        self._sandbox.faults.clear()
        self._released.set()
        for job in self._sandbox.talkdesk.jobs.values():
            job.end("done", job.created_at)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Both vendors, with rows that are older than any lookback in the settings."""
    now = datetime.now(timezone.utc) - timedelta(hours=1)
    with Sandbox(
        calls=60, days=20, page_size=20, now=now, zendesk_requests_per_minute=None
    ) as started:
        yield started


def rows(sandbox: Sandbox, stream: str, start: str) -> dict[Any, str]:
    """Return the replication key of each row from a start date on, by primary key."""
    found: Mapping[Any, Row] = sandbox.talkdesk.calls
    replication_key = "end_at"
    if stream in ZENDESK:
        found, replication_key = sandbox.zendesk.rows[stream.removeprefix("zendesk_")], "updated_at"
    changed = {key: row[replication_key] for key, row in found.items()}
    return {key: changed_at for key, changed_at in changed.items() if changed_at >= start}


def written(messages: Messages, streams: Iterable[str]) -> dict[str, set[Any]]:
    """Return the keys of the records of each stream."""
    return {
        stream: {
            message["record"][KEYS[stream]]
            for message in messages
            if message["type"] == "RECORD" and message["stream"] == stream
        }
        for stream in streams
    }


def bookmarks(messages: Messages, streams: Iterable[str]) -> dict[str, str]:
    """Return the bookmark of each stream in the last STATE."""
    (*_, state) = (message["value"] for message in messages if message["type"] == "STATE")
    return {stream: state["bookmarks"][stream]["replication_key_value"] for stream in streams}


def read_until_state(output: Iterable[str], expected: Mapping[str, set[Any]]) -> Messages:
    """Read to the first STATE after all of the expected records."""
    messages: list[dict[str, Any]] = []
    for line in output:
        messages.append(json.loads(line))
        if messages[-1]["type"] == "STATE" and written(messages, expected) == expected:
            break
    return messages


@pytest.mark.parametrize(
    ("kind", "path", "streams"),
    [
        ("endless", JOBS, TALKDESK),
        ("429", JOBS, TALKDESK),
        ("silent", "/oauth/token", TALKDESK),
        ("silent", JOBS, TALKDESK),
        ("silent", JOB_STATUS, TALKDESK),
        ("silent", FILE, TALKDESK),
        ("silent", PRESIGNED, TALKDESK),
        ("429", CALLS, ZENDESK),
        ("silent", "/oauth/tokens", ZENDESK),
        ("silent", CALLS, ZENDESK),
    ],
)
def test_stuck_vendor_does_not_hold_up_the_other(
    sandbox: Sandbox, tmp_path: Path, kind: str, path: str, streams: tuple[str, ...]
) -> None:
    config = settings(sandbox, talkdesk_lookback_hours=0)
    truth = {stream: rows(sandbox, stream, config["start_date"]) for stream in DEFAULT_STREAMS}
    expected = {stream: set(found) for stream, found in truth.items()}
    others = [stream for stream in DEFAULT_STREAMS if stream not in streams]
    stuck = Stuck(sandbox, kind, path, "/oauth/token" if streams is ZENDESK else "/oauth/tokens")
    with started("--config", write(tmp_path, "config.json", config)) as tap:
        watchdog = threading.Timer(KILL_AFTER, tap.kill)
        watchdog.start()
        early = read_until_state(tap.stdout, {stream: expected[stream] for stream in others})
        stuck.release()
        output = [*early, *map(json.loads, tap.stdout)]
        log = tap.stderr.read()
        watchdog.cancel()
    assert tap.returncode == 0, log
    assert written(early, DEFAULT_STREAMS) == expected | {stream: set() for stream in streams}
    assert bookmarks(early, others) == bookmarks(output, others)
    assert written(output, DEFAULT_STREAMS) == expected
    for stream, bookmark in bookmarks(output, DEFAULT_STREAMS).items():
        assert bookmark >= max(truth[stream].values())

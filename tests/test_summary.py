"""The summary at the end of a run: its numbers are the sandbox's, however the run ends."""

from __future__ import annotations

import logging
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.metrics import Point

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tap_voicecalls.http.usage import ApiUsage
from tests.command_line import end, run, settings, started, write
from tests.harness import NOW, bookmarks, make_tap
from tests.vendors import CALLS, JOB_STATUS, LEGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness import FakeClock
    from tests.vendors import TalkdeskAccount, VendorAccount, ZendeskAccount

#: A line of the summary in the log of the program.
IN_LOG = re.compile(
    r"\| tap-voicecalls +\| (\w+): (.*): (complete|failed|interrupted)$", re.MULTILINE
)
Summary = dict[str, Any]


@pytest.fixture(params=["zendesk", "talkdesk"])
def account(request: pytest.FixtureRequest) -> VendorAccount:
    """An account at each vendor in turn."""
    account: VendorAccount = request.getfixturevalue(request.param)
    return account


@pytest.fixture
def summary(caplog: pytest.LogCaptureFixture) -> Callable[[], Summary]:
    """Return the log record of each stream's line, of which there is one."""
    caplog.set_level(logging.INFO)

    def collect() -> Summary:
        records: list[Any] = [it for it in caplog.records if hasattr(it, "outcome")]
        lines = {record.stream_name: record for record in records}
        assert len(lines) == len(records)
        return lines

    return collect


def sdk_statuses(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Return the status of each stream in the SDK's metric `sync_duration`."""
    points = [it.args[0] for it in caplog.records if isinstance(it.args, tuple) and it.args]
    return {
        point.tags["stream"]: point.tags["status"]
        for point in points
        if isinstance(point, Point) and point.metric == "sync_duration"
    }


# The numbers


def test_zendesk_numbers_are_the_sandboxs(
    zendesk: ZendeskAccount, clock: FakeClock, summary: Callable[[], Summary]
) -> None:
    """Each stream has the waits of its own requests, though both share the request budget."""
    zendesk.add_calls(hours_ago=range(230, 0, -1))
    zendesk.add_legs(hours_ago=range(35, 0, -1))
    output = zendesk.sync(all_streams=True).run
    lines = summary()
    for stream, path in (("zendesk_calls", CALLS), ("zendesk_legs", LEGS)):
        assert lines[stream].records == len(output.records(stream)) > 0
        assert lines[stream].requests == len(zendesk.export_requests(path))
    calls, legs = lines["zendesk_calls"], lines["zendesk_legs"]
    first, second, third = clock.sleeps  # the last one is the legs'
    assert calls.rate_limit_wait_seconds == calls.duration_seconds == round(first + second, 3)
    assert legs.rate_limit_wait_seconds == legs.duration_seconds == round(third, 3)
    assert calls.read_up_to == "2026-11-20T12:00:00Z"
    assert legs.read_up_to == "2026-11-20T12:02:00Z"


@pytest.mark.parametrize("jobs", [1, 4])
def test_talkdesk_numbers_are_the_sandboxs(
    talkdesk: TalkdeskAccount, clock: FakeClock, summary: Callable[[], Summary], jobs: int
) -> None:
    talkdesk.add_calls(days_ago=range(1, 40))
    output = talkdesk.sync(days=45, talkdesk_window_days=5, talkdesk_concurrent_jobs=jobs)
    line = summary()["talkdesk_calls"]
    assert line.records == len(output.records) == 39
    assert line.report_jobs == len(talkdesk.server.jobs) == 9
    assert line.requests == len(talkdesk.requests) - len(talkdesk.token_requests())
    assert line.rate_limit_wait_seconds == 0
    assert line.duration_seconds == round((clock.now() - NOW).total_seconds(), 3) > 0
    assert line.read_up_to == "2026-11-20T11:58:00Z"


def test_wait_after_a_429_is_counted(
    account: VendorAccount, clock: FakeClock, summary: Callable[[], Summary]
) -> None:
    headers = {"Retry-After": "7"}
    account.add_faults(
        Fault.status(account.path, 503, headers=headers),
        Fault.status(account.path, 429, headers=headers, times=2),
    )
    account.sync()
    assert clock.sleeps[:3] == [7, 7, 7]
    assert summary()[account.streams[0]].rate_limit_wait_seconds == 14


def test_waits_at_the_same_time_count_once(clock: FakeClock) -> None:
    usage = ApiUsage(clock)
    with usage.waiting():
        clock.advance(seconds=2)
        with usage.waiting():
            clock.advance(seconds=3)
            assert usage.seconds_waited == 5
        clock.advance(seconds=4)
    clock.advance(seconds=10)
    assert usage.seconds_waited == 9


@pytest.mark.parametrize(
    ("options", "records"),
    [
        ({}, 4),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, 4),
        ({"stream_maps": {"zendesk_calls": {"__filter__": "id > 3"}}}, 2),
        ({"stream_maps": {"zendesk_calls": {}, "copy": {"__source__": "zendesk_calls"}}}, 8),
        ({"batch_config": {}}, 4),
    ],
    ids=["plain", "flattened", "filtered", "copied", "batches"],
)
def test_records_are_those_that_were_written(
    zendesk: ZendeskAccount,
    summary: Callable[[], Summary],
    tmp_path: Path,
    options: dict[str, Any],
    records: int,
) -> None:
    zendesk.add_calls(hours_ago=[4, 3, 2, 1])
    if "batch_config" in options:
        storage = {"root": tmp_path.as_uri()}
        options = {"batch_config": {"encoding": {"format": "jsonl"}, "storage": storage}}
    zendesk.sync(**options)
    assert summary()["zendesk_calls"].records == records


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 records, read up to 2026-11-20T12:00:00Z, 1 request, 0 s in all"),
        (1, "1 record, read up to 2026-11-20T12:00:00Z, 1 request, 0 s in all"),
        (11, "11 records, read up to 2026-11-20T12:00:00Z, 2 requests, 0 s in all"),
    ],
)
def test_line_agrees_in_number(
    zendesk: ZendeskAccount, summary: Callable[[], Summary], count: int, expected: str
) -> None:
    zendesk.add_calls(hours_ago=range(count))
    zendesk.sync()
    assert summary()["zendesk_calls"].getMessage() == f"zendesk_calls: {expected}: complete"


# The outcome


def test_failed_stream_is_failed(
    zendesk: ZendeskAccount, summary: Callable[[], Summary], caplog: pytest.LogCaptureFixture
) -> None:
    """In the summary and in the SDK's metric; a stream that can't be read from the start too."""
    zendesk.add_calls(hours_ago=range(25, 0, -1))
    zendesk.add_faults(Fault.status(CALLS, 403, after=2))
    output = zendesk.sync(default_streams=True)
    calls, legs = summary()["zendesk_calls"], summary()["zendesk_legs"]
    assert (calls.outcome, legs.outcome) == ("failed", "complete")
    assert calls.records == len(output.records) > 0
    assert calls.read_up_to == output.bookmark
    assert calls.getMessage().endswith(" in all: failed")
    assert sdk_statuses(caplog) == {"zendesk_calls": "failed", "zendesk_legs": "succeeded"}


def test_stream_that_failed_at_once_has_read_nothing(
    account: VendorAccount, summary: Callable[[], Summary]
) -> None:
    account.add_faults(Fault.status(account.path, 403, times=None))
    account.sync()
    line = summary()[account.streams[0]]
    assert (line.records, line.read_up_to, line.outcome) == (0, None, "failed")
    assert "0 records, nothing read, " in line.getMessage()


def test_stream_with_an_invalid_bookmark_is_not_started(
    zendesk: ZendeskAccount, summary: Callable[[], Summary]
) -> None:
    zendesk.sync(all_streams=True, state=bookmarks(zendesk_legs="last week"))
    assert summary()["zendesk_legs"].getMessage() == "zendesk_legs: not started: failed"
    assert summary()["zendesk_calls"].outcome == "complete"


def test_deselected_stream_has_no_line(
    zendesk: ZendeskAccount, summary: Callable[[], Summary]
) -> None:
    zendesk.sync("zendesk_legs")
    assert set(summary()) == {"zendesk_legs"}


def test_dry_run_has_no_summary(
    zendesk: ZendeskAccount, clock: FakeClock, summary: Callable[[], Summary]
) -> None:
    zendesk.add_calls(hours_ago=[2, 1])
    make_tap(clock, zendesk.config()).run_sync_dry_run()
    assert zendesk.export_requests()
    assert summary() == {}


# The program


def summary_in(log: str) -> dict[str, tuple[str, str]]:
    """Return the text and the outcome of each stream's line, of which there is one."""
    found = IN_LOG.findall(log)
    lines = {stream: (text, outcome) for stream, text, outcome in found}
    assert len(lines) == len(found)
    return lines


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_has_a_summary(tmp_path: Path, signum: signal.Signals) -> None:
    """The last lines are still the reasons why the run ended."""
    arrived = threading.Event()
    with Sandbox(calls=60, days=20, page_size=20, zendesk_requests_per_minute=None) as sandbox:
        sandbox.faults.add(
            Fault.hang(CALLS, after=1, meanwhile=arrived.set, times=None),
            Fault.status(JOBS, 403, times=None),
        )
        with started("--config", write(tmp_path, "config.json", settings(sandbox))) as tap:
            assert any("talkdesk_calls failed" in line for line in tap.stderr)
            assert any("record_count" in line for line in tap.stderr)
            assert arrived.wait(timeout=60)
            log = end(tap, signum).stderr
    lines = summary_in(log)
    assert lines["zendesk_calls"][0].startswith("20 records, read up to 20")
    assert ", 2 requests, " in lines["zendesk_calls"][0]
    assert lines["zendesk_calls"][1] == "interrupted"
    assert lines["zendesk_legs"] == ("not started", "interrupted")
    assert lines["talkdesk_calls"][1] == "failed"
    assert [line.split(" | ")[1].strip() for line in log.splitlines()[-2:]] == ["ERROR", "ERROR"]
    assert log.splitlines()[-1].endswith("the next run resumes from the last state.")


def test_closed_pipe_has_a_summary(tmp_path: Path) -> None:
    arrived, closed = threading.Event(), threading.Event()
    with Sandbox(calls=60, days=20, zendesk_requests_per_minute=None) as sandbox:
        sandbox.faults.add(
            Fault.hang(CALLS, until=closed.is_set),
            Fault.hang(JOB_STATUS, meanwhile=arrived.set, times=None),
        )
        with started("--config", write(tmp_path, "config.json", settings(sandbox))) as tap:
            tap.stdout.readline()
            assert arrived.wait(timeout=60)
            tap.stdout.close()
            closed.set()
            log = tap.stderr.read()
    lines = summary_in(log)
    assert {outcome for _, outcome in lines.values()} == {"interrupted"}
    assert lines["zendesk_legs"][0] == "not started"
    assert "0 records, nothing read, 1 report job, 2 requests, " in lines["talkdesk_calls"][0]
    assert "The target closed the pipe" in log.splitlines()[-1]


def test_connection_test_has_no_summary(tmp_path: Path) -> None:
    with Sandbox(calls=5) as sandbox:
        test = run("--config", write(tmp_path, "config.json", settings(sandbox)), "--test")
    assert test.returncode == 0
    assert summary_in(test.stderr) == {}

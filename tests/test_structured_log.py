"""The summary, also as structured data, is as `docs/operating.md` shows it."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.logging import StructuredFormatter

from demo.meltano import PROJECT
from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from tests.command_line import run, settings, write
from tests.harness import DEFAULT_STREAMS
from tests.pipeline import recent_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline import Pipeline
    from tests.vendors import TalkdeskAccount, ZendeskAccount

PAGE = (PROJECT / "docs" / "operating.md").read_text("utf-8")
#: The messages that the page shows.
LINES = re.findall(r"^(\w+: .* in all: .*)$", PAGE, re.MULTILINE)
#: The structured form of the first one.
SAMPLE: dict[str, Any] = json.loads(re.findall(r"```json\n(\{.*?\n\})\n```", PAGE, re.DOTALL)[0])
(LOG_CONFIG,) = re.findall(r"```yaml\n(version: 1\n.*?)```", PAGE, re.DOTALL)
#: The fields that the page explains, with their types.
FIELDS = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", PAGE, re.MULTILINE))
TYPES = {
    "string": (str,),
    "timestamp or null": (str, type(None)),
    "integer": (int,),
    "number": (int, float),
}
#: Fields that differ between runs, and the one that only Talkdesk's streams have.
OF_THE_RUN = {"pid": 0, "ts": 0.0}
TALKDESK_ONLY = {"report_jobs"}


def check_fields(stream: str, fields: dict[str, Any]) -> None:
    """Check that the fields of a summary are those of the page, with their types."""
    assert fields.keys() == FIELDS.keys() - (set() if stream == "talkdesk_calls" else TALKDESK_ONLY)
    for name, value in fields.items():
        assert isinstance(value, TYPES[FIELDS[name]]), name


@pytest.fixture
def summary(
    start_talkdesk: Callable[..., TalkdeskAccount],
    zendesk: ZendeskAccount,
    caplog: pytest.LogCaptureFixture,
) -> list[logging.LogRecord]:
    """Return the summaries of the runs that the page shows."""
    caplog.set_level(logging.INFO)
    zendesk.add_calls(hours_ago=range(130, 0, -1))
    zendesk.add_legs(hours_ago=range(35, 0, -1))
    zendesk.sync(default_streams=True)
    talkdesk = start_talkdesk(job_seconds=8)
    talkdesk.add_calls(days_ago=range(1, 41))
    talkdesk.add_faults(Fault.status(JOBS, 429))
    talkdesk.sync(days=45, talkdesk_concurrent_jobs=1)
    return [record for record in caplog.records if hasattr(record, "outcome")]


def test_documented_lines_are_logged(summary: list[logging.LogRecord]) -> None:
    assert len(LINES) == len(DEFAULT_STREAMS)
    assert [record.getMessage() for record in summary] == LINES


def test_documented_fields_are_logged(summary: list[logging.LogRecord]) -> None:
    del summary[0].message  # pytest's
    logged = json.loads(StructuredFormatter().format(summary[0]))
    assert logged | OF_THE_RUN == SAMPLE | OF_THE_RUN
    assert logged["message"] == LINES[0]


def test_documented_log_config_logs_the_fields(tmp_path: Path) -> None:
    with Sandbox(calls=20, days=10) as sandbox:
        config = write(tmp_path, "config.json", settings(sandbox))
        log_config = write(tmp_path, "logging.yaml", LOG_CONFIG)
        result = run("--config", config, SINGER_SDK_LOG_CONFIG=log_config)
    logged = [json.loads(line) for line in result.stderr.splitlines()]
    summary = [line for line in logged if "outcome" in line["extra"]]
    assert {line["stream_name"] for line in summary} == set(DEFAULT_STREAMS)
    for line in summary:
        assert line.keys() == SAMPLE.keys()
        check_fields(line["stream_name"], line["extra"] | {"stream_name": line["stream_name"]})


@pytest.mark.meltano
def test_meltano_logs_the_fields(pipeline: Pipeline, tmp_path: Path) -> None:
    result = pipeline.meltano(
        *("--log-format=json", "run", "tap-voicecalls", "target-jsonl"),
        **recent_start(),
        TARGET_JSONL_DESTINATION_PATH=str(tmp_path),
    )
    assert result.returncode == 0, result.stderr
    logged = [json.loads(line) for line in result.stderr.splitlines()]
    summary = {line["stream_name"]: line for line in logged if "outcome" in line}
    assert set(summary) == set(DEFAULT_STREAMS)
    for stream, line in summary.items():
        check_fields(stream, {name: value for name, value in line.items() if name in FIELDS})
        assert line["event"].startswith(f"{stream}: {line['records']} records, read up to ")
        assert line["level"] == "info"

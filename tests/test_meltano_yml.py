"""What `meltano.yml` sets for speed, and what makes it safe; see docs/performance.md."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from demo.meltano import PROJECT
from tests.harness import DEFAULT_STREAMS, KEYS, NOW, REPLICATION_KEYS, FakeClock, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from sandbox.history import Row

MELTANO_YML = yaml.safe_load((PROJECT / "meltano.yml").read_text())
PERFORMANCE = (PROJECT / "docs/performance.md").read_text()


@pytest.mark.parametrize(
    ("setting", "value"), [("validate_records", False), ("use_copy", True)], ids=str
)
def test_target_postgres_is_shipped_with_its_fast_settings(setting: str, value: object) -> None:
    """Without the two, the target takes more than three times the CPU time: docs/performance.md."""
    (loader,) = (
        each for each in MELTANO_YML["plugins"]["loaders"] if each["name"] == "target-postgres"
    )
    shipped = {each["name"]: each.get("value") for each in loader["settings"]}
    assert shipped[setting] is value
    assert f"`{setting}: {str(value).lower()}`" in PERFORMANCE


def test_meltano_does_not_wait_for_the_package_index() -> None:
    assert MELTANO_YML["cli"] == {"disable_version_check": True}


def test_no_record_needs_the_validation_that_the_target_skips(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock
) -> None:
    """Every record fits the SCHEMA message of its stream, though the vendors' rows do not."""
    sandbox = start_sandbox(calls=40, days=20, page_size=20)
    odd = ["text", 7, 2.5, 2**70, True, {"a": [1]}, ["x", 1], "2026-02-30T00:00:00Z", ""]

    def spoil(row: Row, stream: str, number: int) -> Row:
        fixed = {KEYS[stream], REPLICATION_KEYS[stream]}
        names = [name for name in row if name not in fixed]
        return row | {name: odd[(number + at) % len(odd)] for at, name in enumerate(names)}

    for number, call in enumerate(list(sandbox.zendesk.calls.values())):
        sandbox.zendesk.put_call(spoil(call, "zendesk_calls", number))
    for number, leg in enumerate(list(sandbox.zendesk.legs.values())):
        sandbox.zendesk.put_leg(spoil(leg, "zendesk_legs", number))
    for number, call in enumerate(list(sandbox.talkdesk.calls.values())):
        sandbox.talkdesk.put_call(spoil(call, "talkdesk_calls", number))
    config = sandbox.config | {"start_date": timestamp(NOW - timedelta(days=25))}
    output = sync(config, clock=clock)
    validators: dict[str, Any] = {
        message["stream"]: Draft202012Validator(
            message["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        for message in output.messages
        if message["type"] == "SCHEMA"
    }
    assert output.failures == {}
    for stream in DEFAULT_STREAMS:
        assert len(output.records(stream)) >= 40
        assert any(record["extra_fields"] for record in output.records(stream))
        for record in output.records(stream):
            validators[stream].validate(record)

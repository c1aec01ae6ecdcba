"""`--test` checks each configured vendor and reports the result in one line.

* A vendor whose streams can be read is "ready"; one without settings is skipped.
* Whatever error one vendor meets, the other is checked.
* Any other vendor is "not ready", with the setting, permission or scope to fix.
* The check costs one short report job and one page per stream.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.talkdesk import JOBS
from sandbox.zendesk import PATH
from sandbox.zendesk_lists import LISTS
from tap_voicecalls.errors import SyncFailedError
from tap_voicecalls.talkdesk.account import TalkdeskAccount
from tap_voicecalls.zendesk.account import ZendeskAccount
from tests.harness import KEYS, NOW, FakeClock, make_tap, select, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[..., tuple[list[str], dict[str, str]]]

ZENDESK_IS_READY = (
    "Zendesk is ready: the credentials have the permissions and scopes to read zendesk_calls and "
    "zendesk_legs."
)
TALKDESK_IS_READY = (
    "Talkdesk is ready: the credentials have the permissions and scopes to read talkdesk_calls."
)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(calls=60, days=20)


@pytest.fixture
def check(sandbox: Sandbox, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run the connection test; return the lines on stdout and the failures."""

    def run(**settings: Any) -> tuple[list[str], dict[str, str]]:
        start_date = {"start_date": timestamp(NOW - timedelta(days=3000))}
        failures = {}
        try:
            make_tap(clock, sandbox.config | start_date | settings).run_connection_test()
        except SyncFailedError as error:
            failures = dict(error.failures)
        return capsys.readouterr().out.splitlines(), failures

    return run


def test_readable_vendors_are_reported_ready(check: Check) -> None:
    assert check() == ([ZENDESK_IS_READY, TALKDESK_IS_READY], {})


def test_vendor_without_settings_is_skipped(sandbox: Sandbox, check: Check) -> None:
    without = {name: None for name in sandbox.config if name.startswith("talkdesk_")}
    assert check(**without) == ([ZENDESK_IS_READY], {})


def test_selected_streams_are_checked(
    sandbox: Sandbox, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {name: value for name, value in sandbox.config.items() if "talkdesk" not in name}
    catalog = select(make_tap(clock, config).catalog_dict)
    make_tap(clock, config, catalog=catalog).run_connection_test()
    names = (name for name in KEYS if name.startswith("zendesk"))
    *first, last = names
    assert f"to read {', '.join(first)} and {last}.\n" in capsys.readouterr().out
    assert {it.path for it in LISTS.values()} <= {request.path for request in sandbox.requests}


def test_check_costs_one_short_report_and_two_pages(sandbox: Sandbox, check: Check) -> None:
    check()
    sent = [(it.method, it.path) for it in sandbox.requests if it.vendor == "zendesk"]
    assert sent == [
        ("POST", "/oauth/tokens"),
        ("GET", f"{PATH}/calls"),
        ("GET", f"{PATH}/legs"),
    ]
    (job,) = sandbox.talkdesk.jobs.values()
    assert job.to - job.from_ < timedelta(hours=1)


@pytest.mark.parametrize(
    ("settings", "fault", "vendor", "hint"),
    [
        ({"zendesk_client_secret": "wrong"}, None, "Zendesk", "zendesk_client_secret"),
        ({}, Fault.status(f"{PATH}/*", 403, times=None), "Zendesk", "'Can manage channels'"),
        ({}, Fault.status(f"{PATH}/legs", 403, times=None), "Zendesk", "the scope `read`"),
        ({"talkdesk_client_secret": "wrong"}, None, "Talkdesk", "talkdesk_client_secret"),
        ({}, Fault.status(JOBS, 403, times=None), "Talkdesk", "data-reports:write"),
    ],
)
def test_unreadable_vendor_is_reported_with_a_hint(
    sandbox: Sandbox,
    check: Check,
    settings: dict[str, str],
    fault: Fault | None,
    vendor: str,
    hint: str,
) -> None:
    if fault is not None:
        sandbox.faults.add(fault)
    ready, failures = check(**settings)
    assert ready == [ZENDESK_IS_READY if vendor == "Talkdesk" else TALKDESK_IS_READY]
    assert list(failures) == [f"{vendor} is not ready"]
    assert hint in failures[f"{vendor} is not ready"]


@pytest.mark.parametrize("vendor", ["Zendesk", "Talkdesk"])
@pytest.mark.parametrize("error", [KeyError("s3cr3t"), PermissionError(13, "Permission denied")])
def test_any_error_of_one_vendor_leaves_the_other_checked(
    check: Check, monkeypatch: pytest.MonkeyPatch, vendor: str, error: Exception
) -> None:
    def fail(*_: object) -> Any:
        raise error

    account = ZendeskAccount if vendor == "Zendesk" else TalkdeskAccount
    monkeypatch.setattr(account, "__init__", fail)
    ready, failures = check()
    assert ready == [ZENDESK_IS_READY if vendor == "Talkdesk" else TALKDESK_IS_READY]
    assert list(failures) == [f"{vendor} is not ready"]
    (message,) = failures.values()
    assert "KeyError in test_connection.py" in message or "Permission denied" in message
    assert "s3cr3t" not in message


def test_missing_scope_is_named(sandbox: Sandbox, check: Check) -> None:
    sandbox.talkdesk.granted_scope = "data-reports:write"
    _, failures = check()
    assert "lacks the scope data-reports:read" in failures["Talkdesk is not ready"]

"""The Singer SDK's standard tap tests, run against the sandbox."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from sandbox import Sandbox
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import select

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK creates a tap when pytest collects the tests, before the sandbox is started: the fixture
# below replaces these settings.
CONFIG: dict[str, Any] = {
    "start_date": (datetime.now(timezone.utc) - timedelta(days=20)).isoformat(),
    "zendesk_subdomain": "sandbox",
    "zendesk_access_token": "replaced",
    "talkdesk_account": "sandbox",
    "talkdesk_client_id": "replaced",
    "talkdesk_client_secret": "replaced",
}

Suite = get_tap_test_class(
    TapVoiceCalls,
    config=CONFIG,
    catalog=select(TapVoiceCalls(config=CONFIG, parse_env_config=False).catalog_dict),
    parse_env_config=False,
    suite_config=SuiteConfig(max_records_limit=150),
)


class TestSdkSuite(Suite):  # type: ignore[misc, valid-type] # built at run time
    """The SDK's tests of the tap, of each stream and of each column."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _sandbox(cls) -> Iterator[None]:
        with Sandbox(calls=60, days=15) as sandbox:
            CONFIG.update(sandbox.config | {"start_date": CONFIG["start_date"]})
            yield

"""The progress lines of a stream."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.vendors import VendorAccount

UP_TO = {"zendesk": "2026-11-20T12:00:00Z", "talkdesk": "2026-11-20T11:58:00Z"}


@pytest.mark.parametrize(
    ("vendor", "rows", "expected"),
    [
        ("zendesk", 0, "0 rows, read up to {} (100 %), 1 request."),
        ("zendesk", 1, "1 row, read up to {} (100 %), 3 requests."),
        ("zendesk", 1200, "1,200 rows, read up to {} (100 %), 2 requests."),
        ("talkdesk", 1, "1 row, read up to {} (100 %), 1 of 1 window done, 0 running."),
        ("talkdesk", 2, "2 rows, read up to {} (100 %), 1 of 1 window done, 0 running."),
    ],
)
def test_line_names_its_stream_once_and_agrees_in_number(
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    vendor: str,
    rows: int,
    expected: str,
) -> None:
    account: VendorAccount = request.getfixturevalue(f"start_{vendor}")(
        **({"page_size": 2000} if vendor == "zendesk" else {})
    )
    account.add_calls(minutes_ago=range(5, 5 + rows))
    caplog.set_level(logging.INFO)
    account.sync()
    (line,) = (record for record in caplog.records if "(100 %)" in record.getMessage())
    assert line.getMessage() == f"{account.streams[0]}: {expected.format(UP_TO[vendor])}"
    assert line.name == "tap-voicecalls"  # which log formats show next to the message

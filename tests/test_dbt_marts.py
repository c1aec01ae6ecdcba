"""The dbt package has the right rows, in PostgreSQL and in DuckDB."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.dbt_builds import ACCOUNTS, MARTS, VENDORS, expected_marts, sort_rows
from tests.expected_calls import TALKDESK_TYPES, ZENDESK_OUTCOMES

if TYPE_CHECKING:
    from tests.dbt_builds import Builds

pytestmark = pytest.mark.dbt

every_mart = pytest.mark.parametrize("mart", MARTS)


@every_mart
@pytest.mark.parametrize("vendor", VENDORS)
def test_one_vendor_has_the_rows_computed_from_its_rows(
    builds: Builds, mart: str, vendor: str
) -> None:
    assert builds.marts[vendor][mart] == expected_marts(builds.streams[vendor], vendor)[mart]


@every_mart
def test_several_accounts_have_the_rows_computed_from_the_vendors_rows(
    builds: Builds, mart: str
) -> None:
    rows = [
        row
        for account in ACCOUNTS
        for row in expected_marts(builds.streams[account], account)[mart]
    ]
    assert builds.marts["all"][mart] == sort_rows(mart, rows)


@every_mart
def test_both_databases_have_equal_rows(
    postgres_builds: Builds, duckdb_builds: Builds, mart: str
) -> None:
    assert postgres_builds.marts["all"][mart] == duckdb_builds.marts["all"][mart]


def test_calls_cover_all_types_and_statuses(builds: Builds) -> None:
    types = {call["type"] for call in builds.streams["us"]["talkdesk_calls"]}
    statuses = {call["completion_status"] for call in builds.streams["us"]["zendesk_calls"]}
    assert types == {*TALKDESK_TYPES, "Internal", "OUTBOUND_MISSED", None}
    assert statuses == {*ZENDESK_OUTCOMES, "completed", "Rerouted", None}


@pytest.mark.parametrize("vendor", VENDORS)
def test_calls_cover_all_flags(builds: Builds, vendor: str) -> None:
    """Otherwise, a comparison with the expected rows could miss a wrong definition."""
    calls = builds.marts[vendor]["voicecalls__calls"]
    outcomes = Counter(row["outcome"] for row in calls if row["is_offered"])
    assert min(outcomes[it] for it in ("answered", "missed", "abandoned", "voicemail")) > 0
    for flag in (
        *("is_offered", "is_short_abandoned", "is_transferred", "is_callback"),
        *("is_in_business_hours", "is_within_service_level", "is_repeat"),
    ):
        assert {row[flag] for row in calls} >= {True, False}, flag


def test_unusual_values_are_reported_as_warnings(builds: Builds) -> None:
    warnings = {name.split(".")[2] for name in builds.last.failures}
    assert warnings == {
        "accepted_values_voicecalls__calls_direction__inbound__outbound",
        "accepted_values_voicecalls__calls_outcome__answered__missed__abandoned__voicemail__failed",
    }


def test_unit_tests_pass(builds: Builds) -> None:
    unit_tests = {
        name: node["status"]
        for name, node in builds.last.nodes.items()
        if name.startswith("unit_test.")
    }
    assert len(unit_tests) > 20
    assert {*unit_tests.values()} == {"pass"}

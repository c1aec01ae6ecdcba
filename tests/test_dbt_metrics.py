"""The queries of the pages in docs/metrics, and what they return."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.metric_pages import (
    METRICS,
    PAGES,
    create_sample_marts,
    format_rows,
    query,
    run_query,
    sample,
)

if TYPE_CHECKING:
    from sandbox.history import Row
    from tests.dbt_builds import Builds

pytestmark = pytest.mark.dbt


@pytest.fixture(scope="module")
def postgres_rows(postgres_builds: Builds) -> dict[str, list[Row]]:
    """The rows of each page's query in PostgreSQL."""
    create_sample_marts(postgres_builds.warehouse)
    return {page: run_query(postgres_builds.warehouse, page) for page in PAGES}


@pytest.fixture(scope="module")
def duckdb_rows(duckdb_builds: Builds) -> dict[str, list[Row]]:
    """The rows of each page's query in DuckDB."""
    create_sample_marts(duckdb_builds.warehouse)
    return {page: run_query(duckdb_builds.warehouse, page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_sample_is_what_the_query_returns(postgres_rows: dict[str, list[Row]], page: str) -> None:
    """If the sandbox's calls have changed, update it with `python -m tests.metric_pages`."""
    assert sample(page) == format_rows(postgres_rows[page])


@pytest.mark.parametrize("page", PAGES)
def test_query_returns_the_same_in_duckdb(
    postgres_rows: dict[str, list[Row]], duckdb_rows: dict[str, list[Row]], page: str
) -> None:
    assert format_rows(duckdb_rows[page]) == format_rows(postgres_rows[page])


@pytest.mark.parametrize("page", PAGES)
def test_page_names_only_columns_and_variables_that_exist(
    postgres_builds: Builds, page: str
) -> None:
    text = (METRICS / page).read_text()
    columns = {name for rows in postgres_builds.marts["all"].values() for name in rows[0]}
    assert {*re.findall(r"\b(?:sum|avg)\((\w+)\)", query(page))} <= columns
    project = (METRICS.parents[1] / "dbt" / "dbt_project.yml").read_text()
    named = {*re.findall(r"`(voicecalls_[a-z]\w+)`", text)}
    assert {name for name in named if f"  {name}:" not in project and "__" not in name} == set()


def test_index_links_every_page() -> None:
    index = (METRICS / "README.md").read_text()
    assert {*re.findall(r"\]\(([\w-]+\.md)\)", index)} == {*PAGES}

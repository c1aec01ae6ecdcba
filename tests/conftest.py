"""Fixtures that many tests share."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from demo.database import database
from demo.meltano import Meltano
from sandbox import Sandbox
from tests.dbt_builds import build
from tests.harness import FakeClock
from tests.pipeline import Pipeline, run_twice
from tests.vendors import TalkdeskAccount, ZendeskAccount
from tests.warehouse import duckdb_warehouse, postgresql_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dbt_builds import Builds
    from tests.pipeline import TwoRuns


# A busy machine is not a failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _log_of_all_threads() -> Iterator[None]:
    """Undo what a run does at its end: it drops what other threads log from then on."""
    yield
    for handler in logging.getLogger().handlers:
        handler.filters.clear()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when something sleeps."""
    return FakeClock()


@pytest.fixture
def start_sandbox(clock: FakeClock) -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes that use `clock`."""
    with ExitStack() as stack:

        def start(**options: Any) -> Sandbox:
            return stack.enter_context(Sandbox(clock=clock.time, **options))

        yield start


@pytest.fixture
def start_zendesk(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock
) -> Callable[..., ZendeskAccount]:
    """Start accounts at Zendesk that hold nothing but the documentation's examples."""

    def start(**options: Any) -> ZendeskAccount:
        return ZendeskAccount(start_sandbox(**{"calls": 0, "page_size": 10} | options), clock)

    return start


@pytest.fixture
def zendesk(start_zendesk: Callable[..., ZendeskAccount]) -> ZendeskAccount:
    """An account at Zendesk with pages of ten rows and ten requests per minute."""
    return start_zendesk()


@pytest.fixture
def start_talkdesk(
    start_sandbox: Callable[..., Sandbox], clock: FakeClock
) -> Callable[..., TalkdeskAccount]:
    """Start accounts at Talkdesk that hold nothing but the documentation's example."""

    def start(**options: Any) -> TalkdeskAccount:
        return TalkdeskAccount(start_sandbox(**{"calls": 0} | options), clock)

    return start


@pytest.fixture
def talkdesk(start_talkdesk: Callable[..., TalkdeskAccount]) -> TalkdeskAccount:
    """An account at Talkdesk whose report jobs are done at once."""
    return start_talkdesk()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The project's Meltano, both vendors and PostgreSQL, shared by the whole session."""
    folder = tmp_path_factory.mktemp("meltano")
    with (
        Sandbox(calls=60, days=20, page_size=1000, zendesk_requests_per_minute=None) as sandbox,
        database(time_zone="Asia/Kolkata") as postgres,
    ):
        yield Pipeline(sandbox, postgres, Meltano(sandbox, postgres, folder))


@pytest.fixture(scope="session")
def two_runs(pipeline: Pipeline) -> TwoRuns:
    """The first two runs of the pipeline."""
    return run_twice(pipeline)


@pytest.fixture(scope="session")
def postgres_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    """The dbt package in PostgreSQL, shared by the whole session."""
    with postgresql_warehouse(tmp_path_factory.mktemp("postgres")) as warehouse:
        yield build(warehouse)


@pytest.fixture(scope="session")
def duckdb_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    """The dbt package in DuckDB, shared by the whole session."""
    with duckdb_warehouse(tmp_path_factory.mktemp("duckdb")) as warehouse:
        yield build(warehouse)


@pytest.fixture(params=["postgres", "duckdb"])
def builds(request: pytest.FixtureRequest) -> Builds:
    """The dbt package in each database."""
    builds: Builds = request.getfixturevalue(f"{request.param}_builds")
    return builds


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this machine's own settings from the tests."""
    for name in os.environ:
        if name.startswith(("TAP_VOICECALLS_", "TARGET_", "MELTANO_", "DBT_")):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

"""Fixtures that many tests share."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from demo.database import database
from demo.meltano import Meltano
from sandbox import Sandbox
from tests.harness import FakeClock
from tests.pipeline import Pipeline, run_twice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pipeline import TwoRuns


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


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this machine's own settings from the tests."""
    for name in os.environ:
        if name.startswith(("TAP_VOICECALLS_", "TARGET_", "MELTANO_")):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

"""A pytest plugin that distributes the tests over workers: `pytest -n 2 -p tests.parallel`.

The tests of a file run in the same worker because they share module fixtures. So do the tests that
share the session fixture `pipeline`, which takes long to set up.

`--dist loadgroup` would do the same with marks, but has no effect with pytest 9.2:
https://github.com/pytest-dev/pytest-xdist/issues/1386
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]

#: The files whose tests use the session fixture `pipeline`.
PIPELINE_FILES = {"tests/test_hub.py", "tests/test_meltano.py", "tests/test_meltano_commands.py"}


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Distributes tests by file, except those of `PIPELINE_FILES`, which stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "pipeline" if file in PIPELINE_FILES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)

"""A pytest plugin that distributes the tests over workers: `pytest -n 2 -p tests.parallel`.

The tests of a file run in the same worker because they share module fixtures. So do the tests that
share the session fixtures `pipeline` or `builds`, which take long to set up.

`--dist loadgroup` would do the same with marks, but has no effect with pytest 9.2:
https://github.com/pytest-dev/pytest-xdist/issues/1386
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]

#: The session fixture that the tests of a file use, and share with those of other files.
SHARED_FIXTURES = {
    "tests/test_hub.py": "pipeline",
    "tests/test_meltano.py": "pipeline",
    "tests/test_meltano_commands.py": "pipeline",
    "tests/test_dbt_marts.py": "builds",
    "tests/test_dbt_metrics.py": "builds",
    "tests/test_dbt_package.py": "builds",
}


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Distributes tests by file; those that share a session fixture stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return SHARED_FIXTURES.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)

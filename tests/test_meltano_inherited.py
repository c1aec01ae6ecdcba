"""The inherited extractors in README.md work as documented."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox import Fault, Sandbox
from tests.pipeline import get_bookmarks, read_table, recent_start, run_successfully

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from demo.database import Database

pytestmark = pytest.mark.meltano

README = (PROJECT / "README.md").read_text().partition("### Each vendor by itself")[2]


@dataclass(frozen=True)
class Extractors:
    """Three inherited extractors after one run of each.

    Attributes:
        account: The source of the extractor for Zendesk.
        other_account: The source of the extractors for Talkdesk and for a second Zendesk account.
        postgres: The database that all of them load into.
        meltano: The Meltano project with the extractors.
        overlapping: The Talkdesk run, which started and ended during the Zendesk run.
    """

    account: Sandbox
    other_account: Sandbox
    postgres: Database
    meltano: Meltano
    overlapping: CompletedProcess[str]


def code_block(language: str) -> str:
    """Return the first code block in a language after the heading."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def copy_project(folder: Path) -> Path:
    """Create a Meltano project with the extractors added and the installed plugins linked."""
    project: dict[str, Any] = yaml.safe_load((PROJECT / "meltano.yml").read_text())
    added = yaml.safe_load(code_block("yaml"))
    project["plugins"]["extractors"] += added["plugins"]["extractors"]
    (folder / "meltano.yml").write_text(yaml.safe_dump(project))
    (folder / ".meltano").mkdir()
    for plugins in ("extractors", "loaders"):
        (folder / ".meltano" / plugins).symlink_to(PROJECT / ".meltano" / plugins)
    return folder


def emea_environment(account: Sandbox) -> dict[str, str]:
    """Return the settings of an account for the EMEA extractor, with the names in README.md."""
    names = re.findall(r"^(TAP_VOICECALLS__EMEA_(\w+))=", code_block("bash"), re.MULTILINE)
    settings = {variable: str(account.config[name.lower()]) for variable, name in names}
    return settings | {"TAP_VOICECALLS__EMEA_ZENDESK_URL": account.zendesk.url}


def environment(account: Sandbox) -> dict[str, str]:
    """Return the settings of an account for all extractors."""
    return {f"TAP_VOICECALLS_{name.upper()}": str(value) for name, value in account.config.items()}


@pytest.fixture(scope="module")
def extractors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractors]:
    zendesk, talkdesk, emea = (
        command.split() for command in re.findall(r"meltano (run .*?) >>", code_block("crontab"))
    )
    with (
        Sandbox(seed=1, calls=30, days=10, page_size=1000) as account,
        Sandbox(seed=2, calls=20, days=10, page_size=1000) as other_account,
        database() as postgres,
    ):
        project = copy_project(tmp_path_factory.mktemp("project"))
        state = tmp_path_factory.mktemp("state")
        meltano = Meltano(account, postgres, state, project=project)
        overlapping: list[CompletedProcess[str]] = []

        def run_talkdesk() -> None:
            # From the other account, because this one is blocked during the run.
            overlapping.append(meltano(*talkdesk, **environment(other_account) | recent_start()))

        account.faults.add(Fault.late("*", run_talkdesk))
        run_successfully(meltano, *zendesk, **recent_start())
        run_successfully(meltano, *emea, **emea_environment(other_account), **recent_start())
        yield Extractors(account, other_account, postgres, meltano, *overlapping)


def test_extractors_run_concurrently_in_one_project(extractors: Extractors) -> None:
    assert extractors.overlapping.returncode == 0, extractors.overlapping.stderr
    calls = read_table(extractors.postgres, "tap_voicecalls", "talkdesk_calls")
    assert len(calls) >= 20
    assert calls.keys() == recent_keys(extractors.other_account.talkdesk.calls, "end_at")
    for stream, rows in (
        ("zendesk_calls", extractors.account.zendesk.calls),
        ("zendesk_legs", extractors.account.zendesk.legs),
    ):
        table = read_table(extractors.postgres, "tap_voicecalls", stream)
        assert table.keys() == recent_keys(rows, "updated_at")


def test_second_account_has_its_own_schema(extractors: Extractors) -> None:
    calls = read_table(extractors.postgres, "tap_voicecalls__emea", "zendesk_calls")
    assert len(calls) >= 20
    assert {key: call["duration"] for key, call in calls.items()} == {
        key: extractors.other_account.zendesk.calls[key]["duration"] for key in calls
    }


def test_extractors_have_separate_states(extractors: Extractors) -> None:
    states = {
        name: get_bookmarks(
            extractors.meltano, f"sandbox:tap-voicecalls--{name}-to-target-postgres"
        ).keys()
        for name in ("zendesk", "talkdesk", "emea")
    }
    assert states == {
        "zendesk": {"zendesk_calls", "zendesk_legs"},
        "talkdesk": {"talkdesk_calls"},
        "emea": {"zendesk_calls", "zendesk_legs"},
    }


def recent_keys(rows: dict[Any, dict[str, Any]], replication_key: str) -> set[Any]:
    """Return the primary keys of the rows after the recent start date."""
    start = recent_start()["TAP_VOICECALLS_START_DATE"]
    return {key for key, row in rows.items() if (row[replication_key] or "") >= start}

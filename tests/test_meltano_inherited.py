"""The extractors that README.md adds to `meltano.yml`, run as it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox import Fault, Sandbox
from tests.pipeline import bookmarks_in, recently, run_to_the_end, table_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from demo.database import Database

pytestmark = pytest.mark.meltano

README = (PROJECT / "README.md").read_text().partition("### Each vendor by itself")[2]


@dataclass(frozen=True)
class Extractors:
    """Three inherited extractors, each after a run.

    Attributes:
        account: Where Zendesk is read from.
        other_account: Where Talkdesk is read from, and the Zendesk of another account.
        postgres: Where the rows went.
        meltano: What ran.
        beside: The run of Talkdesk's, begun and ended while Zendesk's was under way.
    """

    account: Sandbox
    other_account: Sandbox
    postgres: Database
    meltano: Meltano
    beside: CompletedProcess[str]


def block(language: str) -> str:
    """The first block of a language behind the heading."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def copy_of_the_project(folder: Path) -> Path:
    """A project folder with the extractors added, and with the plugins that make installed."""
    project: dict[str, Any] = yaml.safe_load((PROJECT / "meltano.yml").read_text())
    added = yaml.safe_load(block("yaml"))
    project["plugins"]["extractors"] += added["plugins"]["extractors"]
    (folder / "meltano.yml").write_text(yaml.safe_dump(project))
    (folder / ".meltano").mkdir()
    for plugins in ("extractors", "loaders"):
        (folder / ".meltano" / plugins).symlink_to(PROJECT / ".meltano" / plugins)
    return folder


def of_emea(account: Sandbox) -> dict[str, str]:
    """An account's settings, by the names that README.md gives them."""
    names = re.findall(r"^(TAP_VOICECALLS__EMEA_(\w+))=", block("bash"), re.MULTILINE)
    settings = {variable: str(account.config[name.lower()]) for variable, name in names}
    return settings | {"TAP_VOICECALLS__EMEA_ZENDESK_URL": account.zendesk.url}


def of_all(account: Sandbox) -> dict[str, str]:
    """An account's settings, for all extractors."""
    return {f"TAP_VOICECALLS_{name.upper()}": str(it) for name, it in account.config.items()}


@pytest.fixture(scope="module")
def extractors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractors]:
    zendesk, talkdesk, emea = (
        command.split() for command in re.findall(r"meltano (run .*?) >>", block("crontab"))
    )
    with (
        Sandbox(seed=1, calls=30, days=10, page_size=1000) as account,
        Sandbox(seed=2, calls=20, days=10, page_size=1000) as other_account,
        database() as postgres,
    ):
        project = copy_of_the_project(tmp_path_factory.mktemp("project"))
        state = tmp_path_factory.mktemp("state")
        meltano = Meltano(account, postgres, state, project=project)
        beside: list[CompletedProcess[str]] = []

        def run_talkdesk() -> None:
            # The account that waits for this run could not answer it.
            beside.append(meltano(*talkdesk, **of_all(other_account) | recently()))

        account.faults.add(Fault.late("*", run_talkdesk))
        run_to_the_end(meltano, *zendesk, **recently())
        run_to_the_end(meltano, *emea, **of_emea(other_account), **recently())
        yield Extractors(account, other_account, postgres, meltano, *beside)


def test_both_run_beside_each_other_in_one_project_folder(extractors: Extractors) -> None:
    assert extractors.beside.returncode == 0, extractors.beside.stderr
    calls = table_in(extractors.postgres, "tap_voicecalls", "talkdesk_calls")
    assert len(calls) >= 20
    assert calls.keys() == recent(extractors.other_account.talkdesk.calls, "end_at")
    for stream, rows in (
        ("zendesk_calls", extractors.account.zendesk.calls),
        ("zendesk_legs", extractors.account.zendesk.legs),
    ):
        table = table_in(extractors.postgres, "tap_voicecalls", stream)
        assert table.keys() == recent(rows, "updated_at")


def test_another_account_has_a_schema_of_its_own(extractors: Extractors) -> None:
    calls = table_in(extractors.postgres, "tap_voicecalls__emea", "zendesk_calls")
    assert len(calls) >= 20
    assert {key: call["duration"] for key, call in calls.items()} == {
        key: extractors.other_account.zendesk.calls[key]["duration"] for key in calls
    }


def test_each_has_a_state_of_its_own_with_only_what_it_selects(extractors: Extractors) -> None:
    states = {
        name: bookmarks_in(
            extractors.meltano, f"sandbox:tap-voicecalls--{name}-to-target-postgres"
        ).keys()
        for name in ("zendesk", "talkdesk", "emea")
    }
    assert states == {
        "zendesk": {"zendesk_calls", "zendesk_legs"},
        "talkdesk": {"talkdesk_calls"},
        "emea": {"zendesk_calls", "zendesk_legs"},
    }


def recent(rows: dict[Any, dict[str, Any]], moment: str) -> set[Any]:
    """The keys of the rows that the settings ask for."""
    since = recently()["TAP_VOICECALLS_START_DATE"]
    return {key for key, row in rows.items() if row[moment] and row[moment] >= since}

"""The package holds the tap and nothing else, and works where nothing else is installed."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from uv import find_uv_bin

from demo.meltano import PROJECT
from sandbox import Sandbox
from tests.harness import KEYS, timestamp
from tests.project import METADATA

if TYPE_CHECKING:
    from pathlib import Path

VERSION = METADATA["version"]


def uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), *arguments, "--quiet"], cwd=PROJECT, check=True)  # noqa: S603


def tracked(*paths: str) -> set[str]:
    """The files that git tracks."""
    listed = subprocess.run(  # noqa: S603
        ["git", "ls-files", *paths],  # noqa: S607
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.splitlines())


def content(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("packages")
    uv("build", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    (path,) = packages.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it asks for."""
    environment = tmp_path_factory.mktemp("environment")
    uv("venv", "--python", sys.executable, "--clear", environment)
    known = PROJECT / "requirements-dev.txt"
    uv("pip", "install", "--python", environment, "--constraint", known, wheel)
    return environment / "bin"


def run(program: Path, *arguments: str | Path) -> str:
    """Runs a program away from the project, and gives what it printed."""
    done = subprocess.run(  # noqa: S603
        [program, *arguments],
        cwd=program.parent,
        env={name: it for name, it in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_tap_and_nothing_else(wheel: Path) -> None:
    about = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    assert content(wheel).keys() == tracked("tap_voicecalls") | {
        f"tap_voicecalls-{VERSION}.dist-info/{name}" for name in about
    }


def test_the_sdist_holds_what_builds_the_wheel_and_what_to_read(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(name) for name in archive.getnames()}
    # Hatchling adds `.gitignore`: by it the wheel is the same wherever it is built.
    kept = tracked("tap_voicecalls", ".gitignore", ":(glob)*.md", "LICENSE", "pyproject.toml")
    for_developers = {"AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"}
    assert names == {
        PurePosixPath(f"tap_voicecalls-{VERSION}", name)
        for name in kept - for_developers | {"PKG-INFO"}
    }


def test_the_sdist_builds_the_same_wheel_as_the_project(wheel: Path, tmp_path: Path) -> None:
    uv("build", "--wheel", "--out-dir", tmp_path)
    assert content(tmp_path / wheel.name) == content(wheel)


def test_the_metadata_tell_the_licence_and_the_way_in(wheel: Path) -> None:
    files = content(wheel)
    folder = f"tap_voicecalls-{VERSION}.dist-info"
    metadata = email.message_from_bytes(files[f"{folder}/METADATA"])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert (
        b"tap-voicecalls = tap_voicecalls.tap:TapVoiceCalls.cli"
        in (files[f"{folder}/entry_points.txt"])
    )


def test_it_tells_its_version_in_an_environment_of_its_own(programs: Path) -> None:
    said = f"tap-voicecalls v{VERSION}"
    assert said in run(programs / "tap-voicecalls", "--version")
    assert said in run(programs / "python", "-m", "tap_voicecalls", "--version")
    where = run(programs / "python", "-c", "import tap_voicecalls as it; print(it.__file__)")
    assert where.startswith(str(programs.parent))


def test_its_schemas_are_found_in_an_environment_of_its_own(programs: Path) -> None:
    catalog = json.loads(run(programs / "tap-voicecalls", "--discover"))
    assert {stream["tap_stream_id"] for stream in catalog["streams"]} == KEYS.keys()
    for stream in catalog["streams"]:
        for name, column in stream["schema"]["properties"].items():
            assert column["description"], name


def test_it_tells_about_itself_in_an_environment_of_its_own(programs: Path) -> None:
    about = json.loads(run(programs / "tap-voicecalls", "--about", "--format=json"))
    assert (about["name"], about["version"]) == ("tap-voicecalls", VERSION)
    assert "zendesk_subdomain" in about["settings"]["properties"]


def test_it_reads_both_vendors_in_an_environment_of_its_own(programs: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    with Sandbox(calls=40, days=10) as sandbox:
        start = timestamp(datetime.now(timezone.utc) - timedelta(days=12))
        config.write_text(json.dumps(sandbox.config | {"start_date": start}))
        written = run(programs / "tap-voicecalls", "--config", config)
        made = {
            stream: sum((row[moment] or "") >= start for row in rows.values())
            for stream, moment, rows in (
                ("talkdesk_calls", "end_at", sandbox.talkdesk.calls),
                ("zendesk_calls", "updated_at", sandbox.zendesk.calls),
                ("zendesk_legs", "updated_at", sandbox.zendesk.legs),
            )
        }
    messages = [json.loads(line) for line in written.splitlines()]
    records = Counter(it["stream"] for it in messages if it["type"] == "RECORD")
    assert records == made
    assert min(made.values()) >= 40
    assert messages[-1]["type"] == "STATE"

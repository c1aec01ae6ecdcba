"""The package contains only the tap, and works in a clean environment."""

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

pytestmark = pytest.mark.programs

VERSION = METADATA["version"]


def uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), *arguments, "--quiet"], cwd=PROJECT, check=True)  # noqa: S603


def tracked_files(*paths: str) -> set[str]:
    """Return the files that git tracks."""
    listed = subprocess.run(  # noqa: S603
        ["git", "ls-files", *paths],  # noqa: S607
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.splitlines())


def wheel_files(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel built from it."""
    folder = tmp_path_factory.mktemp("packages")
    uv("build", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    (path,) = packages.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a virtual environment with the wheel and its dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    uv("venv", "--python", sys.executable, "--clear", environment)
    lock = PROJECT / "requirements-dev.txt"
    uv("pip", "install", "--python", environment, "--constraint", lock, wheel)
    return environment / "bin"


def run(program: Path, *arguments: str | Path) -> str:
    """Run a program outside the project and return its output."""
    completed = subprocess.run(  # noqa: S603
        [program, *arguments],
        cwd=program.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_wheel_contains_only_the_tap(wheel: Path) -> None:
    metadata = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    assert wheel_files(wheel).keys() == tracked_files("tap_voicecalls") | {
        f"tap_voicecalls-{VERSION}.dist-info/{name}" for name in metadata
    }


def test_sdist_contains_sources_and_user_documentation(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(name) for name in archive.getnames()}
    # Hatchling adds `.gitignore`, so that a wheel built from the sdist excludes the same files.
    included = tracked_files(
        "tap_voicecalls", ".gitignore", ":(glob)*.md", "LICENSE", "pyproject.toml"
    )
    for_developers = {"AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"}
    assert names == {
        PurePosixPath(f"tap_voicecalls-{VERSION}", name)
        for name in included - for_developers | {"PKG-INFO"}
    }


def test_sdist_and_project_build_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    uv("build", "--wheel", "--out-dir", tmp_path)
    assert wheel_files(tmp_path / wheel.name) == wheel_files(wheel)


def test_metadata_has_license_and_entry_point(wheel: Path) -> None:
    files = wheel_files(wheel)
    folder = f"tap_voicecalls-{VERSION}.dist-info"
    metadata = email.message_from_bytes(files[f"{folder}/METADATA"])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert b"tap-voicecalls = tap_voicecalls.__main__:main" in (files[f"{folder}/entry_points.txt"])


def test_installed_tap_prints_its_version(programs: Path) -> None:
    version = f"tap-voicecalls v{VERSION}"
    assert version in run(programs / "tap-voicecalls", "--version")
    assert version in run(programs / "python", "-m", "tap_voicecalls", "--version")
    path = run(programs / "python", "-c", "import tap_voicecalls; print(tap_voicecalls.__file__)")
    assert path.startswith(str(programs.parent))


def test_installed_tap_finds_its_schemas(programs: Path) -> None:
    catalog = json.loads(run(programs / "tap-voicecalls", "--discover"))
    assert {stream["tap_stream_id"] for stream in catalog["streams"]} == KEYS.keys()
    for stream in catalog["streams"]:
        for name, column in stream["schema"]["properties"].items():
            assert column["description"], name


def test_installed_tap_prints_about(programs: Path) -> None:
    about = json.loads(run(programs / "tap-voicecalls", "--about", "--format=json"))
    assert (about["name"], about["version"]) == ("tap-voicecalls", VERSION)
    assert "zendesk_subdomain" in about["settings"]["properties"]


def test_installed_tap_syncs_both_vendors(programs: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    with Sandbox(calls=40, days=10) as sandbox:
        start = timestamp(datetime.now(timezone.utc) - timedelta(days=12))
        config.write_text(json.dumps(sandbox.config | {"start_date": start}))
        output = run(programs / "tap-voicecalls", "--config", config)
        expected = {
            stream: sum((row[replication_key] or "") >= start for row in rows.values())
            for stream, replication_key, rows in (
                ("talkdesk_calls", "end_at", sandbox.talkdesk.calls),
                ("zendesk_calls", "updated_at", sandbox.zendesk.calls),
                ("zendesk_legs", "updated_at", sandbox.zendesk.legs),
            )
        }
    messages = [json.loads(line) for line in output.splitlines()]
    records = Counter(message["stream"] for message in messages if message["type"] == "RECORD")
    assert records == expected
    assert min(expected.values()) >= 40
    assert messages[-1]["type"] == "STATE"

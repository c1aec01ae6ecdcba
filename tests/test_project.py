"""What the project says of itself agrees with itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from demo.meltano import PROJECT
from tests.project import METADATA, PYPROJECT, PYTHONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.markers import Marker

#: Where `docs/behavior.md` has its tests from, unless it names another file.
BEHAVIOUR = {"test_zendesk_export.py", "test_talkdesk_reports.py"}

every_document = pytest.mark.parametrize(
    "document",
    [
        pytest.param((PROJECT / name).read_text(), id=name)
        for name in ("AGENTS.md", "CONTRIBUTING.md")
    ],
)

LOCKED = (PROJECT / "requirements-dev.txt").read_text().splitlines()


def holds(marker: Marker | None, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or marker.evaluate(environment)


def required() -> Iterable[Requirement]:
    """What pyproject.toml asks for, to run the tap and to work on it."""
    extras = METADATA["optional-dependencies"].values()
    for listed in (METADATA["dependencies"], *extras, *PYPROJECT["dependency-groups"].values()):
        yield from (Requirement(it) for it in listed if isinstance(it, str))


def locked(python: str) -> dict[str, str]:
    """The versions in requirements-dev.txt."""
    requirements = [Requirement(line.rstrip(" \\")) for line in LOCKED if line[0].isalpha()]
    return {
        canonicalize_name(it.name): str(it.specifier).removeprefix("==")
        for it in requirements
        if holds(it.marker, python)
    }


@pytest.mark.parametrize("python", PYTHONS)
def test_whatever_is_asked_for_is_locked_for_each_python(python: str) -> None:
    versions = locked(python)
    asked_for = {
        str(it): (canonicalize_name(it.name), it.specifier)
        for it in required()
        if holds(it.marker, python)
    }
    assert [
        requirement
        for requirement, (name, specifier) in asked_for.items()
        if name not in versions or versions[name] not in specifier
    ] == []


def test_the_lock_holds_versions_and_hashes_alone() -> None:
    kinds = r"# .*", r"[a-z0-9-]+==[^ :]+( ; [^\\:]+)? \\", r"    --hash=sha256:\w{64}( \\)?"
    assert [line for line in LOCKED if not re.fullmatch("|".join(kinds), line)] == []


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = PYTHONS[0]
    assert METADATA["requires-python"] == f">={oldest}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"--python-version {oldest} " in (PROJECT / "Makefile").read_text()


@every_document
def test_the_files_that_a_document_names_are_there(document: str) -> None:
    named = re.findall(r"`([\w./*-]+\.(?:json|md|py|toml|txt|yml))`", document)
    places = "", "tap_voicecalls", "sandbox", "tests", ".github/workflows"
    assert named
    assert [
        name for name in named if not any(any((PROJECT / it).glob(name)) for it in places)
    ] == []


@every_document
def test_the_targets_of_make_that_a_document_names_are_there(document: str) -> None:
    named = re.findall(r"(?:^|`)make ([a-z]+)", document, re.MULTILINE)
    there = re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert named
    assert set(named) - set(there) == set()


def test_each_behaviour_names_a_test_that_is_there() -> None:
    rows = re.findall(r"^\|(.*)\|$", (PROJECT / "docs" / "behavior.md").read_text(), re.MULTILINE)
    named = set(re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)`", "\n".join(rows)))
    there = {
        (file, name)
        for path in (PROJECT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        for file in (path.name, *([""] if path.name in BEHAVIOUR else []))
    }
    assert len(named) > 50
    assert named - there == set()


@pytest.mark.parametrize(
    ("tag", "heading", "said"),
    [
        ("v1.2.3", "## [1.2.3] - 2026-12-01", ""),
        ("v1.2.4", "## [1.2.3] - 2026-12-01", "The tag is v1.2.4, but the version"),
        ("1.2.3", "## [1.2.3] - 2026-12-01", "The tag is 1.2.3, but the version"),
        ("v1.2.3", "## [1.2.3] - unreleased", "CHANGELOG.md has no date for 1.2.3"),
        ("v1.2.3", "## [1.2.2] - 2026-12-01", "CHANGELOG.md has no date for 1.2.3"),
    ],
)
def test_a_release_needs_the_tag_of_its_version_and_a_date_in_the_changelog(
    tmp_path: Path, tag: str, heading: str, said: str
) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(PROJECT / "scripts" / "check-release", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    done = subprocess.run([script, tag], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.stderr.startswith(said)
    assert done.returncode == bool(said)

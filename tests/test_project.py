"""The project's documents and metadata agree with its code.

* requirements-dev.txt pins every dependency, with hashes, for each supported Python.
* The files, make targets and tests that a document names exist.
* AGENTS.md lists the private methods of the SDK that the tap overrides.
* No document states a number of tests.
* The dbt package has the tap's version.
* A release needs a tag that matches its version and a date in the changelog.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from demo.meltano import PROJECT
from tap_voicecalls.cli import VoiceCallsCommand
from tap_voicecalls.sync.stream import VendorStream
from tap_voicecalls.sync.writer import MessageWriter
from tap_voicecalls.tap import TapVoiceCalls
from tests.project import METADATA, PYPROJECT, PYTHONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.markers import Marker

#: The files of the tests that `docs/behavior.md` names without a file.
DEFAULT_TEST_FILES = {
    *("test_zendesk_export.py", "test_talkdesk_reports.py", "test_talkdesk_further_reports.py"),
}

DOCUMENTS = sorted(
    str(path.relative_to(PROJECT))
    for pattern in ("*.md", "docs/*.md", "docs/metrics/*.md", "dbt/*.md")
    for path in PROJECT.glob(pattern)
)
every_developer_document = pytest.mark.parametrize(
    "document",
    [
        pytest.param((PROJECT / name).read_text(), id=name)
        for name in ("AGENTS.md", "CONTRIBUTING.md")
    ],
)

LOCKED = (PROJECT / "requirements-dev.txt").read_text().splitlines()


def applies(marker: Marker | None, python: str) -> bool:
    """Whether a requirement with this marker is installed on this version of Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or marker.evaluate(environment)


def declared() -> Iterable[Requirement]:
    """Yield the dependencies in pyproject.toml, of the tap and of its development."""
    extras = METADATA["optional-dependencies"].values()
    for listed in (METADATA["dependencies"], *extras, *PYPROJECT["dependency-groups"].values()):
        yield from (Requirement(it) for it in listed if isinstance(it, str))


def pinned(python: str) -> dict[str, str]:
    """Return the versions in requirements-dev.txt, by package."""
    requirements = [Requirement(line.rstrip(" \\")) for line in LOCKED if line[0].isalpha()]
    return {
        canonicalize_name(it.name): str(it.specifier).removeprefix("==")
        for it in requirements
        if applies(it.marker, python)
    }


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned_for_each_python(python: str) -> None:
    versions = pinned(python)
    requirements = {
        str(it): (canonicalize_name(it.name), it.specifier)
        for it in declared()
        if applies(it.marker, python)
    }
    assert [
        requirement
        for requirement, (name, specifier) in requirements.items()
        if name not in versions or versions[name] not in specifier
    ] == []


def test_lock_file_has_only_versions_and_hashes() -> None:
    allowed = r"# .*", r"[a-z0-9-]+==[^ :]+( ; [^\\:]+)? \\", r"    --hash=sha256:\w{64}( \\)?"
    assert [line for line in LOCKED if not re.fullmatch("|".join(allowed), line)] == []


def test_oldest_python_is_the_same_everywhere() -> None:
    oldest = PYTHONS[0]
    assert METADATA["requires-python"] == f">={oldest}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"--python-version {oldest} " in (PROJECT / "Makefile").read_text()


@every_developer_document
def test_files_named_in_a_document_exist(document: str) -> None:
    named = re.findall(r"`([\w./*-]+\.(?:json|md|py|toml|txt|yml))`", document)
    folders = "", "tap_voicecalls", "sandbox", "tests", ".github/workflows"
    assert named
    assert [
        name for name in named if not any(any((PROJECT / it).glob(name)) for it in folders)
    ] == []


def test_every_module_is_named_in_the_architecture() -> None:
    package = PROJECT / "tap_voicecalls"
    modules = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    document = (PROJECT / "CONTRIBUTING.md").read_text().partition("## Glossary")[0]
    named = set(re.findall(r"`([\w/]+\.py)`", document))
    assert {name for name in modules - named if not name.endswith("__init__.py")} == set()


@pytest.mark.parametrize("kind", [TapVoiceCalls, VendorStream, MessageWriter, VoiceCallsCommand])
def test_overridden_private_methods_of_the_sdk_are_listed(kind: type) -> None:
    """Final methods too, where Python marks them: from 3.11 on."""
    overridden = {
        name
        for name, method in vars(kind).items()
        for base in kind.__mro__[1:]
        if not base.__module__.startswith("tap_voicecalls")
        and callable(method)
        and name in vars(base)
        and (re.match("_[^_]", name) or getattr(vars(base)[name], "__final__", False))
    }
    listed = re.findall(r"`(\w+)`", (PROJECT / "AGENTS.md").read_text())
    assert overridden - set(listed) == set()
    assert overridden or kind in {MessageWriter, VoiceCallsCommand}


@every_developer_document
def test_make_targets_named_in_a_document_exist(document: str) -> None:
    named = re.findall(r"(?:^|`)make ([a-z]+)", document, re.MULTILINE)
    existing = re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert named
    assert set(named) - set(existing) == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_states_a_number_of_tests(name: str) -> None:
    """The number changes with every test, so a document that states it is soon wrong."""
    stated = r"\b\d[\d,.]*\+?\s+(?:(?:unit|automated)\s+)?(?:tests?|passed)\b"
    assert re.findall(stated, (PROJECT / name).read_text(), re.IGNORECASE) == []


@pytest.mark.parametrize(("document", "count"), [("docs/behavior.md", 80), ("SECURITY.md", 15)])
def test_tests_named_in_a_document_exist(document: str, count: int) -> None:
    rows = re.findall(r"^\|(.*)\|$", (PROJECT / document).read_text(), re.MULTILINE)
    named = set(re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)`", "\n".join(rows)))
    existing = {
        (file, name)
        for path in (PROJECT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        for file in (path.name, *([""] if path.name in DEFAULT_TEST_FILES else []))
    }
    assert len(named) > count
    assert named - existing == set()


def test_dbt_package_has_the_version_of_the_tap() -> None:
    package = yaml.safe_load((PROJECT / "dbt" / "dbt_project.yml").read_text())
    assert package["version"] == METADATA["version"]
    assert f"revision: v{METADATA['version']}\n" in (PROJECT / "dbt" / "README.md").read_text()


@pytest.mark.parametrize(
    ("tag", "heading", "error"),
    [
        ("v1.2.3", "## [1.2.3] - 2026-12-01", ""),
        ("v1.2.4", "## [1.2.3] - 2026-12-01", "The tag is v1.2.4, but the version"),
        ("1.2.3", "## [1.2.3] - 2026-12-01", "The tag is 1.2.3, but the version"),
        ("v1.2.3", "## [1.2.3] - unreleased", "CHANGELOG.md has no date for 1.2.3"),
        ("v1.2.3", "## [1.2.2] - 2026-12-01", "CHANGELOG.md has no date for 1.2.3"),
    ],
)
def test_release_needs_a_matching_tag_and_a_changelog_date(
    tmp_path: Path, tag: str, heading: str, error: str
) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(PROJECT / "scripts" / "check-release", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    result = subprocess.run([script, tag], capture_output=True, text=True, check=False)  # noqa: S603
    assert result.stderr.startswith(error)
    assert result.returncode == bool(error)

"""The manifest and the workflow in the documentation are valid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from demo.meltano import PROJECT

#: The oldest version of Kubernetes that still gets fixes, and the newest known one.
KUBERNETES = ("1.33", "1.35")


def example(document: str) -> str:
    """Return the YAML in a document."""
    (text,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs" / document).read_text(), re.DOTALL)
    return str(text)


def lint(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a linter of the project."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603


@pytest.fixture
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(example("kubernetes.md"))
    return loaded


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifest_is_valid(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_misspelled_field_is_reported(manifest: dict[str, Any]) -> None:
    manifest["spec"]["jobTemplate"]["spec"]["backofLimit"] = 0
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(manifest, KUBERNETES[-1], strict=True)


@pytest.mark.programs
def test_workflow_is_valid(tmp_path: Path) -> None:
    workflow = tmp_path / "voicecalls.yml"
    workflow.write_text(example("github-actions.md"))
    schema = lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    assert schema.returncode == 0, schema.stdout
    security = lint("zizmor", "--offline", "--no-progress", str(workflow))
    assert security.returncode == 0, security.stdout

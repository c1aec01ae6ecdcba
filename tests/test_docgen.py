"""The generated documentation and the snapshots match the tap."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from docgen import PROJECT, generated_files
from docgen.about import Setting
from docgen.readme import table_row
from docgen.sections import replace_section
from tap_voicecalls.registry import SETTINGS
from tests.harness import KEYS

SNAPSHOTS = PROJECT / "tests/snapshots"


def tap_output(*arguments: str) -> dict[str, Any]:
    """Run the tap as a program and return the JSON that it prints."""
    command = [sys.executable, "-m", "tap_voicecalls", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - the tap
    output: dict[str, Any] = json.loads(run.stdout)
    return output


def snapshot(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SNAPSHOTS / f"{name}.json").read_text("utf-8"))
    return content


def test_catalog_matches_snapshots() -> None:
    catalog = tap_output("--discover")
    assert {stream["tap_stream_id"]: stream for stream in catalog["streams"]} == {
        name: snapshot(name) for name in KEYS
    }


def test_settings_match_snapshot() -> None:
    assert tap_output("--about", "--format=json")["settings"] == snapshot("settings")


def test_snapshots_exist_for_current_streams_only() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {*KEYS, "settings"}


@pytest.mark.parametrize("name", [name for name in generated_files() if "snapshots" not in name])
def test_generated_documentation_is_up_to_date(name: str) -> None:
    assert (PROJECT / name).read_text("utf-8") == generated_files()[name], "run `make docs`"


@pytest.mark.parametrize("name", ["README.md", ".env.example", "meltano.yml"])
@pytest.mark.parametrize("setting", [setting.name for setting in SETTINGS])
def test_every_setting_is_documented_once(name: str, setting: str) -> None:
    line = {
        "README.md": f"\n| `{setting}` | ",
        ".env.example": f"TAP_VOICECALLS_{setting.upper()}=",
        "meltano.yml": f"\n        - name: {setting}\n",
    }[name]
    assert (PROJECT / name).read_text("utf-8").count(line) == 1


@pytest.mark.parametrize("path", ["meltano.yml", "hub/tap-voicecalls.yml"])
def test_every_secret_is_sensitive_in_meltano(path: str) -> None:
    definition = yaml.safe_load((PROJECT / path).read_text("utf-8"))
    if "plugins" in definition:
        (definition,) = definition["plugins"]["extractors"]
    sensitive = {each["name"] for each in definition["settings"] if each.get("sensitive")}
    assert sensitive == {
        name for name, schema in snapshot("settings")["properties"].items() if schema.get("secret")
    }
    assert "zendesk_client_secret" in sensitive


@pytest.mark.parametrize(
    ("schema", "cells"),
    [
        ({"type": ["string", "null"], "format": "date-time"}, "date-time |"),
        ({"type": ["string", "null"], "format": "uri"}, "URL |"),
        ({"type": ["string", "null"], "default": "read"}, "string | `read`"),
        ({"type": ["string", "null"], "secret": True}, "secret |"),
        ({"type": ["integer", "null"], "minimum": 0, "default": 0}, "integer, 0 or more | `0`"),
        ({"type": ["integer", "null"], "maximum": 9}, "integer, 9 or less |"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 31}, "integer, 1 to 31 |"),
        ({"type": ["integer", "null"]}, "integer |"),
        ({"type": ["boolean", "null"], "default": False}, "boolean | `false`"),
    ],
)
def test_readme_row_shows_type_and_default(schema: dict[str, Any], cells: str) -> None:
    described = schema | {"title": "A setting", "description": "Its meaning."}
    setting = Setting("name", described, is_required=False, is_own=True)
    assert table_row(setting) == f"| `name` | {cells} | Its meaning. |"


def test_readme_row_marks_required_setting() -> None:
    schema = {"type": ["string"], "title": "A setting", "description": "Its meaning."}
    setting = Setting("name", schema, is_required=True, is_own=True)
    assert table_row(setting) == "| `name` | string | required | Its meaning. |"


@pytest.mark.parametrize("stream", KEYS)
def test_readme_names_keys_of_each_stream(stream: str) -> None:
    (line,) = [
        line
        for line in (PROJECT / "README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| `{stream}` |")
    ]
    entry = snapshot(stream)
    keys = ", ".join(f"`{key}`" for key in entry["key_properties"])
    replication_key = f"`{entry['replication_key']}`" if "replication_key" in entry else "none"
    assert line.endswith(f" | {keys} | {replication_key} |")


def test_replace_section_keeps_other_lines() -> None:
    text = replace_section("a\nbegin\nold\nend\nz\n", "begin", "end", "new\n")
    assert text == "a\nbegin\nnew\nend\nz\n"


@pytest.mark.parametrize(
    "text", ["a\n", "begin\n", "end\nbegin\n", "begin\nbegin\nend\n", "begin\nend\nend\n"]
)
def test_replace_section_requires_each_marker_once(text: str) -> None:
    with pytest.raises(ValueError, match="'begin' and 'end'"):
        replace_section(text, "begin", "end", "new\n")

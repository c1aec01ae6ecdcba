"""What is written of the tap's settings and streams is as the tap has them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from docgen import PROJECT, documents
from docgen.about import Setting
from docgen.marks import between
from docgen.readme import row
from tap_voicecalls.tap import SETTINGS
from tests.harness import KEYS

SNAPSHOTS = PROJECT / "tests/snapshots"


def told(*arguments: str) -> dict[str, Any]:
    """What the tap prints as a program."""
    tap = [sys.executable, "-m", "tap_voicecalls", *arguments]
    printed = subprocess.run(tap, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    answer: dict[str, Any] = json.loads(printed.stdout)
    return answer


def snapshot(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((SNAPSHOTS / f"{name}.json").read_text("utf-8"))
    return kept


def test_the_catalog_is_as_it_was() -> None:
    catalog = told("--discover")
    assert {stream["tap_stream_id"]: stream for stream in catalog["streams"]} == {
        name: snapshot(name) for name in KEYS
    }


def test_the_settings_are_as_they_were() -> None:
    assert told("--about", "--format=json")["settings"] == snapshot("settings")


def test_there_is_no_snapshot_of_a_stream_that_is_gone() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {*KEYS, "settings"}


@pytest.mark.parametrize("name", [name for name in documents() if "snapshots" not in name])
def test_a_document_is_as_the_tap_wants_it(name: str) -> None:
    assert (PROJECT / name).read_text("utf-8") == documents()[name], "run `make docs`"


@pytest.mark.parametrize("name", ["README.md", ".env.example", "meltano.yml"])
@pytest.mark.parametrize("setting", [setting.name for setting in SETTINGS])
def test_every_setting_is_where_people_look_for_it(name: str, setting: str) -> None:
    line = {
        "README.md": f"\n| `{setting}` | ",
        ".env.example": f"TAP_VOICECALLS_{setting.upper()}=",
        "meltano.yml": f"\n        - name: {setting}\n",
    }[name]
    assert (PROJECT / name).read_text("utf-8").count(line) == 1


@pytest.mark.parametrize("path", ["meltano.yml", "hub/tap-voicecalls.yml"])
def test_meltano_hides_every_secret(path: str) -> None:
    definition = yaml.safe_load((PROJECT / path).read_text("utf-8"))
    if "plugins" in definition:
        (definition,) = definition["plugins"]["extractors"]
    hidden = {each["name"] for each in definition["settings"] if each.get("sensitive")}
    assert hidden == {
        name for name, schema in snapshot("settings")["properties"].items() if schema.get("secret")
    }
    assert "zendesk_client_secret" in hidden


@pytest.mark.parametrize(
    ("schema", "cells"),
    [
        ({"type": ["string", "null"], "format": "date-time"}, "time |"),
        ({"type": ["string", "null"], "format": "uri"}, "URL |"),
        ({"type": ["string", "null"], "default": "read"}, "text | `read`"),
        ({"type": ["string", "null"], "secret": True}, "secret |"),
        ({"type": ["integer", "null"], "minimum": 0, "default": 0}, "integer, 0 or more | `0`"),
        ({"type": ["integer", "null"], "maximum": 9}, "integer, 9 or less |"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 31}, "integer, 1 to 31 |"),
        ({"type": ["integer", "null"]}, "integer |"),
    ],
)
def test_a_setting_is_told_in_words(schema: dict[str, Any], cells: str) -> None:
    described = schema | {"title": "A setting", "description": "What it means."}
    setting = Setting("name", described, is_required=False, is_own=True)
    assert row(setting) == f"| `name` | {cells} | What it means. |"


def test_a_setting_that_has_to_be_set_says_so() -> None:
    schema = {"type": ["string"], "title": "A setting", "description": "What it means."}
    setting = Setting("name", schema, is_required=True, is_own=True)
    assert row(setting) == "| `name` | text | required | What it means. |"


@pytest.mark.parametrize("stream", KEYS)
def test_the_streams_have_the_keys_that_the_readme_tells(stream: str) -> None:
    (line,) = [
        line
        for line in (PROJECT / "README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| `{stream}` |")
    ]
    kept = snapshot(stream)
    (key,) = kept["key_properties"]
    assert line.endswith(f" | `{key}` | `{kept['replication_key']}` |")


def test_only_what_is_between_the_marks_is_written_anew() -> None:
    assert between("a\nbegin\nold\nend\nz\n", "begin", "end", "new\n") == "a\nbegin\nnew\nend\nz\n"


@pytest.mark.parametrize(
    "text", ["a\n", "begin\n", "end\nbegin\n", "begin\nbegin\nend\n", "begin\nend\nend\n"]
)
def test_marks_that_are_not_there_once_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="'begin' and 'end'"):
        between(text, "begin", "end", "new\n")

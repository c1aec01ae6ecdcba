"""Meltano reads the default streams, and further ones by one line in `meltano.yml`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo.meltano import PROJECT, Meltano
from sandbox.zendesk_lists import LISTS
from tests.harness import DEFAULT_STREAMS, KEYS
from tests.pipeline import recent_start, run_successfully

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Pipeline

pytestmark = pytest.mark.meltano


def loaded_streams(meltano: Meltano, folder: Path) -> set[str]:
    """Run the tap, and return the streams that a target wrote to files in a folder."""
    folder.mkdir()
    run_successfully(
        meltano,
        *("run", "tap-voicecalls", "target-jsonl"),
        **recent_start(),
        TARGET_JSONL_DESTINATION_PATH=str(folder),
    )
    return {path.stem for path in folder.glob("*.jsonl")}


def test_further_streams_are_not_selected(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.sandbox.forget_requests()
    assert loaded_streams(pipeline.meltano, tmp_path / "output") == {*DEFAULT_STREAMS}
    requested = {request.path for request in pipeline.sandbox.requests}
    assert not requested & {endpoint.path for endpoint in LISTS.values()}


def test_further_stream_is_selected_by_one_line(pipeline: Pipeline, tmp_path: Path) -> None:
    text = (PROJECT / "meltano.yml").read_text("utf-8")
    assert "\n        # - zendesk_groups.*\n" in text
    (tmp_path / "meltano.yml").write_text(
        text.replace("# - zendesk_groups.*", "- zendesk_groups.*")
    )
    (tmp_path / ".meltano").mkdir()
    for plugins in ("extractors", "loaders"):
        (tmp_path / ".meltano" / plugins).symlink_to(PROJECT / ".meltano" / plugins)
    meltano = Meltano(pipeline.sandbox, pipeline.postgres, tmp_path, project=tmp_path)

    output = tmp_path / "output"
    assert loaded_streams(meltano, output) == {*DEFAULT_STREAMS, "zendesk_groups"}
    groups = [json.loads(it) for it in (output / "zendesk_groups.jsonl").read_text().splitlines()]
    assert {row["id"] for row in groups} == pipeline.sandbox.rows["zendesk_groups"].keys()


def test_select_list_excludes_further_streams(pipeline: Pipeline) -> None:
    listed = pipeline.meltano("select", "tap-voicecalls", "--list", "--all").stdout
    for stream, key in KEYS.items():
        mark = "[automatic  ]" if stream in DEFAULT_STREAMS else "[excluded   ]"
        assert f"{mark} {stream}.{key}\n" in listed

"""Meltano can add the tap from its definition for Meltano Hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from demo.meltano import Meltano
from docgen import PROJECT
from docgen.hub import REPOSITORY
from tests.harness import DEFAULT_STREAMS
from tests.pipeline import run_successfully

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Pipeline


@pytest.mark.meltano
def test_tap_is_added_from_hub_definition(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("environments:\n  - name: sandbox\n")
    meltano = Meltano(pipeline.sandbox, pipeline.postgres, tmp_path, project=tmp_path)
    definition = str(PROJECT / "hub/tap-voicecalls.yml")
    run_successfully(
        meltano,
        *("add", "tap-voicecalls", "--plugin-type=extractor", "--no-install"),
        *("--from-ref", definition),
    )
    assert REPOSITORY in (tmp_path / "meltano.yml").read_text()
    config = json.loads(meltano("config", "print", "tap-voicecalls").stdout)
    assert config["talkdesk_window_days"] == 28
    assert config["zendesk_client_secret"] == "*****"
    assert config["zendesk_url"] == pipeline.sandbox.zendesk.url


@pytest.mark.meltano
def test_tap_from_the_hub_reads_the_default_streams(pipeline: Pipeline, tmp_path: Path) -> None:
    """Meltano keeps a plugin's definition from the Hub as JSON in a lock file."""
    definition = yaml.safe_load((PROJECT / "hub/tap-voicecalls.yml").read_text("utf-8"))
    lock = tmp_path / f"plugins/extractors/{definition['name']}--{definition['variant']}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(definition | {"plugin_type": "extractors"}))
    plugin = {"name": definition["name"], "variant": definition["variant"]}
    project = {"environments": [{"name": "sandbox"}], "plugins": {"extractors": [plugin]}}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(project))
    meltano = Meltano(pipeline.sandbox, pipeline.postgres, tmp_path, project=tmp_path)
    extras = json.loads(meltano("config", "print", "tap-voicecalls", "--extras").stdout)
    assert extras["_select"] == [f"{stream}.*" for stream in DEFAULT_STREAMS]

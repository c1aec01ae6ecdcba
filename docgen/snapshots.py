"""Snapshots of the tap's public contract: the catalog entry of each stream, and the settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_voicecalls.tap import TapVoiceCalls

if TYPE_CHECKING:
    from docgen.about import About


def snapshots(about: About) -> dict[str, str]:
    """Return the JSON of each snapshot by name: streams from `--discover`, `settings` otherwise."""
    tap = TapVoiceCalls(config={}, parse_env_config=False, validate_config=False)
    streams = {stream["tap_stream_id"]: stream for stream in tap.catalog_dict["streams"]}
    return {
        name: _to_json(content) for name, content in {**streams, "settings": about.schema}.items()
    }


def _to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

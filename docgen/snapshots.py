"""What the tap promises, as it is now: each stream of its catalog, and its settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_voicecalls.tap import TapVoiceCalls

if TYPE_CHECKING:
    from docgen.about import About


def snapshots(about: About) -> dict[str, str]:
    """JSON by name: what `--discover` prints of each stream, and `--about` of the settings."""
    tap = TapVoiceCalls(config={}, parse_env_config=False, validate_config=False)
    streams = {stream["tap_stream_id"]: stream for stream in tap.catalog_dict["streams"]}
    return {name: _as_text(shot) for name, shot in {**streams, "settings": about.schema}.items()}


def _as_text(shot: dict[str, Any]) -> str:
    return json.dumps(shot, indent=2, ensure_ascii=False) + "\n"

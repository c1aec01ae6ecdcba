"""The JSON schema of each stream."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def read_schema(stream: str) -> dict[str, Any]:
    """Return the schema of a stream."""
    schema: dict[str, Any] = json.loads(
        resources.files(__name__).joinpath(f"{stream}.json").read_bytes()
    )
    return schema

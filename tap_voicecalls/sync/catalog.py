"""The catalog of a run: the one that it is given, checked, and the one for the stream maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from singer_sdk.singerlib import Catalog, MetadataMapping

from tap_voicecalls.errors import VoiceCallsError


def read_catalog(catalog: dict[str, Any]) -> Catalog:
    """Return a catalog as the SDK's object.

    Raises:
        VoiceCallsError: It is not one of a tap.
    """
    try:
        return Catalog.from_dict(catalog)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise VoiceCallsError(
            "The catalog is not valid. Create it again, with --discover."
        ) from None


def with_all_streams(catalog: Catalog) -> Catalog:
    """Return a copy in which every stream is selected.

    For the stream maps: the SDK prepares those of all streams, and takes the schema of a stream
    that is not selected for empty, so that its maps are errors.
    """
    return Catalog(
        {
            name: replace(
                entry,
                metadata=MetadataMapping(
                    entry.metadata | {(): replace(entry.metadata.root, selected=True)}
                ),
            )
            for name, entry in catalog.items()
        }
    )

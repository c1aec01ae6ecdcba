"""The catalog that a run is given, checked."""

from __future__ import annotations

from typing import Any

from singer_sdk.singerlib import Catalog

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

"""The state that a run starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.timestamps import normalize_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.streams import Stream


def normalize_bookmarks(
    bookmarks: Mapping[str, Any], streams: Mapping[str, Stream]
) -> Mapping[str, Any]:
    """Give all bookmarks one form, since the SDK compares them as strings.

    Raises:
        VoiceCallsError: A bookmark is not a timestamp.
    """
    for name, stream in streams.items():
        bookmark = bookmarks.get(name) or {}
        value = bookmark.get("replication_key_value")
        if value is None or bookmark.get("replication_key") != stream.replication_key:
            continue
        try:
            bookmark["replication_key_value"] = f"{normalize_utc(str(value))[:19]}Z"
        except ValueError:
            raise VoiceCallsError(
                f"The bookmark of {name} in the state, {str(value)[:40]!r}, is not an RFC 3339 "
                f"timestamp such as 2026-01-01T00:00:00Z. Correct it with `meltano state set` or "
                f"in the state file."
            ) from None
    return bookmarks

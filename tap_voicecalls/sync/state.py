"""The state that a run starts from, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.timestamps import normalize_utc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

    from tap_voicecalls.sync.stream import VendorStream


def read_bookmarks(
    state: object, streams: Mapping[str, VendorStream[Any]], logger: Logger
) -> dict[str, Any]:
    """Return the bookmarks of a state, in one form, since the SDK compares them as strings.

    A bookmark that is not valid fails its stream alone; it is returned as it is.

    Raises:
        VoiceCallsError: The state is not one of a tap.
    """
    bookmarks = state.get("bookmarks") or {} if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict):
        raise VoiceCallsError(
            "The state is not valid: it must be a JSON object with an object `bookmarks`, as the "
            "tap writes it. Correct it with `meltano state set` or in the state file."
        )
    if state and not bookmarks:
        logger.warning("The state has no bookmarks: reading everything since start_date.")
    elif bookmarks and not bookmarks.keys() & streams.keys():
        logger.warning(
            "The state has no bookmarks of this tap, but of %s: reading everything since "
            "start_date. Check whether it is the right state.",
            ", ".join(sorted(map(str, bookmarks))[:5]),
        )
    return {name: _normalize(bookmark, streams.get(name)) for name, bookmark in bookmarks.items()}


def _normalize(bookmark: object, stream: VendorStream[Any] | None) -> object:
    if stream is None:
        return bookmark if isinstance(bookmark, dict) else {}
    if not isinstance(bookmark, dict):
        stream.invalid_input = _invalid_bookmark(stream.name, bookmark)
        return {}
    value = bookmark.get("replication_key_value")
    if value is None or bookmark.get("replication_key") != stream.replication_key:
        return bookmark
    try:
        normalized = normalize_utc(value) if isinstance(value, str) else None
    except ValueError:
        normalized = None
    if normalized is None:
        stream.invalid_input = _invalid_bookmark(stream.name, value)
        return bookmark
    # Without the progress markers of a run that was interrupted.
    return {
        "replication_key": stream.replication_key,
        "replication_key_value": f"{normalized[:19]}Z",
    }


def _invalid_bookmark(name: str, value: object) -> str:
    return (
        f"The bookmark of {name} in the state, {str(value)[:40]!r}, is not an RFC 3339 timestamp "
        f"such as 2026-01-01T00:00:00Z. Correct it with `meltano state set` or in the state file."
    )

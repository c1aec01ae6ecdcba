"""The state: the one that a run starts from, checked, and the writer of what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.helpers._state import StateWriter
from singer_sdk.singerlib import StateMessage

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.timestamps import normalize_utc

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from logging import Logger

    from singer_sdk.helpers.types import TapState

    from tap_voicecalls.sync.stream import VendorStream

_FIELDS = ("replication_key", "replication_key_value")


class ConcurrentStateWriter(StateWriter):
    """Writes the state if it has changed, also while another vendor's thread changes it.

    The SDK's copies it item by item, which raises if an item is added meanwhile.
    """

    _last = b""

    def write_state(self, state: TapState) -> None:
        """Write a STATE message if the state has changed since the last one."""
        encoded = msgspec.json.encode(state)
        if encoded != self._last:
            self._last = encoded
            self._message_writer.write_message(StateMessage(value=state))


def read_bookmarks(
    state: object, streams: Mapping[str, VendorStream[Any]], known: Collection[str], logger: Logger
) -> dict[str, Any]:
    """Return the bookmarks of a state, in one form, since the SDK compares them as strings.

    A bookmark that is not valid fails its stream alone. It stays in the state: without it, the next
    run would read everything again.

    Args:
        state: The state.
        streams: The streams that can be synced.
        known: The names of all streams of the tap, also of vendors that are not configured.
        logger: Gets the warnings.

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
    elif bookmarks and not bookmarks.keys() & known:
        logger.warning(
            "The state has no bookmarks of this tap, but of %s: reading everything since "
            "start_date. Check whether it is the right state.",
            ", ".join(sorted(map(str, bookmarks))[:5]),
        )
    own = {name: stream for name, stream in streams.items() if name in bookmarks}
    return bookmarks | {name: _normalize(bookmarks[name], stream) for name, stream in own.items()}


def _normalize(bookmark: object, stream: VendorStream[Any]) -> dict[str, Any]:
    if bookmark is None or stream.replication_key is None:
        bookmark = {}  # a table that is read as a whole has none
    if not isinstance(bookmark, dict):
        bookmark = {"replication_key": stream.replication_key, "replication_key_value": bookmark}
    # Nothing else: for `partitions`, the SDK would read the stream several times.
    fields = {name: bookmark[name] for name in _FIELDS if name in bookmark}
    value = fields.get("replication_key_value")
    if value is not None and fields.get("replication_key") == stream.replication_key:
        try:
            fields["replication_key_value"] = f"{normalize_utc(_string(value))[:19]}Z"
        except ValueError:
            stream.invalid_input = _invalid_bookmark(stream.name, value)
    return fields


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _invalid_bookmark(name: str, value: object) -> str:
    return (
        f"The bookmark of {name} in the state, {str(value)[:40]!r}, is not an RFC 3339 timestamp "
        f"such as 2026-01-01T00:00:00Z. Correct it with `meltano state set` or in the state file."
    )

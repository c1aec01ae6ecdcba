"""The connection test, `--test`: can each vendor be read?

The SDK's own test stops at the first failure, and asks Talkdesk to report a month for one row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tap_voicecalls.errors import SyncFailedError, failure_message
from tap_voicecalls.registry import VENDORS
from tap_voicecalls.sync.stream import VendorStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.streams import Stream


def check_connections(streams: Iterable[Stream]) -> None:
    """Print for each vendor that its selected streams can be read.

    Raises:
        SyncFailedError: A vendor can't be read; the others were tested.
    """
    streams = list(streams)
    failures = {}
    for vendor in VENDORS:
        own = [
            stream
            for stream in streams
            if isinstance(stream, VendorStream)
            and isinstance(stream, vendor.streams)
            and stream.selected
        ]
        try:
            for stream in own:
                stream.run.hosts.patient = False  # someone is waiting
                stream.check_connection()
        except Exception as error:  # noqa: BLE001 - the other vendors are tested all the same
            failures[f"{vendor.name} is not ready"] = failure_message(error)
        else:
            if own:
                *names, last = (stream.name for stream in own)
                click.echo(
                    f"{vendor.name} is ready: the credentials have the permissions and scopes to "
                    f"read {', '.join(names)}{' and ' if names else ''}{last}."
                )
    if failures:
        raise SyncFailedError(failures)

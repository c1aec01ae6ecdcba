"""Vendors synced at the same time: each has a thread, in which its streams run one by one.

So a vendor that hangs, or waits for its quota, does not hold up the others. A vendor's own streams
share its quota: one after the other they finish as soon as they would in turns, and the first one
sooner.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.streams import Stream


def sync_concurrently(groups: Sequence[Sequence[Stream]]) -> None:
    """Sync groups of streams at the same time, the streams of each group in order.

    A stream reports its own failures; see `VendorStream.sync`.

    Raises:
        BaseException: What no stream can handle, such as a closed pipe. The other groups are
            not waited for.
    """
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run(group: Sequence[Stream]) -> None:
        try:
            for stream in group:
                stream.sync()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            ended.put(error)
        else:
            ended.put(None)

    for group in groups:
        # A daemon: the program ends without waiting for a request that may take minutes.
        Thread(target=run, args=(group,), name=group[0].name, daemon=True).start()
    for _ in groups:
        if error := ended.get():
            raise error

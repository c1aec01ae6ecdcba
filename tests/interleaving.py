"""Runs in which the vendors' records alternate, whatever the timing."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sandbox import Fault
from sandbox.zendesk import PATH
from tests.vendors import PRESIGNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

    from sandbox import Sandbox
    from sandbox.faults import Handler

#: Settings with which the vendors of a sandbox with small pages return many slices.
SMALL_SLICES = {"talkdesk_window_days": 2, "talkdesk_concurrent_jobs": 1}


class Lockstep:
    """Holds each request for rows until the other vendor has one too, and handles both at once.

    Attributes:
        rounds: How many pairs of requests were handled.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}
        self.rounds = 0

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return the regular response, once the other vendor has a request too."""
        is_zendesk = request.path.startswith(PATH)
        own, other = self._waiting[is_zendesk], self._waiting[not is_zendesk]
        if other:
            other.popleft().set_result(None)
            self.rounds += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            own.append(turn)
            try:
                await asyncio.wait([turn], timeout=self._timeout)
            finally:  # also if the client is gone
                if turn in own:
                    own.remove(turn)
        return await handler()


def interleave(sandbox: Sandbox, rounds: int, *, timeout: float = 10) -> Lockstep:
    """Make the vendors return their next pages and report files in pairs.

    Args:
        sandbox: The vendors.
        rounds: How many pairs.
        timeout: The seconds after which a request is handled alone: the other vendor may have
            no more.
    """
    lockstep = Lockstep(timeout)
    sandbox.faults.add(
        Fault(f"{PATH}/*", lockstep, times=rounds), Fault(PRESIGNED, lockstep, times=rounds)
    )
    return lockstep


def alternations(messages: Iterable[Mapping[str, Any]]) -> int:
    """Return how often RECORD or BATCH messages of one vendor follow the other's."""
    vendors = [
        message["stream"].partition("_")[0]
        for message in messages
        if message["type"] in {"RECORD", "BATCH"}
    ]
    return len(list(groupby(vendors))) - 1

"""An HTTP API to control a running sandbox.

`POST /_sandbox/change?count=20` changes calls, `GET /_sandbox/truth` returns the number of rows of
each stream, `POST /_sandbox/faults` adds the fault that `Fault.from_json` reads
from its body, and `DELETE /_sandbox/faults` removes all faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.faults import Fault
from sandbox.web import CONTROL_PREFIX, json_response, read_json_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.faults import Faults


class Control:
    """The control endpoints."""

    def __init__(
        self,
        *,
        faults: Faults,
        change_calls: Callable[[int], dict[str, int]],
        row_counts: Callable[[], dict[str, int]],
    ) -> None:
        """Bind the endpoints to a sandbox.

        Args:
            faults: The faults of its servers.
            change_calls: Changes this many calls and returns the changed rows of each stream.
            row_counts: Returns the number of rows of each stream.
        """
        self._faults = faults
        self._change_calls = change_calls
        self._row_counts = row_counts

    def add_routes(self, app: web.Application) -> None:
        """Add the endpoints to an application."""
        app.router.add_post(f"{CONTROL_PREFIX}/change", self._change)
        app.router.add_get(f"{CONTROL_PREFIX}/truth", self._truth)
        app.router.add_post(f"{CONTROL_PREFIX}/faults", self._add_fault)
        app.router.add_delete(f"{CONTROL_PREFIX}/faults", self._clear_faults)

    async def _change(self, request: web.Request) -> web.Response:
        try:
            count = int(request.query.get("count", "20"))
        except ValueError:
            raise web.HTTPBadRequest(text="count must be an integer") from None
        return json_response(self._change_calls(max(count, 0)))

    async def _truth(self, _: web.Request) -> web.Response:
        return json_response(self._row_counts())

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            self._faults.add(Fault.from_json(await read_json_object(request)))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"Invalid fault: {error}") from None
        return web.Response(status=204)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

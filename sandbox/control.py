"""What a running sandbox can be told to do, over HTTP.

`POST /_sandbox/change?count=20` lets calls change, `GET /_sandbox/truth` tells how many rows each
stream has, `POST /_sandbox/faults` adds the fault that `Fault.from_json` reads
from its body, and `DELETE /_sandbox/faults` clears all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.faults import Fault
from sandbox.web import CONTROL, answer, sent_object

if TYPE_CHECKING:
    from sandbox.server import Sandbox


class Control:
    """The control endpoints of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Takes the sandbox that is controlled."""
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Puts the endpoints into an application."""
        app.router.add_post(f"{CONTROL}/change", self._change)
        app.router.add_get(f"{CONTROL}/truth", self._truth)
        app.router.add_post(f"{CONTROL}/faults", self._misbehave)
        app.router.add_delete(f"{CONTROL}/faults", self._behave)

    async def _change(self, request: web.Request) -> web.Response:
        try:
            count = int(request.query.get("count", "20"))
        except ValueError:
            raise web.HTTPBadRequest(text="count is a number of calls") from None
        return answer(self._sandbox.change_calls(max(count, 0)))

    async def _truth(self, _: web.Request) -> web.Response:
        return answer(self._sandbox.truth)

    async def _misbehave(self, request: web.Request) -> web.Response:
        try:
            self._sandbox.faults.add(Fault.from_json(await sent_object(request)))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"Not a fault: {error}") from None
        return web.Response(status=204)

    async def _behave(self, _: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        return web.Response(status=204)

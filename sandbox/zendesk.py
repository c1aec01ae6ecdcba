"""Zendesk on loopback: the token endpoint and the incremental exports of Talk.

After Zendesk's documentation ("Incremental Exports" of the Talk API, "OAuth Tokens") and answers
of real accounts that were published.
"""

from __future__ import annotations

import base64
import random
from collections import deque
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from sandbox.history import epoch
from sandbox.table import Table
from sandbox.web import Tokens, answer, sent_object

if TYPE_CHECKING:
    from sandbox.history import History, Row
    from sandbox.web import Clock

PATH = "/api/v2/channels/voice/stats/incremental"
#: How long a token may be asked to live.
TOKEN_LIFETIME = range(300, 172_801)
_PLAIN_429 = "Number of allowed incremental export API requests per minute exceeded"


class Zendesk:
    """One account.

    Attributes:
        url: The base URL.
        next_page_extra: Parameters that `next_page` carries besides `start_time`.
        shuffle: Whether the rows of a page come in any order.
        empty_next_page: What `next_page` is on an empty page: None, or `same` for the URL asked.
        row_lag_seconds: For how long after its `updated_at` a row stays hidden.
    """

    client_id = "sandbox-zendesk-client"
    client_secret = "sandbox-zendesk-secret-a7c1"  # noqa: S105 - of nothing
    access_token = "sandbox-zendesk-ready-token-b8d2"  # noqa: S105 - of nothing
    email = "admin@example.com"
    api_token = "sandbox-zendesk-api-token-c9e3"  # noqa: S105 - of nothing

    def __init__(
        self,
        history: History,
        *,
        clock: Clock,
        page_size: int,
        requests_per_minute: int | None,
        token_seconds: float,
    ) -> None:
        """Takes what happened; serves nothing yet."""
        self.url = ""
        self.next_page_extra: dict[str, str] = {}
        self.shuffle = False
        self.empty_next_page: str | None = None
        self.row_lag_seconds = 0.0
        self._tables = {
            "calls": Table(history.zendesk_calls, key="id", time="updated_at"),
            "legs": Table(history.zendesk_legs, key="id", time="updated_at"),
        }
        self._clock = clock
        self._page_size = page_size
        self._quota = requests_per_minute
        self._token_seconds = token_seconds
        self._tokens = Tokens(clock)
        self._recent: deque[float] = deque()

    @property
    def calls(self) -> dict[int, Row]:
        """The latest version of each call, by id."""
        return self._tables["calls"].rows

    @property
    def legs(self) -> dict[int, Row]:
        """The latest version of each leg, by id."""
        return self._tables["legs"].rows

    def put_call(self, row: Row, visible_at: float | None = None) -> None:
        """Adds or replaces a call; it may become visible later."""
        self._tables["calls"].put(row, visible_at)

    def put_leg(self, row: Row, visible_at: float | None = None) -> None:
        """Adds or replaces a leg; it may become visible later."""
        self._tables["legs"].put(row, visible_at)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were given out."""
        return self._tokens

    def add_routes(self, app: web.Application) -> None:
        """Puts the account's endpoints into an application."""
        app.router.add_post("/oauth/tokens", self._token)
        for resource in self._tables:
            for ending in ("", ".json"):
                app.router.add_get(f"{PATH}/{resource}{ending}", self._export)

    async def _token(self, request: web.Request) -> web.Response:
        asked = await sent_object(request)
        if (asked.get("client_id"), asked.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            said = "Client authentication failed due to unknown client."
            return answer({"error": "invalid_client", "error_description": said}, 401)
        if asked.get("grant_type") != "client_credentials":
            return answer({"error": "unsupported_grant_type"}, 400)
        if asked.get("scope", "read") != "read":
            said = "The requested scope is invalid, unknown, or malformed."
            return answer({"error": "invalid_scope", "error_description": said}, 400)
        wanted = asked.get("expires_in")
        if wanted is not None and wanted not in TOKEN_LIFETIME:
            return answer({"error": "invalid_request", "error_description": "expires_in"}, 400)
        seconds = min(self._token_seconds, wanted or self._token_seconds)
        issued = {
            "access_token": self._tokens.issue(seconds),
            "token_type": "bearer",
            "scope": "read",
        }
        # Only those who ask for an end are told it.
        return answer(issued if wanted is None else issued | {"expires_in": int(seconds)})

    async def _export(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request.headers.get("Authorization", "")):
            return answer({"error": "Couldn't authenticate you"}, 401)
        if wait := self._wait():
            headers = {"Retry-After": str(wait)}
            return web.Response(status=429, text=_PLAIN_429, headers=headers)
        resource = request.path.rpartition("/")[2].removesuffix(".json")
        try:
            start = int(request.query["start_time"])
        except (KeyError, ValueError):
            return answer({"error": "InvalidValue", "description": "start_time"}, 400)
        rows = self._tables[resource].page(
            start, self._page_size, now=self._clock(), lag=self.row_lag_seconds
        )
        if not rows:
            asked = f"{self.url}{request.path_qs}"
            next_page = asked if self.empty_next_page == "same" else None
            return answer({resource: [], "count": 0, "end_time": None, "next_page": next_page})
        end_time = epoch(rows[-1]["updated_at"])
        if self.shuffle:
            random.shuffle(rows)
        query = urlencode({"start_time": end_time, **self.next_page_extra})
        return answer(
            {
                resource: rows,
                "count": len(rows),
                f"{resource}_total": len(rows),
                "end_time": end_time,
                "next_page": f"{self.url}{PATH}/{resource}?{query}",
            },
            headers={"x-rate-limit": "700", "x-rate-limit-remaining": "699"},
        )

    def _is_allowed(self, authorization: str) -> bool:
        basic = base64.b64encode(f"{self.email}/token:{self.api_token}".encode()).decode()
        known = {f"Bearer {self.access_token}", f"Basic {basic}"}
        return authorization in known or self._tokens.is_good(authorization)

    def _wait(self) -> int:
        """For how many seconds a request comes too early; 0 if it does not."""
        if self._quota is None:
            return 0
        now = self._clock()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= self._quota:
            return ceil(self._recent[0] + 60 - now)
        self._recent.append(now)
        return 0

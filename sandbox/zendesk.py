"""A fake Zendesk: the token endpoint, the incremental exports of the Talk API, and some lists.

Follows Zendesk's documentation ("Incremental Exports" of the Talk API, "OAuth Tokens", "Rate
limits") and published responses of real accounts.
"""

from __future__ import annotations

import base64
import random
from collections import Counter, deque
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from sandbox.directory import reorganize
from sandbox.history import to_epoch
from sandbox.table import Table
from sandbox.web import Tokens, json_response, read_json_object
from sandbox.zendesk_lists import LISTS

if TYPE_CHECKING:
    from sandbox.history import History, Row
    from sandbox.web import Clock

PATH = "/api/v2/channels/voice/stats/incremental"
#: The values of `expires_in` that Zendesk accepts, in seconds.
TOKEN_LIFETIME = range(300, 172_801)
_RATE_LIMIT_MESSAGE = "Number of allowed incremental export API requests per minute exceeded"


class Zendesk:
    """A Zendesk account.

    Attributes:
        url: The base URL.
        next_page_extra: Query parameters that `next_page` holds in addition to `start_time`.
        shuffle: Whether the rows of a page are in random order.
        empty_next_page: The `next_page` of an empty page: None, or `same` for the requested URL.
        row_lag_seconds: How long a row stays hidden after its `updated_at`.
        lists: The rows of each list, by id; all users are among the `agents`.
        list_requests_per_minute: The rate limit of the lists, which is the account's.
    """

    client_id = "sandbox-zendesk-client"
    client_secret = "sandbox-zendesk-secret-a7c1"  # noqa: S105 - fake
    access_token = "sandbox-zendesk-ready-token-b8d2"  # noqa: S105 - fake
    email = "admin@example.com"
    api_token = "sandbox-zendesk-api-token-c9e3"  # noqa: S105 - fake

    def __init__(
        self,
        history: History,
        *,
        clock: Clock,
        page_size: int,
        requests_per_minute: int | None,
        token_seconds: float,
    ) -> None:
        """Create an account with a call history.

        Args:
            history: The rows of the account.
            clock: Returns the current Unix time.
            page_size: The maximum number of rows of a page.
            requests_per_minute: The rate limit; None for no limit.
            token_seconds: The maximum lifetime of a token.
        """
        self.url = ""
        self.next_page_extra: dict[str, str] = {}
        self.shuffle = False
        self.empty_next_page: str | None = None
        self.row_lag_seconds = 0.0
        self.lists = {resource: history.zendesk[resource] for resource in LISTS}
        self.list_requests_per_minute = 700
        self._tables = {
            resource: Table(rows, key="id", order_by="updated_at")
            for resource, rows in history.zendesk.items()
            if resource not in LISTS
        }
        self._clock = clock
        self._page_size = page_size
        self._requests_per_minute = requests_per_minute
        self._token_seconds = token_seconds
        self._tokens = Tokens(clock)
        self._recent: deque[float] = deque()
        self._list_requests: Counter[int] = Counter()

    @property
    def rows(self) -> dict[str, dict[int, Row]]:
        """The latest version of each row, by resource and id; customers are no agents."""
        agents = {
            user_id: row
            for user_id, row in self.lists["agents"].items()
            if row["role"] != "end-user"
        }
        exported = {resource: table.rows for resource, table in self._tables.items()}
        return {**exported, **self.lists, "agents": agents}

    @property
    def calls(self) -> dict[int, Row]:
        """The latest version of each call, by id."""
        return self._tables["calls"].rows

    @property
    def legs(self) -> dict[int, Row]:
        """The latest version of each leg, by id."""
        return self._tables["legs"].rows

    def put_call(self, row: Row, visible_at: float | None = None) -> None:
        """Insert or replace a call, visible from `visible_at` (Unix time) or immediately."""
        self._tables["calls"].put(row, visible_at)

    def delete_call(self, call_id: int) -> None:
        """Delete a call, as if it had never been there."""
        self._tables["calls"].delete(call_id)

    def put_leg(self, row: Row, visible_at: float | None = None) -> None:
        """Insert or replace a leg, visible from `visible_at` (Unix time) or immediately."""
        self._tables["legs"].put(row, visible_at)

    def reorganize(self) -> None:
        """Change the users, groups and phone numbers; see `sandbox/directory.py`."""
        agents = sorted({leg["agent_id"] for leg in self.legs.values()} - {0})
        reorganize(self.lists, agents)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were issued."""
        return self._tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the endpoints of the account to an application."""
        app.router.add_post("/oauth/tokens", self._token)
        for resource in self._tables:
            for suffix in ("", ".json"):
                app.router.add_get(f"{PATH}/{resource}{suffix}", self._export)
        for endpoint in LISTS.values():
            app.router.add_get(endpoint.path, self._list)

    async def _token(self, request: web.Request) -> web.Response:
        body = await read_json_object(request)
        if (body.get("client_id"), body.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            description = "Client authentication failed due to unknown client."
            return _oauth_error("invalid_client", description, status=401)
        if body.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400)
        if body.get("scope", "read") != "read":
            description = "The requested scope is invalid, unknown, or malformed."
            return _oauth_error("invalid_scope", description)
        expires_in = body.get("expires_in")
        if expires_in is not None and expires_in not in TOKEN_LIFETIME:
            return _oauth_error("invalid_request", "expires_in")
        seconds = min(self._token_seconds, expires_in or self._token_seconds)
        token = {
            "access_token": self._tokens.issue(seconds),
            "token_type": "bearer",
            "scope": "read",
        }
        # Zendesk returns `expires_in` only to requests that set it.
        return json_response(token if expires_in is None else token | {"expires_in": int(seconds)})

    async def _export(self, request: web.Request) -> web.Response:
        if not self._is_authorized(request.headers.get("Authorization", "")):
            return json_response({"error": "Couldn't authenticate you"}, 401)
        if retry_after := self._retry_after():
            headers = {"Retry-After": str(retry_after)}
            return web.Response(status=429, text=_RATE_LIMIT_MESSAGE, headers=headers)
        resource = request.path.rpartition("/")[2].removesuffix(".json")
        try:
            start = int(request.query["start_time"])
        except (KeyError, ValueError):
            return json_response({"error": "InvalidValue", "description": "start_time"}, 400)
        rows = self._tables[resource].page(
            start, self._page_size, now=self._clock(), lag=self.row_lag_seconds
        )
        if not rows:
            requested_url = f"{self.url}{request.path_qs}"
            next_page = requested_url if self.empty_next_page == "same" else None
            return json_response(
                {resource: [], "count": 0, "end_time": None, "next_page": next_page}
            )
        end_time = to_epoch(rows[-1]["updated_at"])
        if self.shuffle:
            random.shuffle(rows)
        query = urlencode({"start_time": end_time, **self.next_page_extra})
        return json_response(
            {
                resource: rows,
                "count": len(rows),
                f"{resource}_total": len(rows),
                "end_time": end_time,
                "next_page": f"{self.url}{PATH}/{resource}?{query}",
            },
            headers={"x-rate-limit": "700", "x-rate-limit-remaining": "699"},
        )

    async def _list(self, request: web.Request) -> web.Response:
        if not self._is_authorized(request.headers.get("Authorization", "")):
            return json_response({"error": "Couldn't authenticate you"}, 401)
        minute, second = divmod(self._clock(), 60)
        self._list_requests[int(minute)] += 1
        remaining = self.list_requests_per_minute - self._list_requests[int(minute)]
        headers = {
            "x-rate-limit": str(self.list_requests_per_minute),
            "ratelimit-remaining": str(max(0, remaining)),
            "ratelimit-reset": str(ceil(60 - second)),
        }
        if remaining < 0:
            headers["Retry-After"] = headers["ratelimit-reset"]
            error = {"error": "APIRateLimitExceeded", "description": "Number of requests exceeded"}
            return json_response(error, 429, headers)
        ((resource, endpoint),) = (it for it in LISTS.items() if it[1].path == request.path)
        response = endpoint.respond(
            request, self.lists[resource], url=self.url, page_size=self._page_size
        )
        response.headers.update(headers)
        return response

    def _is_authorized(self, authorization: str) -> bool:
        basic = base64.b64encode(f"{self.email}/token:{self.api_token}".encode()).decode()
        accepted = {f"Bearer {self.access_token}", f"Basic {basic}"}
        return authorization in accepted or self._tokens.is_valid(authorization)

    def _retry_after(self) -> int:
        """Return the seconds until the rate limit allows a request, or 0 and count it."""
        if self._requests_per_minute is None:
            return 0
        now = self._clock()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= self._requests_per_minute:
            return ceil(self._recent[0] + 60 - now)
        self._recent.append(now)
        return 0


def _oauth_error(error: str, description: str, *, status: int = 400) -> web.Response:
    return json_response({"error": error, "error_description": description}, status)

"""The lists of a fake Zendesk account: users, groups, and Talk's phone numbers.

Follows Zendesk's documentation: "Pagination", and "Users", "Groups" and "Phone numbers" there.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sandbox.web import json_response

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

    from sandbox.history import Row

#: The most rows of a page, however many are requested.
MAX_PAGE_SIZE = 100
#: Beyond this page, offset pagination is an error.
_MAX_OFFSET_PAGES = 100


@dataclass(frozen=True)
class ListEndpoint:
    """An endpoint that lists rows.

    Attributes:
        path: The path; its last part is the name of the list in the response.
        has_cursor: Whether it has cursor pagination, for requests with `page[size]`.
    """

    path: str
    has_cursor: bool = True

    @property
    def name(self) -> str:
        """The name of the list in a response."""
        return self.path.rpartition("/")[2]

    def respond(
        self, request: web.Request, rows: dict[int, Row], *, url: str, page_size: int
    ) -> web.Response:
        """Return a page of the requested rows.

        Args:
            request: The request.
            rows: All rows, by id.
            url: The base URL of the account.
            page_size: The most rows of a page.
        """
        query = request.query
        found = [rows[row_id] for row_id in sorted(rows) if _is_requested(rows[row_id], query)]
        limit = min(page_size, MAX_PAGE_SIZE)
        try:
            if "page[size]" not in query:
                return self._offset_page(query, found, url, limit)
            if not self.has_cursor:
                return _bad_request("page must be an integer")
            return self._cursor_page(query, found, url, limit)
        except (ValueError, binascii.Error):
            return _bad_request("page is not valid")

    def _cursor_page(
        self, query: MultiMapping[str], found: list[Row], url: str, limit: int
    ) -> web.Response:
        size = min(limit, int(query["page[size]"]))
        after = int(base64.urlsafe_b64decode(query.get("page[after]", "")) or 0)
        remaining = [row for row in found if row["id"] > after]
        page = remaining[:size]
        cursor = base64.urlsafe_b64encode(str(page[-1]["id"]).encode()).decode() if page else None
        return json_response(
            {
                self.name: page,
                "meta": {
                    "has_more": len(remaining) > size,
                    # Also on the last page, if it has rows.
                    "after_cursor": cursor,
                    "before_cursor": cursor,
                },
                "links": {
                    "next": cursor and self._link(query, url, "page[after]", cursor),
                    "prev": cursor and self._link(query, url, "page[before]", cursor),
                },
            }
        )

    def _offset_page(
        self, query: MultiMapping[str], found: list[Row], url: str, limit: int
    ) -> web.Response:
        page, size = int(query.get("page", "1")), min(limit, int(query.get("per_page", "100")))
        if page > _MAX_OFFSET_PAGES:
            return _bad_request("Number of pages exceeds the limit")
        next_page = self._link(query, url, "page", str(page + 1))
        previous_page = self._link(query, url, "page", str(page - 1))
        return json_response(
            {
                self.name: found[(page - 1) * size : page * size],
                "count": len(found),
                "next_page": next_page if page * size < len(found) else None,
                "previous_page": previous_page if page > 1 else None,
            }
        )

    def _link(self, query: MultiMapping[str], url: str, name: str, value: str) -> str:
        kept = [(key, each) for key, each in query.items() if key not in {"page", name}]
        return f"{url}{self.path}?{urlencode([*kept, (name, value)])}"


#: The lists, by the streams that read them.
LISTS = {
    "agents": ListEndpoint("/api/v2/users"),
    "groups": ListEndpoint("/api/v2/groups"),
    "phone_numbers": ListEndpoint("/api/v2/channels/voice/phone_numbers", has_cursor=False),
}


def _is_requested(row: Row, query: MultiMapping[str]) -> bool:
    roles = [*query.getall("role[]", []), *query.getall("role", [])]
    is_excluded = row.get("deleted") and query.get("exclude_deleted", "true") != "false"
    return not is_excluded and (not roles or row.get("role") in roles)


def _bad_request(message: str) -> web.Response:
    return json_response({"error": {"title": "Invalid attribute", "message": message}}, 400)

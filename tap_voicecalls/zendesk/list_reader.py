"""Zendesk's lists, such as the groups of an account: read to their end, or an error.

From Zendesk's documentation, "Pagination": with `page[size]`, a list has cursor pagination, and
`meta.has_more` is false on the last page. Without it, or where an endpoint has none, as those of
Talk, it has offset pagination, and `next_page` is null on the last page.

Only the query of a link is followed, on the account's own host and path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import InvalidResponseError
from tap_voicecalls.http.urls import origin, query_of
from tap_voicecalls.zendesk.envelope import EnvelopeParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from requests.auth import AuthBase

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.sync.conform import Record, RecordConformer
    from tap_voicecalls.zendesk.rate_limit import RateLimit

#: The most rows of a page with cursor pagination.
PAGE_SIZE = 100
#: How many pages in a row may have no rows.
MAX_EMPTY_PAGES = 100


@dataclass(frozen=True)
class ZendeskList:
    """A list endpoint.

    Attributes:
        path: The path; its last part is the name of the list in a response.
        causes: Likely causes of a 403 or 404.
        parameters: Query parameters.
        has_cursor: Whether it has cursor pagination.
    """

    path: str
    causes: str
    parameters: tuple[tuple[str, str], ...] = ()
    has_cursor: bool = True

    @property
    def name(self) -> str:
        """The name of the list in a response."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class _Page:
    """A page, parsed.

    Attributes:
        records: The records of its rows.
        next_query: The query of the next page; None on the last page.
        count: The number of rows of the whole list; 0 if Zendesk does not state it.
    """

    records: list[Record]
    next_query: str | None
    count: int


class ListReader:
    """Reads one list.

    Attributes:
        repeated: How many rows were on more than one page: rows move while a list is read.
    """

    def __init__(  # noqa: PLR0913
        self,
        source: ZendeskList,
        *,
        url: str,
        client: ApiClient,
        auth: AuthBase,
        rate_limit: RateLimit,
        conformer: RecordConformer,
    ) -> None:
        """Prepare a reader; nothing is sent yet.

        Args:
            source: The list.
            url: The base URL of the account.
            client: Sends the requests.
            auth: The credentials.
            rate_limit: Observes the responses.
            conformer: Makes the records.
        """
        self._source = source
        self._base = f"{url}{source.path}"
        self._client = client
        self._auth = auth
        self._rate_limit = rate_limit
        fields = "meta", "links", "count", "next_page"
        self._parser = EnvelopeParser(source.name, fields, conformer)
        size = (("page[size]", str(PAGE_SIZE)),) if source.has_cursor else ()
        self._parameters = (*source.parameters, *size)
        self.repeated = 0

    def pages(self) -> Iterator[list[Record]]:
        """Yield the records of each page.

        Raises:
            VoiceCallsError: The list can't be read completely.
        """
        query: str | None = urlencode(self._parameters)
        visited: set[str] = set()
        found: set[Any] = set()
        count = empty_pages = 0
        while query is not None:
            if query in visited or empty_pages > MAX_EMPTY_PAGES:
                raise self._pagination_loop()
            visited.add(query)
            page = self._fetch(query)
            ids = {record.get("id") for record in page.records}
            if ids and ids <= found:
                raise self._pagination_loop()
            self.repeated += len(page.records) - len(ids - found)
            found |= ids
            count = max(count, page.count)
            empty_pages = 0 if ids else empty_pages + 1
            yield page.records
            query = page.next_query
        if len(found) < count:
            raise VoiceCallsError(
                f"Zendesk states {count} {self._source.name} and returned {len(found)}: the list "
                f"changed while it was read, or is cut off. Run the tap again, and contact Zendesk "
                f"if the error persists."
            )

    def _fetch(self, query: str) -> _Page:
        url = f"{self._base}?{query}" if query else self._base
        return self._client.send("GET", url, self._parse, auth=self._auth)

    def _pagination_loop(self) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk's pagination of {self._source.name} loops: it leads to pages that were read "
            f"before. Run the tap again, and contact Zendesk if the error persists."
        )

    def _parse(self, response: requests.Response) -> _Page:
        self._rate_limit.observe(response)
        records, envelope = self._parser.parse(response)
        if isinstance(envelope.meta, dict):
            next_query = self._next_by_cursor(envelope.meta, envelope.links, bool(records))
        elif self._source.has_cursor:
            raise InvalidResponseError(f"a page of {self._source.name} without `meta`")
        else:
            next_query = _query_of_link(envelope.next_page)
        count = envelope.count if isinstance(envelope.count, int) else 0
        return _Page(records, next_query, count)

    def _next_by_cursor(self, meta: dict[str, Any], links: object, has_rows: bool) -> str | None:  # noqa: FBT001
        """Return the query of the next page. Only `has_more` marks the end for sure."""
        has_more = meta.get("has_more")
        if has_more is False or (has_more is None and not has_rows):
            return None
        if (cursor := meta.get("after_cursor")) and isinstance(cursor, str):
            return urlencode((*self._parameters, ("page[after]", cursor)))
        next_query = _query_of_link(links.get("next") if isinstance(links, dict) else None)
        if next_query is None and has_more is not None:
            raise InvalidResponseError("a page that has a next one and does not lead to it")
        return next_query


def _query_of_link(link: object) -> str | None:
    """Return the query of a link, or None if there is none.

    Raises:
        InvalidResponseError: It is not a plain URL.
    """
    if link is None:
        return None
    if not isinstance(link, str) or origin(link) is None:
        raise InvalidResponseError("a link that is not a valid URL")
    return query_of(link)

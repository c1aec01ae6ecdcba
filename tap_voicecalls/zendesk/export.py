"""The incremental exports of Zendesk Talk: pages from a start time on, without a mark at the end.

From Zendesk's documentation, "Incremental Exports" of the Talk API: `start_time` is inclusive,
`end_time` is the newest time on the page and the `start_time` of `next_page`, and `next_page` is
never null: at the end it repeats the last page forever. No page size is documented, so no rule
here depends on one.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tap_voicecalls.errors import FatalApiError, VoiceCallsError
from tap_voicecalls.http.urls import same_origin
from tap_voicecalls.sync.slice import Slice
from tap_voicecalls.zendesk.page import PageParser, format_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    from requests.auth import AuthBase

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.sync.conform import RecordConformer
    from tap_voicecalls.zendesk.page import ExportPage

PATH = "/api/v2/channels/voice/stats/incremental"
#: Never request what is newer: Zendesk's other exports reject such a `start_time`.
MIN_AGE = timedelta(seconds=60)


class IncrementalExport:
    """The export of `calls` or of `legs`."""

    def __init__(  # noqa: PLR0913
        self,
        resource: str,
        *,
        url: str,
        client: ApiClient,
        auth: AuthBase,
        conformer: RecordConformer,
        logger: Logger,
    ) -> None:
        """Prepare an export; nothing is sent yet.

        Args:
            resource: `calls` or `legs`.
            url: The base URL of the account.
            client: Sends the requests.
            auth: The credentials.
            conformer: Makes the records.
            logger: Gets a line for each anomaly.
        """
        self._resource = resource
        self._base = url
        self._client = client
        self._auth = auth
        self._logger = logger
        self._parser = PageParser(resource, conformer)
        self._warned: set[str] = set()

    def slices(self, start: datetime, until: datetime) -> Iterator[Slice]:
        """Read pages until there is nothing more, or until one reaches `until`.

        Args:
            start: The earliest `updated_at`.
            until: Where to stop: an account that never goes quiet always has more.

        Raises:
            VoiceCallsError: The export can't be read completely.
        """
        requested = int(min(start, self._client.clock.now() - MIN_AGE).timestamp())
        url: str | None = self._url(requested)
        visited: set[str] = set()
        rechecked: str | None = None
        written: set[bytes] = set()  # the records of the second that the next page begins with
        largest = 0
        while url is not None:
            if url in visited:
                raise self._pagination_loop(requested)
            visited.add(url)
            page = self._fetch(url)
            if page is None or not page.records:
                return
            largest = max(largest, len(page.records))
            new = page.without(written, requested)
            cursor = requested if page.cursor is None else page.cursor
            if cursor < requested:
                raise self._pagination_loop(requested)
            advanced = cursor > requested
            if advanced:
                written.clear()
            written |= page.digests(cursor)
            yield Slice(new, datetime.fromtimestamp(cursor, timezone.utc))
            if page.end_time is None or cursor >= until.timestamp():
                return
            next_url = self._next_url(page)
            if next_url == url or not (advanced or new):
                # The end, or a full page of a single second: they look alike.
                if advanced or len(page.records) < largest or not self._has_records_after(cursor):
                    return
                if rechecked == url:
                    raise self._full_second(cursor)
                # Those records may be new: then a page that is not full has them, requested again.
                rechecked = url
                visited.discard(url)
                continue
            requested, url = cursor, next_url

    def _has_records_after(self, second: int) -> bool:
        page = self._fetch(self._url(second + 1))
        return page is not None and bool(page.records)

    def _pagination_loop(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk's pagination loops: after {format_epoch(second)} it leads to pages of "
            f"{self._resource} that were read before. The bookmark is safe; contact Zendesk."
        )

    def _full_second(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk has more {self._resource} in the one second {format_epoch(second)} than fit "
            f"on a page, and no way to request the rest. The bookmark stays there. To skip the "
            f"rest of that second, set the bookmark of zendesk_{self._resource} to "
            f"{format_epoch(second + 1)} by hand."
        )

    def _fetch(self, url: str) -> ExportPage | None:
        """Return a page, or None where Zendesk rejects the start time as too recent: the end."""
        try:
            page = self._client.send("GET", url, self._parser.parse, auth=self._auth)
        except FatalApiError as error:
            text = error.api_message.lower().replace(" ", "")
            if error.status in {400, 422} and "toorecent" in text:
                return None
            raise
        if page.count not in (len(page.records), None):
            self._warn_once(f"a page states {page.count} rows and has {len(page.records)}")
        if page.end_time is not None and page.newest != page.end_time:
            self._warn_once("end_time is not the newest updated_at; the earlier of them counts")
        return page

    def _next_url(self, page: ExportPage) -> str | None:
        """Return the URL of the next page: `next_page`, but only where our credentials belong."""
        if page.next_page is not None:
            if same_origin(page.next_page, self._base):
                return page.next_page
            self._warn_once("next_page leads to another host; end_time is followed instead")
        return None if page.end_time is None else self._url(page.end_time)

    def _url(self, start_time: int) -> str:
        query = urlencode({"start_time": start_time})
        return f"{self._base}{PATH}/{self._resource}?{query}"

    def _warn_once(self, anomaly: str) -> None:
        if anomaly not in self._warned:
            self._warned.add(anomaly)
            self._logger.warning("Zendesk %s: %s.", self._resource, anomaly)

"""The incremental exports of Zendesk Talk: pages from a start time on, without a mark at the end.

From Zendesk's documentation, "Incremental Exports" of the Talk API: `start_time` is inclusive,
`end_time` is the newest time on the page and the `start_time` of `next_page`, and `next_page` is
never null: at the end it repeats the last page forever. No page size is documented, so no rule
here depends on one.

`next_page` is followed where it agrees with the rows. Where it doesn't, the export continues from
what the rows prove: rather than skip a row it reads some twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tap_voicecalls.errors import FatalApiError, VoiceCallsError
from tap_voicecalls.http.urls import same_origin
from tap_voicecalls.sync.slice import Slice
from tap_voicecalls.timestamps import format_utc
from tap_voicecalls.zendesk.page import PageParser, format_epoch, parse_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from logging import Logger

    from requests.auth import AuthBase

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.sync.conform import RecordConformer
    from tap_voicecalls.zendesk.page import ExportPage

PATH = "/api/v2/channels/voice/stats/incremental"
#: Never request what is newer: Zendesk's other exports reject such a `start_time`.
MIN_AGE = timedelta(seconds=60)
#: A start time that is older can't be "too recent"; Zendesk's exports reject at most 5 minutes.
MAX_TOO_RECENT = timedelta(minutes=10)
#: Rows that are older were there before the sync started, however late they became visible.
SETTLED = timedelta(minutes=10)
#: How many pages in a row may not move the export forward.
MAX_STALLED_PAGES = 100


@dataclass
class _Position:
    """How far the export has been read.

    Attributes:
        url: The next request.
        second: Everything before this second has been read; the next page begins with it.
        overlap_end: The newest second that the next page may repeat.
        written: The digests of the records that it may repeat.
        visited: The requests so far.
        rechecked: The request that has been repeated because its response was doubtful.
        is_back: Whether the next request begins a second earlier, because of a doubtful response.
        stalled: The number of pages since the last one that moved the export forward.
        last_size: The size of the last page.
        largest: The size of the largest page.
        full_size: The size of the largest page that was followed by another; 0 if none was.
    """

    url: str
    second: int
    overlap_end: str = ""
    written: set[bytes] = field(default_factory=set)
    visited: set[str] = field(default_factory=set)
    rechecked: str = ""
    is_back: bool = False
    stalled: int = 0
    last_size: int = 0
    largest: int = 0
    full_size: int = 0


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

    def slices(self, start: datetime, until: Callable[[], datetime]) -> Iterator[Slice]:
        """Read pages until there is nothing more, or until everything before `until()` was read.

        Args:
            start: The earliest `updated_at`.
            until: Returns where to stop: an account that never goes quiet always has more.

        Raises:
            VoiceCallsError: The export can't be read completely.
        """
        second = int(min(start, self._client.clock.now() - MIN_AGE).timestamp())
        position: _Position | None = _Position(self._url(second), second)
        while position is not None:
            if position.url in position.visited or position.stalled > MAX_STALLED_PAGES:
                raise self._pagination_loop(position.second)
            position.visited.add(position.url)
            page = self._fetch(position)
            if page is None:
                return
            if page.records:
                limit = until()
                new = page.without(position.written, position.overlap_end)
                cursor = self._cursor(page, position, limit)
                yield Slice(new, datetime.fromtimestamp(cursor, timezone.utc))
                position = self._after_page(page, position, cursor, limit, has_new=bool(new))
            else:
                position = self._after_empty_page(page, position)

    def _cursor(self, page: ExportPage, position: _Position, limit: datetime) -> int:
        """Return the second before which everything has been read, with this page."""
        if page.newest is None:  # without any valid time the rows prove nothing
            return position.second
        newest = page.newest_before(format_utc(limit))
        if newest is None or (page.is_consistent and page.newest >= format_utc(limit)):
            return int(limit.timestamp())
        cursor = parse_second(newest)
        if cursor < position.second - position.is_back:
            raise self._pagination_loop(position.second)
        if page.end_time is not None and position.second < page.end_time < cursor:
            return page.end_time
        return cursor

    def _after_page(
        self,
        page: ExportPage,
        position: _Position,
        cursor: int,
        limit: datetime,
        *,
        has_new: bool,
    ) -> _Position | None:
        """Return where to continue after a page with rows, or None at the end."""
        if cursor >= int(limit.timestamp()):
            return None
        if has_new and cursor < (limit - SETTLED).timestamp():
            position.full_size = max(position.full_size, position.last_size)
        position.last_size = len(page.records)
        position.largest = max(position.largest, len(page.records))
        leads_on = self._leads_on(page, position)
        if leads_on and page.next_page and (page.is_consistent or page.is_consistent_without_rows):
            next_url = page.next_page
        else:
            next_url = self._url(cursor)
        if position.is_back and cursor <= position.second:  # still nothing from that second on
            return self._after_empty_page(page, position)
        if cursor > position.second:
            return self._advance(page, position, cursor, next_url)
        if page.newest is not None and page.newest > format_epoch(cursor):
            return None  # the page has rows beyond the second, so the second is complete
        if has_new and next_url not in position.visited:
            position.stalled += 1
            position.written |= page.digests(format_epoch(cursor))
            position.url = next_url
            return position
        return self._after_single_second(page, position)

    def _advance(
        self, page: ExportPage, position: _Position, cursor: int, next_url: str
    ) -> _Position:
        position.second, position.url = cursor, next_url
        position.stalled, position.is_back = 0, False
        start = format_epoch(cursor)
        position.written = page.digests(start)
        position.overlap_end = max(start, page.newest or start)
        return position

    def _after_single_second(self, page: ExportPage, position: _Position) -> _Position | None:
        """Return where to continue after a page that lies in the second that was requested.

        It is the end, or a full page of that second: they look alike.
        """
        if page.oldest is not None and page.oldest < format_epoch(position.second):
            raise self._pagination_loop(position.second)
        is_short = len(page.records) < position.largest
        is_doubtful = page.reaches_beyond(position.second) if is_short else not position.full_size
        if is_short and not is_doubtful:
            return None
        if is_doubtful:
            if not self._has_records_after(position):
                return None
            if position.rechecked != position.url:
                # Those records may be new: then the page has them, requested again.
                return self._recheck(position)
        if is_short:
            raise self._missing_records(position.second)
        raise self._full_second(position.second)

    def _after_empty_page(self, page: ExportPage, position: _Position) -> _Position | None:
        """Return where to continue after an empty page, or None at the end.

        An empty page is the end, unless something contradicts it: `next_page` leads on, or there
        were rows in the second that it should begin with. Then it is requested again, and from a
        second earlier, which has to return as many rows at least.
        """
        leads_on = self._leads_on(page, position)
        if not leads_on and not position.written:
            return None
        if position.rechecked != position.url and not position.is_back:
            return self._recheck(position)
        if not position.is_back:
            position.is_back = True
            position.url = self._url(position.second - 1)
            return position
        if self._has_records_after(position):
            raise self._missing_records(position.second)
        if not leads_on or page.next_page is None:
            return None
        position.stalled += 1
        position.url = page.next_page
        return position

    def _leads_on(self, page: ExportPage, position: _Position) -> bool:
        """Whether `next_page` is a request of our own that has not been sent yet."""
        return (
            page.next_page is not None
            and page.next_page not in position.visited
            and self._is_own(page.next_page)
            and (page.next_start is None or page.next_start >= position.second)
        )

    def _recheck(self, position: _Position) -> _Position:
        """Return the same position, to request it once more."""
        position.rechecked = position.url
        position.last_size = 0
        position.visited.discard(position.url)
        return position

    def _has_records_after(self, position: _Position) -> bool:
        page = self._send(self._url(position.second + 1), position.second + 1)
        return page is not None and bool(page.records)

    def _pagination_loop(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk's pagination loops: after {format_epoch(second)} it leads to pages of "
            f"{self._resource} that were read before. The bookmark is safe; contact Zendesk."
        )

    def _missing_records(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk does not return all {self._resource} from {format_epoch(second)} on: there "
            f"are later ones. The bookmark is safe; run the tap again, and contact Zendesk if the "
            f"error persists."
        )

    def _full_second(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk has more {self._resource} in the one second {format_epoch(second)} than fit "
            f"on a page, and no way to request the rest. The bookmark stays there. To skip the "
            f"rest of that second, set the bookmark of zendesk_{self._resource} to "
            f"{format_epoch(second + 1)} by hand."
        )

    def _fetch(self, position: _Position) -> ExportPage | None:
        """Return the page at a position, or None where there is nothing newer."""
        page = self._send(position.url, position.second)
        if page is None or not page.records:
            return page
        if page.newest is None:  # the response may be damaged: once more
            page = self._send(position.url, position.second) or page
        if page.count not in (len(page.records), None):
            self._warn_once(f"the count of a page is {page.count!s:.40}, not {len(page.records)}")
        if page.newest is not None and not page.is_consistent:
            self._warn_once(
                "end_time and next_page don't agree with the newest updated_at of a page; reading "
                "continues from the rows"
            )
        if page.next_page is not None and not self._is_own(page.next_page):
            self._warn_once("next_page leads to another host; reading continues from the rows")
        return page

    def _send(self, url: str, second: int) -> ExportPage | None:
        try:
            return self._client.send("GET", url, self._parser.parse, auth=self._auth)
        except FatalApiError as error:
            oldest = self._client.clock.now() - MAX_TOO_RECENT
            text = error.api_message.lower().replace(" ", "")
            if error.status in {400, 422} and "toorecent" in text and second >= oldest.timestamp():
                return None
            raise

    def _is_own(self, url: str | None) -> bool:
        """Whether the account's credentials belong to a URL."""
        return url is not None and same_origin(url, self._base)

    def _url(self, start_time: int) -> str:
        query = urlencode({"start_time": start_time})
        return f"{self._base}{PATH}/{self._resource}?{query}"

    def _warn_once(self, anomaly: str) -> None:
        if anomaly not in self._warned:
            self._warned.add(anomaly)
            self._logger.warning("Zendesk %s: %s.", self._resource, anomaly)

"""The incremental exports of Zendesk Talk: pages from a start time on, without a mark at the end.

From Zendesk's documentation, "Incremental Exports" of the Talk API: `start_time` is inclusive,
`end_time` is the newest time on the page and the `start_time` of `next_page`, and `next_page` is
never null: at the end it repeats the last page for ever. No page size is documented, so no rule
here depends on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlencode

import msgspec

from tap_voicecalls.errors import FatalApiError, VoiceCallsError
from tap_voicecalls.http.client import InvalidResponseError, read_json, same_origin
from tap_voicecalls.sync.conform import ConformingRow
from tap_voicecalls.timestamps import format_utc, is_utc_seconds, normalize_utc, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    import requests
    from requests.auth import AuthBase

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.sync.conform import AnyRow

PATH = "/api/v2/channels/voice/stats/incremental"
#: Never ask for what is newer than this: Zendesk's other exports refuse a `start_time` that is.
NEWEST_START = timedelta(seconds=60)

_ROWS = (dict, ConformingRow)

_canonical = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True)
class Page:
    """One page, without the rows that the page before it ended with.

    Attributes:
        rows: The rows, as they were sent.
        reached: Everything that changed before this second has been read.
    """

    rows: list[AnyRow]
    reached: datetime


@dataclass(frozen=True)
class _Answer:
    """What Zendesk sent for one request.

    Attributes:
        url: What was asked for.
        rows: The rows, as they were sent.
        changed: The second of each row's last change, as text; None without a readable one.
        end_time: The answer's own word for it; None where it sent none.
        next_page: The URL to go on with, on our own host; None where it sent none.
    """

    url: str
    rows: list[AnyRow]
    changed: list[str | None]
    end_time: int | None
    next_page: str | None

    @property
    def cursor(self) -> int | None:
        """Up to where the answer reaches: the smaller word of two that should be the same."""
        known = [second for second in (self.newest, self.end_time) if second is not None]
        return min(known, default=None)

    @property
    def newest(self) -> int | None:
        """The newest `updated_at` of the rows, in seconds since 1970; None without any."""
        newest = max((second for second in self.changed if second), default=None)
        return None if newest is None else int(parse_timestamp(newest).timestamp())

    def fresh(self, second: int, written: set[bytes]) -> list[AnyRow]:
        """The rows but for those of a second that were written already.

        Only the second that a page begins with can hold rows of the page before it. A row whose
        content changed within that second is another row.
        """
        if not written:
            return self.rows
        return [
            row
            for row, is_meant in zip(self.rows, self._are_of(second), strict=True)
            if not is_meant or _digest(row) not in written
        ]

    def digests(self, second: int) -> set[bytes]:
        """The contents of the rows of a second."""
        return {
            _digest(row)
            for row, is_meant in zip(self.rows, self._are_of(second), strict=True)
            if is_meant
        }

    def _are_of(self, second: int) -> list[bool]:
        """Whether each row is of a second, or may be."""
        meant = {_second(second), None}
        return [changed in meant for changed in self.changed]


class IncrementalExport:
    """The export of `calls` or of `legs`."""

    def __init__(  # noqa: PLR0913
        self,
        resource: str,
        row: type[ConformingRow],
        *,
        url: str,
        api: ApiClient,
        auth: AuthBase,
        logger: Logger,
    ) -> None:
        """Takes the way to the API; asks for nothing yet.

        Args:
            resource: `calls` or `legs`.
            row: What the rows of a page are decoded with, where all of them can be.
            url: The base URL of the account.
            api: Sends the requests.
            auth: The credentials.
            logger: Takes a line for each surprise.
        """
        self._resource = resource
        # Any, for the type checker knows typed dicts only by their source code.
        typed_dict: Any = TypedDict
        members = {resource: list[row], "count": Any, "end_time": Any, "next_page": Any}  # type: ignore[valid-type]
        self._exact = msgspec.json.Decoder(typed_dict("Body", members, total=False))
        self._base = url
        self._api = api
        self._auth = auth
        self._logger = logger
        self._warned: set[str] = set()

    def pages(self, start: datetime, until: datetime) -> Iterator[Page]:
        """Reads pages until there is nothing more, or until one reaches `until`.

        Args:
            start: The earliest `updated_at`.
            until: Where to stop: on an account that never goes quiet there is always more.

        Raises:
            VoiceCallsError: The export can't be read to its end.
        """
        asked = int(min(start, self._api.clock.now() - NEWEST_START).timestamp())
        url: str | None = self._url(asked)
        visited: set[str] = set()
        doubted: str | None = None
        written: set[bytes] = set()  # the rows of the second that the next page begins with
        largest = 0
        while url is not None:
            if url in visited:
                raise self._circle(asked)
            visited.add(url)
            answer = self._ask(url)
            if answer is None or not answer.rows:
                return
            largest = max(largest, len(answer.rows))
            fresh = answer.fresh(asked, written)
            cursor = asked if answer.cursor is None else answer.cursor
            if cursor < asked:
                raise self._circle(asked)
            moved = cursor > asked
            if moved:
                written.clear()
            written |= answer.digests(cursor)  # now, for the rows become records
            yield Page(fresh, datetime.fromtimestamp(cursor, timezone.utc))
            if answer.end_time is None or cursor >= until.timestamp():
                return
            if answer.next_page == url or not (moved or fresh):
                # The end, or a full page of a single second: they look alike.
                if moved or len(answer.rows) < largest or not self._has_rows_after(cursor):
                    return
                if doubted == url:
                    raise self._full_second(cursor)
                # Perhaps those rows came just now: a page that is not full shows them, asked again.
                doubted = url
                visited.discard(url)
                continue
            asked, url = cursor, answer.next_page

    def _has_rows_after(self, second: int) -> bool:
        later = self._ask(self._url(second + 1))
        return later is not None and bool(later.rows)

    def _circle(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk leads back from {_second(second)} to pages of {self._resource} that were "
            f"read before. The bookmark stays where it was safe; report it to Zendesk's support."
        )

    def _full_second(self, second: int) -> VoiceCallsError:
        return VoiceCallsError(
            f"Zendesk has more {self._resource} in the one second {_second(second)} than fit a "
            f"page, and no way to the rest of them. The bookmark stays there. To go on without the "
            f"rest of that second, set the bookmark of zendesk_{self._resource} to "
            f"{_second(second + 1)} by hand."
        )

    def _ask(self, url: str) -> _Answer | None:
        """Asks for one page; None where Zendesk calls the start too recent: there is no more."""
        try:
            return self._api.send("GET", url, lambda got: self._read(url, got), auth=self._auth)
        except FatalApiError as error:
            if error.status in {400, 422} and "toorecent" in error.words.lower().replace(" ", ""):
                return None
            raise

    def _read(self, url: str, response: requests.Response) -> _Answer:
        body = read_json(response, self._exact)
        rows = body.get(self._resource)
        if not isinstance(rows, list) or not all(isinstance(row, _ROWS) for row in rows):
            raise InvalidResponseError(f"JSON without the list {self._resource!r}")
        if any(type(row.get("id")) is not int for row in rows):
            raise InvalidResponseError(f"a row of {self._resource} without an id")
        if body.get("count") not in (len(rows), None):
            self._warn_once(f"an answer counts {body['count']} rows and holds {len(rows)}")
        end_time = body.get("end_time")
        if not isinstance(end_time, int):
            end_time = None
        changed = [second_of(row) for row in rows]
        answer = _Answer(url, rows, changed, end_time, self._next_url(body, end_time))
        if answer.newest != end_time and end_time is not None:
            self._warn_once("end_time is not the newest updated_at; the earlier of them counts")
        return answer

    def _next_url(self, body: dict[str, Any], end_time: int | None) -> str | None:
        """Where to go on: `next_page` as it is, but only where our credentials belong."""
        next_page = body.get("next_page")
        if isinstance(next_page, str) and next_page:
            if same_origin(next_page, self._base):
                return next_page
            self._warn_once("next_page leads to another host; it is not followed, end_time is")
        return None if end_time is None else self._url(end_time)

    def _url(self, start_time: int) -> str:
        query = urlencode({"start_time": start_time})
        return f"{self._base}{PATH}/{self._resource}?{query}"

    def _warn_once(self, surprise: str) -> None:
        if surprise not in self._warned:
            self._warned.add(surprise)
            self._logger.warning("Zendesk %s: %s.", self._resource, surprise)


def second_of(row: AnyRow) -> str | None:
    """The second of a row's last change, in the form of a bookmark; None without a readable one."""
    changed = row.get("updated_at")
    if not isinstance(changed, str):
        return None
    if is_utc_seconds(changed):  # as nearly always
        return changed
    try:
        return normalize_utc(changed)[:19] + "Z"
    except ValueError:
        return None


def _digest(row: AnyRow) -> bytes:
    fields = row if isinstance(row, dict) else row.fields()
    # A row may come exact on one page and not on the next: null is the same as nothing.
    sent = {name: value for name, value in fields.items() if value is not None}
    return blake2b(_canonical(sent), digest_size=16).digest()


def _second(second: int) -> str:
    return format_utc(datetime.fromtimestamp(second, timezone.utc))

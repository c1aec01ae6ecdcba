"""One page of an incremental export, as Zendesk returns it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec

from tap_voicecalls.counts import format_count
from tap_voicecalls.http.body import InvalidResponseError
from tap_voicecalls.timestamps import format_utc
from tap_voicecalls.zendesk.envelope import EnvelopeParser

if TYPE_CHECKING:
    import requests

    from tap_voicecalls.sync.conform import Record, RecordConformer

#: Seconds since 1970 of the last moment that a datetime can hold.
_MAX_EPOCH = 253_402_300_799

_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True)
class ExportPage:
    """A page, parsed.

    Zendesk states in three ways how far a page reaches: by its rows, by `end_time`, and by the
    `start_time` of `next_page`. Only the rows prove it.

    Attributes:
        records: The records of its rows.
        updated: The second of each record's last change, in the form of a bookmark; None without
            a valid one.
        count: The number of rows that Zendesk states, of any type.
        end_time: The newest time that Zendesk states, in seconds since 1970; None without one.
        next_page: The URL of the next page, not verified; None without one.
        has_odd_end_time: Whether `end_time` is set to something else than a timestamp.
    """

    records: list[Record]
    updated: list[str | None]
    count: object
    end_time: int | None
    next_page: str | None
    has_odd_end_time: bool

    @property
    def newest(self) -> str | None:
        """The newest second of the records."""
        return max((second for second in self.updated if second), default=None)

    @property
    def oldest(self) -> str | None:
        """The oldest second of the records."""
        return min((second for second in self.updated if second), default=None)

    def newest_before(self, limit: str) -> str | None:
        """Return the newest second of the records before a limit."""
        seconds = (second for second in self.updated if second and second < limit)
        return max(seconds, default=None)

    @property
    def next_start(self) -> int | None:
        """The `start_time` of `next_page`."""
        if self.next_page is None:
            return None
        try:
            values = parse_qs(urlsplit(self.next_page).query).get("start_time")
        except ValueError:
            return None
        return _to_number(values[-1]) if values else None

    def reaches_beyond(self, second: int) -> bool:
        """Whether Zendesk states that the page reaches beyond a second."""
        return max(self.end_time or 0, self.next_start or 0) > second

    @property
    def is_consistent(self) -> bool:
        """Whether what Zendesk states of the page agrees with its rows."""
        stated = [time for time in (self.end_time, self.next_start) if time is not None]
        if self.newest is None or not stated or self.has_odd_end_time:
            return False
        return all(time == parse_second(self.newest) for time in stated)

    @property
    def is_consistent_without_rows(self) -> bool:
        """Whether `end_time` and `next_page` agree on a page whose rows have no valid time."""
        return (
            self.newest is None and self.end_time is not None and self.end_time == self.next_start
        )

    def without(self, digests: set[bytes], until: str) -> list[Record]:
        """Return the records except those up to a second that have been written already.

        A record that changed within a second is another record.
        """
        if not digests:
            return self.records
        return [
            record
            for record, second in zip(self.records, self.updated, strict=True)
            if (second is not None and second > until) or _digest(record) not in digests
        ]

    def digests(self, start: str) -> set[bytes]:
        """Return the digests of the records from a second on, which the next page repeats."""
        return {
            _digest(record)
            for record, second in zip(self.records, self.updated, strict=True)
            if second is None or second >= start
        }


class PageParser:
    """Parses the pages of one resource."""

    def __init__(self, resource: str, conformer: RecordConformer) -> None:
        """Prepare a parser.

        Args:
            resource: `calls` or `legs`, the name of the list of rows.
            conformer: Makes the records.
        """
        self._parser = EnvelopeParser(resource, ("count", "end_time", "next_page"), conformer)

    def parse(self, response: requests.Response) -> ExportPage:
        """Parse a response.

        Raises:
            InvalidResponseError: It is not a page, lacks rows, or a row has no valid id.
        """
        records, envelope = self._parser.parse(response)
        count = _to_number(envelope.count)
        if count is not None and count > len(records):
            has = len(records) or "none"
            raise InvalidResponseError(
                f"a page that states {format_count(count, 'row')} and has {has}"
            )
        end_time = _to_number(envelope.end_time)
        next_page = envelope.next_page
        return ExportPage(
            records,
            [updated_second(record) for record in records],
            envelope.count,
            end_time,
            next_page if isinstance(next_page, str) and next_page else None,
            has_odd_end_time=end_time is None and envelope.end_time is not None,
        )


def updated_second(record: Record) -> str | None:
    """Return the second of a record's last change in the form of a bookmark, or None."""
    updated: str | None = record.get("updated_at")
    return None if updated is None else f"{updated[:19]}Z"


def format_epoch(second: int) -> str:
    """Format seconds since 1970 as a timestamp."""
    return format_utc(datetime.fromtimestamp(second, timezone.utc))


def parse_second(second: str) -> int:
    """Return the seconds since 1970 of a timestamp in the form of a bookmark."""
    return int(datetime.fromisoformat(f"{second[:19]}+00:00").timestamp())


def _to_number(value: object) -> int | None:
    """Return a whole number of any type that could be seconds since 1970, or None."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = Decimal(value)
        return int(number) if 0 <= number <= _MAX_EPOCH and number == int(number) else None
    except (ArithmeticError, ValueError):  # not a number, or not a finite one
        return None


def _digest(record: Record) -> bytes:
    return blake2b(_encode(record), digest_size=16).digest()

"""One page of an incremental export, as Zendesk returns it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from tap_voicecalls.http.body import InvalidResponseError, read_body
from tap_voicecalls.sync.conform import InvalidRowError
from tap_voicecalls.timestamps import format_utc, parse_timestamp

if TYPE_CHECKING:
    import requests

    from tap_voicecalls.sync.conform import Record, RecordConformer

_encode = msgspec.json.encode


@dataclass(frozen=True)
class ExportPage:
    """A page, parsed.

    Attributes:
        records: The records of its rows.
        updated: The second of each record's last change; None without a valid one.
        count: The number of rows that Zendesk states; None if it states none.
        end_time: The newest time on the page that Zendesk states, in seconds since 1970.
        next_page: The URL of the next page, not verified; None if there is none.
    """

    records: list[Record]
    updated: list[str | None]
    count: object
    end_time: int | None
    next_page: str | None

    @property
    def newest(self) -> int | None:
        """The newest `updated_at` of the records, in seconds since 1970."""
        newest = max((second for second in self.updated if second), default=None)
        return None if newest is None else int(parse_timestamp(newest).timestamp())

    @property
    def cursor(self) -> int | None:
        """How far the page reaches: the earlier of two values that should be the same."""
        return min(
            (time for time in (self.newest, self.end_time) if time is not None), default=None
        )

    def without(self, digests: set[bytes], second: int) -> list[Record]:
        """Return the records except those of one second that have been written already.

        Only the second that a page begins with can contain records of the page before it. A record
        that changed within that second is another record.
        """
        if not digests:
            return self.records
        return [
            record
            for record, is_in in zip(self.records, self._in_second(second), strict=True)
            if not is_in or _digest(record) not in digests
        ]

    def digests(self, second: int) -> set[bytes]:
        """Return the digests of the records of one second."""
        return {
            _digest(record)
            for record, is_in in zip(self.records, self._in_second(second), strict=True)
            if is_in
        }

    def _in_second(self, second: int) -> list[bool]:
        """Whether each record belongs to a second, or may."""
        candidates = {format_epoch(second), None}
        return [updated in candidates for updated in self.updated]


class PageParser:
    """Parses the pages of one resource."""

    def __init__(self, resource: str, conformer: RecordConformer) -> None:
        """Generate the type of the page's JSON.

        Args:
            resource: `calls` or `legs`, the name of the list of rows.
            conformer: Makes the records.
        """
        self._resource = resource
        self._conform = conformer.conform
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct(
                "Envelope",
                [
                    (resource, list[msgspec.Raw]),
                    ("count", Any, None),
                    ("end_time", Any, None),
                    ("next_page", Any, None),
                ],
            )
        ).decode

    def parse(self, response: requests.Response) -> ExportPage:
        """Parse a response.

        Raises:
            InvalidResponseError: It is not a page, or a row has no valid id.
        """
        try:
            envelope: Any = self._decode(read_body(response))
        except msgspec.ValidationError:
            raise InvalidResponseError(f"JSON without the list `{self._resource}`") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidResponseError("a body that is not JSON") from None
        try:
            records = [self._conform(row) for row in getattr(envelope, self._resource)]
        except InvalidRowError as error:
            raise InvalidResponseError(str(error)) from None
        next_page, end_time = envelope.next_page, envelope.end_time
        return ExportPage(
            records,
            [updated_second(record) for record in records],
            envelope.count,
            end_time if isinstance(end_time, int) else None,
            next_page if isinstance(next_page, str) and next_page else None,
        )


def updated_second(record: Record) -> str | None:
    """Return the second of a record's last change in the form of a bookmark, or None."""
    updated: str | None = record.get("updated_at")
    return None if updated is None else f"{updated[:19]}Z"


def format_epoch(second: int) -> str:
    """Format seconds since 1970 as a timestamp."""
    return format_utc(datetime.fromtimestamp(second, timezone.utc))


def _digest(record: Record) -> bytes:
    return blake2b(_encode(record, enc_hook=str), digest_size=16).digest()

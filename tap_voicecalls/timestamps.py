"""Timestamps: parsing, one text form in UTC, ranges, durations for people."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import cast

import pendulum

#: How far a local time can be from UTC.
MAX_UTC_OFFSET = timedelta(hours=14)
_DATE = (
    r"(?!0000)\d{4}-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_UTC_SECONDS = f"{_DATE}T{_TIME}Z"
#: A valid timestamp as the vendors usually write it: in UTC, in whole seconds, with `T` and `Z` or,
#: in most of Talkdesk's reports, with a blank and no time zone. February 29 and the year 0 don't
#: match, so that whatever matches is a real time.
USUAL_TIMESTAMP = f"(?:{_UTC_SECONDS}|{_DATE} {_TIME})"
_is_utc_seconds = re.compile(_UTC_SECONDS, re.ASCII).fullmatch
_is_timestamp = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE | re.ASCII
).fullmatch


@dataclass(frozen=True)
class DateRange:
    """A half-open range of time: `start` is included, `end` is not. No `end` means until now."""

    start: datetime
    end: datetime | None


def parse_timestamp(text: str) -> datetime:
    """Parse an RFC 3339 date or timestamp; without a time zone it is UTC.

    Raises:
        ValueError: The text is not a valid timestamp.
    """
    text = text.strip()
    if not _is_timestamp(text):
        raise ValueError(f"not an RFC 3339 timestamp: {text[:40]!r}")
    moment = cast("datetime", pendulum.parse(text.upper(), tz="UTC"))
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"a timestamp outside the calendar: {text!r}") from None
    # A plain datetime again: pendulum's differences can't be divided by each other.
    return datetime.combine(moment.date(), moment.time(), timezone.utc)


def format_utc(moment: datetime) -> str:
    """Format a moment in UTC, truncated to whole seconds.

    Every bookmark has this form. Its width is fixed because the SDK compares bookmarks as strings.
    """
    return moment.astimezone(timezone.utc).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def normalize_utc(text: str) -> str:
    """Convert a timestamp to UTC. Fractions of a second are kept.

    Raises:
        ValueError: The text is not a valid RFC 3339 timestamp.
    """
    if _is_utc_seconds(text):
        return text
    moment = parse_timestamp(text)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{format_utc(moment)[:-1]}{fraction}Z"


def format_duration(seconds: float) -> str:
    """Format a duration for people: `7 s`, `3 min`, `2 h 5 min`."""
    whole = math.ceil(seconds)
    if whole < 2 * 60:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

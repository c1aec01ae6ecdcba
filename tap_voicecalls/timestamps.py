"""Times: one clock for everything that waits or looks at the time, one text form in UTC."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast

import pendulum

if TYPE_CHECKING:
    from threading import Event

#: A time as the vendors usually write it: in UTC, in whole seconds.
UTC_SECONDS = r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ"
is_utc_seconds = re.compile(UTC_SECONDS).fullmatch
_IS_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.IGNORECASE
).fullmatch


class Clock:
    """The time, and waiting for it to pass. Tests travel by giving the tap another one."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that only ever go forward, for durations and deadlines."""
        return time.monotonic()

    def sleep(self, seconds: float, interrupt: Event | None = None) -> None:
        """Waits `seconds`, or until `interrupt` is set."""
        if interrupt is None:
            time.sleep(seconds)
        else:
            interrupt.wait(seconds)


def parse_timestamp(text: str) -> datetime:
    """Reads a date or a time as RFC 3339 writes it; without a zone it is UTC.

    Raises:
        ValueError: The text is no such time.
    """
    text = text.strip()
    if not _IS_TIME(text):
        raise ValueError(f"not an RFC 3339 time: {text[:40]!r}")
    moment = cast("datetime", pendulum.parse(text.upper(), tz="UTC"))
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"a time outside the calendar: {text!r}") from None
    # Plain again: pendulum's differences can't be divided by each other.
    return datetime.combine(moment.date(), moment.time(), timezone.utc)


def format_utc(moment: datetime) -> str:
    """A moment as text in UTC, cut to whole seconds.

    It is the form of every bookmark: of a fixed width, because the SDK compares bookmarks as text.
    """
    return moment.astimezone(timezone.utc).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def normalize_utc(text: str) -> str:
    """Rewrites a time to UTC; what the vendors usually send comes back unchanged.

    Fractions of a second are kept.

    Raises:
        ValueError: The text is no RFC 3339 time.
    """
    if is_utc_seconds(text):
        return text
    moment = parse_timestamp(text)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{format_utc(moment)[:-1]}{fraction}Z"


def format_duration(seconds: float) -> str:
    """A length of time for people, from seconds: `7 s`, `3 min`, `2 h 5 min`."""
    whole = math.ceil(seconds)
    if whole < 2 * 60:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

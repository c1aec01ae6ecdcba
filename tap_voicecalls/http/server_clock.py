"""The vendor's clock: the `Date` headers of its responses show where the local clock is wrong.

A bookmark from a clock that runs ahead skips rows for good, and a lookback is worth nothing on it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from logging import Logger

    import requests

    from tap_voicecalls.clock import Clock

#: `Date` has whole seconds, and a response takes some.
TOLERANCE = timedelta(seconds=30)
#: A `Date` that is older, or further ahead of the local clock, is not believed.
_EARLIEST = datetime(2026, 1, 1, tzinfo=timezone.utc)
_MAX_AHEAD = timedelta(days=1)


class ServerClock:
    """The difference between a vendor's clock and the local one."""

    def __init__(self, vendor: str, clock: Clock, logger: Logger) -> None:
        """Trust the local clock until a response contradicts it."""
        self._vendor = vendor
        self._clock = clock
        self._logger = logger
        self._offset = timedelta(0)
        self._has_warned = False

    def observe(self, response: requests.Response, sent_at: datetime) -> None:
        """Compare the `Date` of a response with the local time since it was requested."""
        try:
            date = parsedate_to_datetime(response.headers.get("Date", ""))
            received_at = self._clock.now()
            if not _EARLIEST < date < received_at + _MAX_AHEAD:
                return
        except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone
            return
        if date < sent_at - TOLERANCE:
            self._offset = date - sent_at
        elif date > received_at + TOLERANCE:
            self._offset = date - received_at
        else:
            self._offset = timedelta(0)
        if self._offset and not self._has_warned:
            self._has_warned = True
            self._logger.warning(
                "%s: the clock of this machine is %s %s the vendor's, which is used instead. "
                "Synchronize it, for example by NTP.",
                self._vendor,
                format_duration(abs(self._offset.total_seconds())),
                "behind" if self._offset > timedelta(0) else "ahead of",
            )

    def correct(self, moment: datetime) -> datetime:
        """Return a moment of the local clock as the vendor's clock shows it."""
        return moment + self._offset

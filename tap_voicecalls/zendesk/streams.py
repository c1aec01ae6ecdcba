"""The streams of Zendesk Talk."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tap_voicecalls.counts import format_count
from tap_voicecalls.sync.slice import Slice
from tap_voicecalls.sync.stream import VendorStream
from tap_voicecalls.timestamps import format_duration, format_utc
from tap_voicecalls.zendesk.account import ZendeskAccount
from tap_voicecalls.zendesk.page import updated_second

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import timedelta

    from tap_voicecalls.timestamps import DateRange


class _ExportStream(VendorStream[ZendeskAccount]):
    primary_keys = ("id",)
    replication_key = "updated_at"
    resource: ClassVar[str]

    @property
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""
        return self.account.settings.lookback

    def slices(self, date_range: DateRange) -> Generator[Slice]:
        """Read pages; each is a slice."""
        end = date_range.end
        export = self.account.export(self.resource, self.conformer, self.usage)
        for page in export.slices(date_range.start, partial(self.read_limit, end)):
            if end is None:
                yield page
            else:
                limit = format_utc(end)
                kept = [each for each in page.records if (updated_second(each) or "") < limit]
                yield Slice(kept, page.watermark)
        # The newest row may be older, but nothing came after it.
        self.result.read_up_to = self.read_limit(end)

    def progress_details(self, share: float) -> str:
        """Return the requests so far, and how long the rest takes."""
        per_minute = self.account.budget.requests_per_minute
        details = format_count(self.usage.requests, "request")
        if 0 < share < 1:
            remaining = math.ceil(self.slices_read / share) - self.slices_read
            duration = format_duration(60 * remaining / per_minute)
            details += f", about {duration} to go at {per_minute} per minute"
        return details


class ZendeskCalls(_ExportStream):
    """Calls, each again whenever it changes."""

    name = "zendesk_calls"
    resource = "calls"


class ZendeskLegs(_ExportStream):
    """Legs of calls: one for each agent, customer or other party of a call."""

    name = "zendesk_legs"
    resource = "legs"

"""The streams of Zendesk Talk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from tap_voicecalls.sync.stream import CallStream, Slice
from tap_voicecalls.timestamps import format_duration, format_utc
from tap_voicecalls.zendesk.export import second_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime, timedelta


class _ZendeskStream(CallStream):
    vendor = "Zendesk"
    primary_keys = ("id",)
    replication_key = "updated_at"
    resource: ClassVar[str]

    @property
    def lookback(self) -> timedelta:
        """How far the bookmark stays behind the start of the sync."""
        return self.voicecalls.zendesk_settings.lookback

    def slices(self, start: datetime, end: datetime | None) -> Generator[Slice]:
        """Reads pages; each is a portion."""
        until = self.max_bookmark if end is None else min(self.max_bookmark, end)
        export = self.voicecalls.zendesk.export(self.resource, self.shape.exact)
        for page in export.pages(start, until):
            rows = page.rows
            if end is not None:
                before = format_utc(end)
                rows = [row for row in rows if (second_of(row) or "") < before]
            yield Slice(rows, page.reached)

    def progress(self, share: float) -> str:
        """Requests of both streams so far, and how long the rest takes at the quota."""
        budget = self.voicecalls.zendesk.budget
        said = f"{budget.requests} requests"
        if 0 < share < 1:
            left = math.ceil(self.slices_read / share) - self.slices_read
            minutes = left / budget.requests_per_minute
            said += f", about {format_duration(60 * minutes)} to go at {budget.requests_per_minute} a minute"
        return said


class ZendeskCalls(_ZendeskStream):
    """Calls, each again whenever Zendesk changes it."""

    name = "zendesk_calls"
    resource = "calls"


class ZendeskLegs(_ZendeskStream):
    """Legs of calls: one for each agent, customer or other party of a call."""

    name = "zendesk_legs"
    resource = "legs"

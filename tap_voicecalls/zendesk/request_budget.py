"""The request budget of an account: the streams of this run share it, and other runs may."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.retry import RATE_LIMIT_TIMEOUT
from tap_voicecalls.http.urls import origin
from tap_voicecalls.timestamps import format_duration
from tap_voicecalls.zendesk.request_slots import MemorySlots, Quota
from tap_voicecalls.zendesk.shared_slots import SharedSlots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    from tap_voicecalls.clock import Clock
    from tap_voicecalls.http.usage import ApiUsage
    from tap_voicecalls.zendesk.request_slots import RequestSlots
    from tap_voicecalls.zendesk.settings import ZendeskSettings

#: Zendesk's limits apply to any period of so many seconds.
PERIOD = 60.0
#: Added to each wait, in seconds: a sleep is rounded, and may end too early by that.
_RESOLUTION = 0.001


class RequestBudget:
    """A sliding minute of requests. The first ones may be sent at once."""

    def __init__(
        self, requests_per_minute: int, slots: tuple[RequestSlots, ...], clock: Clock
    ) -> None:
        """Make a budget.

        Args:
            requests_per_minute: The quota, for the progress of the streams.
            slots: A request needs a slot of each of these.
            clock: The clock for waits.
        """
        self._slots = slots
        self._clock = clock
        self.requests_per_minute = requests_per_minute

    @contextmanager
    def acquire(self, usage: ApiUsage) -> Iterator[None]:
        """Wait for a request slot; the request is sent inside this context.

        Args:
            usage: Counts the wait.

        Raises:
            VoiceCallsError: Other runs have left no slot for too long.
        """
        request = uuid4().hex
        with ExitStack() as stack:
            for slots in self._slots:
                self._wait_for(slots, request, usage)
                stack.callback(slots.release, request)
            yield

    def _wait_for(self, slots: RequestSlots, request: str, usage: ApiUsage) -> None:
        started = self._clock.monotonic()
        while wait := slots.acquire(request):
            waited = self._clock.monotonic() - started
            if waited >= RATE_LIMIT_TIMEOUT:
                raise VoiceCallsError(
                    f"Zendesk: other runs have used up the request budget for "
                    f"{format_duration(waited)}. Run fewer at a time, or raise "
                    f"zendesk_requests_per_minute if the account's plan allows more requests."
                )
            with usage.waiting():
                self._clock.sleep(wait + _RESOLUTION)


def make_budget(settings: ZendeskSettings, clock: Clock, logger: Logger) -> RequestBudget:
    """Return the budget of an account, shared with other runs if the settings say where.

    A request takes a slot of this run too: without the shared ones, those still limit the run.
    """
    own = origin(settings.url)
    assert own is not None  # noqa: S101 - the settings have been validated
    quota = Quota(f"{own[1]}:{own[2]}", settings.requests_per_minute, PERIOD)
    slots: tuple[RequestSlots, ...] = (MemorySlots(quota, clock),)
    if settings.quota_store is not None:
        slots = (SharedSlots(settings.quota_store, quota, clock, logger), *slots)
    return RequestBudget(settings.requests_per_minute, slots, clock)

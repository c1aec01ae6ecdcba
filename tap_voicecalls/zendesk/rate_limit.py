"""The general rate limit of an account, which all endpoints but the exports have.

From Zendesk's documentation, "Rate limits": `ratelimit-remaining` is how many requests are left,
`ratelimit-reset` is in how many seconds there are new ones. The limit depends on the plan, and
other clients of the account use it too, so that only the responses tell how much of it is left.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_voicecalls.http.retry import MAX_WAIT
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    import requests

    from tap_voicecalls.clock import Clock
    from tap_voicecalls.http.usage import ApiUsage


class RateLimit:
    """What is left of the limit, as the last response stated it."""

    def __init__(self, clock: Clock, logger: Logger) -> None:
        """Start without a response."""
        self._clock = clock
        self._logger = logger
        self._resets_at = 0.0

    def observe(self, response: requests.Response) -> None:
        """Note when the next request may be sent, if a response states that none is left."""
        remaining = response.headers.get("ratelimit-remaining", "").strip()
        reset = response.headers.get("ratelimit-reset", "").strip()
        if remaining == "0" and reset.isascii() and reset.isdigit():
            wait = min(float(reset), MAX_WAIT)
            self._resets_at = self._clock.monotonic() + wait

    @contextmanager
    def acquire(self, usage: ApiUsage) -> Iterator[None]:
        """Wait until a request may be sent; it is sent inside this context.

        Args:
            usage: Counts the wait.
        """
        wait = self._resets_at - self._clock.monotonic()
        if wait > 0:
            self._logger.info(
                "Zendesk: the rate limit of the account is used up; continuing in %s.",
                format_duration(wait),
            )
            with usage.waiting():
                self._clock.sleep(wait)
        yield

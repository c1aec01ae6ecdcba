"""When a request is retried, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import backoff

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_voicecalls.clock import Clock

#: For how many seconds a request is retried after transient errors.
RETRY_TIMEOUT = 5 * 60.0
#: For how many seconds it is retried while a rate limit is reached, which others may be using up.
RATE_LIMIT_TIMEOUT = 30 * 60.0
#: No single wait is longer, in seconds, whatever `Retry-After` says.
MAX_WAIT = 10 * 60.0
#: The longest pause between two retries that don't say how long to wait, in seconds.
_MAX_BACKOFF = 60


class Action(Enum):
    """What to do about a response that is not the expected one."""

    FAIL = auto()
    RETRY = auto()
    WAIT_FOR_RATE_LIMIT = auto()
    REFRESH_TOKEN = auto()


#: What a status means at any API. All others fail.
DEFAULT_ACTIONS: Mapping[int, Action] = {
    401: Action.REFRESH_TOKEN,
    409: Action.RETRY,
    429: Action.WAIT_FOR_RATE_LIMIT,
    **dict.fromkeys(range(500, 600), Action.RETRY),
}


@dataclass(frozen=True)
class RetryPolicy:
    """How one API's responses are handled.

    Attributes:
        actions: What to do, by HTTP status; a status that is not listed fails.
        rate_limit_wait: How long to wait after a 429 without `Retry-After`, in seconds.
    """

    actions: Mapping[int, Action] = field(default_factory=lambda: DEFAULT_ACTIONS)
    rate_limit_wait: float = 60.0

    def action(self, status: int) -> Action:
        """Return what to do about a status."""
        return self.actions.get(status, Action.FAIL)


class RetriableApiError(Exception):
    """A request that failed in a way that may pass.

    Attributes:
        wait: After how many seconds to retry; None for exponential backoff.
        timeout: For how many seconds the request is retried.
        hint: What to do if it still fails then.
    """

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        timeout: float = RETRY_TIMEOUT,
        hint: str = "Run the tap again later: it resumes from its last bookmark.",
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.timeout = timeout
        self.hint = hint


class UnreachableHostError(RetriableApiError):
    """A host that could not be connected to."""


class RateLimitError(RetriableApiError):
    """A response with 429: the vendor's quota is used up."""


class Retries:
    """The retries of one request."""

    def __init__(self, clock: Clock) -> None:
        """Start without any."""
        self._clock = clock
        #: When the errors with a timeout began, by that timeout.
        self._began: dict[float, float] = {}
        self._backoff = backoff.expo(max_value=_MAX_BACKOFF)
        next(self._backoff)  # backoff's generators yield nothing the first time

    def next_wait(self, error: RetriableApiError) -> float:
        """Return after how many seconds to retry.

        Raises:
            VoiceCallsError: The request has been retried for long enough.
        """
        now = self._clock.monotonic()
        elapsed = now - self._began.setdefault(error.timeout, now)
        if elapsed >= error.timeout:
            retries = f"; still failing after {format_duration(elapsed)} of retries"
            raise VoiceCallsError(f"{error}{retries if elapsed else ''}. {error.hint}") from None
        if error.wait is not None:
            return error.wait
        return min(float(backoff.full_jitter(next(self._backoff))), error.timeout - elapsed)

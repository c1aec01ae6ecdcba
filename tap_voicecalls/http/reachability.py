"""Which hosts could be reached in a run, so that one that can't be costs its wait only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.retry import RETRY_TIMEOUT
from tap_voicecalls.http.urls import origin

if TYPE_CHECKING:
    from tap_voicecalls.http.urls import Origin

#: For how many seconds a host is tried that no request has reached yet: its name does not exist, it
#: refuses connections, or TLS fails. That is mostly a wrong setting.
UNREACHABLE_TIMEOUT = 30.0


class Reachability:
    """What a run knows about hosts; all clients of the run share it.

    Attributes:
        patient: Whether requests to a host that can't be reached are retried.
    """

    def __init__(self) -> None:
        """Start without knowing any host."""
        self.patient = True
        self._reached: set[Origin | None] = set()
        self._failures: dict[Origin | None, str] = {}

    def require(self, url: str) -> None:
        """Check that a URL's host has not been given up.

        Raises:
            VoiceCallsError: It has; the message is the same as then.
        """
        if message := self._failures.get(origin(url)):
            raise VoiceCallsError(message)

    def add_response(self, url: str) -> None:
        """Record that a URL's host has responded: what fails from now on may pass."""
        self._reached.add(origin(url))

    def give_up(self, url: str, message: str) -> None:
        """Record that a URL's host can't be reached, and why."""
        self._failures[origin(url)] = message

    def timeout(self, url: str) -> float:
        """Return for how many seconds a URL's host is tried."""
        if origin(url) in self._reached:
            return RETRY_TIMEOUT
        return UNREACHABLE_TIMEOUT if self.patient else 0.0

"""OAuth access tokens, shared by threads and refreshed before they expire."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from tap_voicecalls.clock import Clock

#: The shortest lifetime of a token that is believed, in seconds.
_MIN_LIFETIME = 10.0


@dataclass(frozen=True)
class Token:
    """An access token and its lifetime in seconds."""

    value: str
    lifetime: float


def parse_token_response(body: Mapping[str, Any], *, default_lifetime: float) -> Token | None:
    """Return the token in a token endpoint's response, or None without one for a header.

    Args:
        body: The response's JSON object.
        default_lifetime: The lifetime where the response does not state one, in seconds.
    """
    value = body.get("access_token")
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        return None
    try:
        lifetime = float(body.get("expires_in", 0))
    except (TypeError, ValueError, OverflowError):
        lifetime = 0.0
    # A shorter lifetime would cost a token for each request.
    return Token(value, lifetime if _MIN_LIFETIME <= lifetime < math.inf else default_lifetime)


class BearerAuth(AuthBase):
    """An OAuth bearer token that is fetched when needed and refreshed before it expires."""

    def __init__(self, fetch: Callable[[], Token], clock: Clock) -> None:
        """Store how to fetch a token; none is fetched yet."""
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refresh_at = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request."""
        request.headers["Authorization"] = f"Bearer {self.token()}"
        return request

    def token(self) -> str:
        """Return the current token; fetch one if there is none or it is about to expire."""
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._refresh_at:
                fetched_at = self._clock.monotonic()
                self._token = self._fetch()
                # A minute early, or a tenth of a short lifetime: the request takes time too.
                leeway = min(60.0, self._token.lifetime / 10)
                self._refresh_at = fetched_at + self._token.lifetime - leeway
            return self._token.value

    def invalidate(self, request: requests.PreparedRequest) -> None:
        """Discard the token that a request carried, so that the next request gets a new one."""
        with self._lock:
            # Another thread may have replaced it already.
            sent = request.headers.get("Authorization")
            if self._token and sent == f"Bearer {self._token.value}":
                self._token = None

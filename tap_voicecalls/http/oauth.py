"""OAuth access tokens: shared by threads, and made anew before they end."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from tap_voicecalls.timestamps import Clock


@dataclass(frozen=True)
class Token:
    """An access token and for how many seconds it is good."""

    text: str
    seconds: float


def read_token(answer: Mapping[str, Any], *, usual_seconds: float) -> Token | None:
    """The token in the answer of a token endpoint; None if there is none.

    Args:
        answer: The answer.
        usual_seconds: For how long it is good where the answer does not say, in seconds.
    """
    text = answer.get("access_token")
    if not isinstance(text, str) or not text:
        return None
    try:
        seconds = float(answer.get("expires_in") or usual_seconds)
    except (TypeError, ValueError):
        seconds = usual_seconds
    return Token(text, seconds)


class BearerAuth(AuthBase):
    """An OAuth bearer token, shared by threads and made anew before it ends."""

    def __init__(self, fetch: Callable[[], Token], clock: Clock) -> None:
        """Takes the way to a new token; asks for none yet."""
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._good_until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Puts the token on a request."""
        request.headers["Authorization"] = f"Bearer {self.token()}"
        return request

    def token(self) -> str:
        """The token now in use: a new one if there is none or it is about to end."""
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._good_until:
                asked_at = self._clock.monotonic()
                self._token = self._fetch()
                # A minute early, or a tenth of a short life: the request still has to get there.
                early = min(60.0, self._token.seconds / 10)
                self._good_until = asked_at + self._token.seconds - early
            return self._token.text

    def invalidate(self, request: requests.PreparedRequest) -> bool:
        """Drops the token that a request carried, so that the next request gets a new one.

        Returns:
            Whether another try can carry another token: always, for a token that can be made anew.
        """
        with self._lock:
            # Another thread may have replaced it already.
            if self._token and request.headers.get("Authorization") == f"Bearer {self._token.text}":
                self._token = None
        return True

"""The session that requests are sent with: bounded responses, no redirects, no URLs in any log."""

from __future__ import annotations

import io
import logging
import os
import ssl
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from requests.adapters import HTTPAdapter

from tap_voicecalls.errors import ConfigError
from tap_voicecalls.http.error_messages import redact

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

    from tap_voicecalls.clock import Clock

#: How long a response may take from its first byte to its last, in seconds: this, and more for a
#: large one that arrives at `MIN_RATE` bytes per second or faster, but never more than the maximum.
RESPONSE_TIMEOUT = 10 * 60.0
MIN_RATE = 64 * 1024
MAX_RESPONSE_TIMEOUT = 60 * 60.0
#: The loggers of urllib3 whose lines contain URLs, which may be presigned.
_URL_LOGGERS = "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"
#: What requests reads the certificates of authorities from, instead of its own.
_CA_BUNDLE_VARIABLES = "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"


def make_session(clock: Clock, user_agent: str) -> requests.Session:
    """Return a session for one API.

    Raises:
        ConfigError: The certificates that the environment names can't be read.
    """
    _check_ca_bundle()
    for name in _URL_LOGGERS:
        logging.getLogger(name).addFilter(_redact_record)
    session = _Session()
    # Neither API needs cookies, and a malformed one would spoil each later request.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(clock))
    return session


class _Session(requests.Session):
    """A session for which redirects are responses like any other.

    With `allow_redirects=False`, requests still parses the target and reads the whole body.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: credentials never follow a redirect."""


class _Adapter(HTTPAdapter):
    """An adapter whose responses have a deadline."""

    def __init__(self, clock: Clock) -> None:
        """Store the clock."""
        self._response_class = type("TimedResponse", (_TimedResponse,), {"clock": clock})
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """Return the pool of connections for a request; called for each request."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        connection: Any = pool.ConnectionCls
        if connection.response_class is not self._response_class:
            name, members = connection.__name__, {"response_class": self._response_class}
            pool.ConnectionCls = type(name, (connection,), members)
        return pool


class _TimedResponse(HTTPResponse):
    """A response, from its status line on, that ends by its deadline."""

    clock: ClassVar[Clock]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Read from the socket through `_TimedReader`."""
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), self.clock))


class _TimedReader(io.RawIOBase):
    """The bytes of a response as they arrive.

    The timeouts of requests are for each read of the socket alone: a response that trickles in
    would never end. A deadline between the chunks of a body is too late, as urllib3 waits for a
    chunk, and for all headers.
    """

    def __init__(self, raw: io.RawIOBase, clock: Clock) -> None:
        self._raw = raw
        self._clock = clock
        self._first_at: float | None = None
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        count = self._raw.readinto(buffer)
        now = self._clock.monotonic()
        self._first_at = now if self._first_at is None else self._first_at
        self._received += count or 0
        timeout = min(RESPONSE_TIMEOUT + self._received / MIN_RATE, MAX_RESPONSE_TIMEOUT)
        if now - self._first_at > timeout:
            raise TimeoutError("the response is not complete at its deadline")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _check_ca_bundle() -> None:
    variable = next((name for name in _CA_BUNDLE_VARIABLES if os.environ.get(name)), None)
    if variable is None:
        return
    path = Path(os.environ[variable])
    try:
        _load_certificates(path)
    except OSError as error:  # also ssl's own
        raise ConfigError(
            f"{variable}: no certificates could be read from {str(path)!r} ({error.strerror}). "
            f"Set it to a PEM file of certificates, or unset it."
        ) from None


@cache  # takes 20 ms for a usual bundle, and each client asks
def _load_certificates(path: Path) -> None:
    if path.is_dir():
        next(path.iterdir(), None)
    else:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


def _redact_record(record: logging.LogRecord) -> bool:
    """Redact a log record, whatever level a log configuration sets."""
    record.msg, record.args = redact(record.getMessage(), ()), ()
    record.exc_info = None  # may quote headers, such as `Location`
    return True

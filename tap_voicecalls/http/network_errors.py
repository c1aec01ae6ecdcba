"""Network failures, as the exceptions of requests and urllib3 describe them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from socket import gaierror
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError, LocationValueError

from tap_voicecalls.http.error_messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Errors about a URL itself; urllib3's is raised for a host name that is too long.
INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)
#: A connection that ended before the response did.
BROKEN_CONNECTION = requests.ConnectionError, requests.exceptions.ChunkedEncodingError
#: Bytes that are not the HTTP, or not the compression, that the headers promise.
MALFORMED_RESPONSE = (
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidHeader,
    HTTPError,
)
_SSL_INTERRUPTIONS = ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError


@dataclass(frozen=True)
class ConnectionProblem:
    """Why a host could not be connected to.

    Attributes:
        text: What happened, for a message.
        check: What to check on this machine.
        is_proxy: Whether the proxy failed, not the host behind it.
        is_certificate: Whether a certificate is not trusted.
    """

    text: str
    check: str
    is_proxy: bool
    is_certificate: bool = False


def connection_problem(error: BaseException, host: str) -> ConnectionProblem | None:
    """Return why a host could not be connected to; None if the connection timed out or broke.

    The texts of requests' own errors contain whole URLs, also presigned ones.
    """
    causes = list(_causes(error))
    is_proxy = any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes)
    subject = f"the proxy for {host}" if is_proxy else host
    for cause in causes:
        match cause:
            case gaierror():
                text = f"the host name of {subject}" if is_proxy else f"the host name {host}"
                return ConnectionProblem(f"{text} could not be resolved", "the DNS", is_proxy)
            case ConnectionRefusedError():
                return ConnectionProblem(
                    f"{subject} refused the connection", "the firewall", is_proxy
                )
            case ssl.SSLCertVerificationError():
                return ConnectionProblem(
                    f"the certificate of {subject} is not trusted ({cause.verify_message})",
                    "REQUESTS_CA_BUNDLE",
                    is_proxy,
                    is_certificate=True,
                )
            case ssl.SSLError() if not isinstance(cause, _SSL_INTERRUPTIONS):
                reason = (cause.reason or "unknown reason").replace("_", " ").lower()
                return ConnectionProblem(
                    f"the TLS handshake with {subject} failed ({reason})", "HTTPS_PROXY", is_proxy
                )
            case OSError() if str(cause).startswith("Tunnel connection failed"):
                status = printable(str(cause).rpartition("failed: ")[2])[:60]
                return ConnectionProblem(
                    f"{subject} refused to connect to it ({status})", "HTTPS_PROXY", is_proxy
                )
            case _:
                pass
    return None


def is_timeout(error: BaseException) -> bool:
    """Whether a request, or the body of its response, timed out."""
    return any(isinstance(cause, TimeoutError | requests.Timeout) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised for; requests and urllib3 nest them in four ways."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and not any(found is other for other in seen):
        yield found
        seen.append(found)
        inner = getattr(found, "reason", None), found.__cause__, *reversed(found.args)
        found = next((cause for cause in inner if isinstance(cause, BaseException)), None)

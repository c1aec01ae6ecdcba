"""The HTTP client of a vendor's API: it retries what may pass and reports what does not."""

from __future__ import annotations

import logging
import math
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from tap_voicecalls.errors import FatalApiError, VoiceCallsError
from tap_voicecalls.http.body import InvalidResponseError
from tap_voicecalls.http.error_messages import api_error_message
from tap_voicecalls.http.oauth import BearerAuth
from tap_voicecalls.http.retry import (
    MAX_WAIT,
    RATE_LIMIT_TIMEOUT,
    Action,
    RetriableApiError,
    Retries,
    RetryPolicy,
)
from tap_voicecalls.http.urls import host_of, path_of
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from requests.auth import AuthBase

    from tap_voicecalls.clock import Clock

T = TypeVar("T")

#: Seconds to connect, and between two chunks of a response.
TIMEOUT = (10.0, 120.0)


@dataclass(frozen=True)
class ApiProfile:
    """What the client has to know about an API.

    Attributes:
        vendor: The vendor's name, for messages.
        hint: What to do about an HTTP status that is not retried.
        retry: Which responses are retried.
        secrets: Strings that no message may contain.
        request_id_header: The response header that the vendor's support needs.
        certificate_hint: What else an untrusted certificate may mean.
    """

    vendor: str
    hint: Callable[[int], str]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    secrets: tuple[str, ...] = ()
    request_id_header: str | None = None
    certificate_hint: str = ""


class ApiClient:
    """One vendor's API over HTTP."""

    def __init__(  # noqa: PLR0913
        self,
        profile: ApiProfile,
        *,
        clock: Clock,
        user_agent: str,
        logger: logging.Logger,
        acquire: Callable[[], AbstractContextManager[object]] = nullcontext,
        stop: threading.Event | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            profile: The API.
            clock: The clock for waits and deadlines.
            user_agent: The `User-Agent` header.
            logger: Gets a line for each retry.
            acquire: Requests are sent inside this context; it may wait for a request slot.
            stop: Once it is set, waits end and no further request is sent.
        """
        # urllib3's debug lines contain whole URLs, also presigned ones: no log configuration may
        # ask for them.
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self.vendor = profile.vendor
        self.clock = clock
        self.logger = logger
        self._profile = profile
        self._acquire = acquire
        self._stop = stop or threading.Event()
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def send(  # noqa: PLR0913
        self,
        method: str,
        url: str,
        parse: Callable[[requests.Response], T],
        *,
        auth: AuthBase | None = None,
        accept: Collection[int] = (HTTPStatus.OK,),
        json: dict[str, Any] | None = None,
        form: dict[str, str] | None = None,
    ) -> T:
        """Send a request, and retry it until there is a response that can be parsed.

        Redirects are responses like any other: credentials never follow one.

        Args:
            method: The HTTP method.
            url: The whole URL.
            parse: Parses a response; it may raise `InvalidResponseError`.
            auth: The credentials; without, none are sent.
            accept: The statuses that `parse` handles.
            json: A JSON body.
            form: A form body.

        Raises:
            FatalApiError: The API returned an error that a retry does not change.
            VoiceCallsError: The request still fails after retries.
        """
        name = f"{method} {path_of(url)}"
        retries = Retries(self.clock)
        may_refresh = isinstance(auth, BearerAuth)
        while True:
            try:
                with (
                    self._acquire(),
                    self._session.request(
                        method,
                        url,
                        # Without any, requests would look for credentials in ~/.netrc.
                        auth=auth or (lambda request: request),
                        json=json,
                        data=form,
                        timeout=TIMEOUT,
                        allow_redirects=False,
                        stream=True,
                    ) as response,
                ):
                    if response.status_code in accept:
                        return parse(response)
                    action = self._profile.retry.action(response.status_code)
                    if action is Action.REFRESH_TOKEN and may_refresh:
                        assert isinstance(auth, BearerAuth)  # noqa: S101 - for the type checker
                        auth.invalidate(response.request)
                        may_refresh = False
                        continue
                    raise self._response_error(response, action, name)
            except RetriableApiError as error:
                retriable = error
            except InvalidResponseError as error:
                retriable = RetriableApiError(f"{self.vendor} returned {error} for {name}")
            except requests.RequestException as error:
                retriable = self._transport_error(error, url, name)
            except ValueError:  # requests parses where a redirect leads to, though it follows none
                retriable = RetriableApiError(
                    f"{self.vendor} returned a redirect to an invalid URL for {name}"
                )
            wait = retries.next_wait(retriable)
            self.logger.warning("%s; retrying in %s.", retriable, format_duration(wait))
            self.sleep(wait)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the run is being stopped.

        Raises:
            VoiceCallsError: The run is being stopped.
        """
        self.clock.sleep(seconds, self._stop)
        if self._stop.is_set():
            raise VoiceCallsError(f"{self.vendor}: the run is being stopped.")

    def _response_error(
        self, response: requests.Response, action: Action, name: str
    ) -> RetriableApiError | FatalApiError:
        """Return the error for a response with a status that is not accepted."""
        status = response.status_code
        sent = response.request.headers.get("Authorization", "").split()[1:]
        api_message = api_error_message(response, secrets=(*self._profile.secrets, *sent))
        details = f"{status} {_phrase(status)}".rstrip()
        details += f' for {name}: "{api_message}"' if api_message else f" for {name}"
        header = self._profile.request_id_header
        if header and (request_id := response.headers.get(header)):
            details += f" ({header} {request_id[:80]}, for {self.vendor}'s support)"
        wait = retry_after(response, self.clock.now())
        if action is Action.WAIT_FOR_RATE_LIMIT:
            return RetriableApiError(
                f"{self.vendor}: rate limit reached ({details})",
                wait=wait or self._profile.retry.rate_limit_wait,
                timeout=RATE_LIMIT_TIMEOUT,
            )
        message = f"{self.vendor} returned {details}"
        if action is Action.RETRY:
            return RetriableApiError(message, wait=wait)
        if 300 <= status < 400:  # noqa: PLR2004 - a redirect
            target = host_of(response.headers.get("Location", ""))
            hint = f"It redirects to {target}: check the account's name or URL in the settings."
        else:
            hint = self._profile.hint(status)
        return FatalApiError(f"{message}. {hint}", status=status, api_message=api_message)

    def _transport_error(
        self, error: requests.RequestException, url: str, name: str
    ) -> RetriableApiError:
        """Return the retriable error for a failure of the network.

        The texts of requests' own errors contain whole URLs, also presigned ones.

        Raises:
            VoiceCallsError: A retry does not help.
        """
        host = host_of(url)
        if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in str(error):
            hint = f" {self._profile.certificate_hint}" if self._profile.certificate_hint else ""
            raise VoiceCallsError(
                f"{self.vendor}: the certificate of {host} is not trusted. Check the account's "
                f"name in the settings and REQUESTS_CA_BUNDLE.{hint}"
            ) from None
        if isinstance(error, requests.Timeout):
            return RetriableApiError(f"{self.vendor}: {host} timed out for {name}")
        if isinstance(
            error,
            requests.ConnectionError
            | requests.exceptions.ChunkedEncodingError
            | requests.exceptions.ContentDecodingError,
        ):
            return RetriableApiError(f"{self.vendor}: the connection to {host} broke for {name}")
        raise VoiceCallsError(
            f"{self.vendor}: {name} could not be sent to {host} ({type(error).__name__}). "
            f"Check the vendor's settings, and HTTPS_PROXY if it is set."
        ) from None


def retry_after(response: requests.Response, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` requests, or None without a usable value.

    Whole seconds, fractions, HTTP dates, 0 and negative numbers occur. The last two say nothing.
    """
    header = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):  # not a date, or one without a time zone
            return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_WAIT)


def _phrase(status: int) -> str:
    """Return HTTP's own phrase for a status, such as Forbidden; empty for an unknown status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

"""The HTTP client of a vendor's API: it retries what may pass and reports what does not."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import urllib3

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import InvalidResponseError
from tap_voicecalls.http.error_messages import printable
from tap_voicecalls.http.network_errors import (
    BROKEN_CONNECTION,
    INVALID_URL,
    MALFORMED_RESPONSE,
    connection_problem,
    is_timeout,
)
from tap_voicecalls.http.oauth import BearerAuth
from tap_voicecalls.http.retry import (
    Action,
    RateLimitError,
    RetriableApiError,
    Retries,
    RetryPolicy,
    UnreachableHostError,
)
from tap_voicecalls.http.session import make_session
from tap_voicecalls.http.status_errors import status_error
from tap_voicecalls.http.urls import host_of, path_of
from tap_voicecalls.http.usage import ApiUsage
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from requests.auth import AuthBase

    from tap_voicecalls.http.server_clock import ServerClock
    from tap_voicecalls.sync.context import RunContext

T = TypeVar("T")

#: Seconds to connect, and to the next bytes of a response; for all of it see `session.py`.
TIMEOUT = (10.0, 120.0)
_MAX_PATH = 200


@dataclass(frozen=True)
class ApiProfile:
    """What the client has to know about an API.

    Attributes:
        vendor: The vendor's name, for messages.
        hint: What to do about an HTTP status that is not retried.
        host_settings: The settings that the API's host follows from, for messages.
        retry: Which responses are retried.
        secrets: Strings that no message may contain.
        request_id_header: The response header that the vendor's support needs.
        certificate_hint: What else an untrusted certificate may mean.
    """

    vendor: str
    hint: Callable[[int], str]
    host_settings: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    secrets: tuple[str, ...] = ()
    request_id_header: str | None = None
    certificate_hint: str = ""


class ApiClient:
    """One vendor's API over HTTP."""

    def __init__(  # noqa: PLR0913
        self,
        profile: ApiProfile,
        run: RunContext,
        *,
        server_clock: ServerClock | None = None,
        acquire: Callable[[], AbstractContextManager[object]] = nullcontext,
        stop: threading.Event | None = None,
        usage: ApiUsage | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            profile: The API.
            run: The clock, the logger and what else the clients of a run share.
            server_clock: Observes the responses to requests with credentials.
            acquire: Requests are sent inside this context; it may wait for a request slot.
            stop: Once it is set, waits end and no further request is sent.
            usage: Counts the requests, and the waits after a 429.

        Raises:
            ConfigError: The certificates that the environment names can't be read.
        """
        self.vendor = profile.vendor
        self.clock = run.clock
        self.logger = run.logger
        self._profile = profile
        self._hosts = run.hosts
        self._server_clock = server_clock
        self._acquire = acquire
        self._stop = stop or threading.Event()
        self.usage = usage or ApiUsage(run.clock)
        self._session = make_session(run.clock, run.user_agent)

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
        self._hosts.require(url)
        name = f"{method} {printable(path_of(url))[:_MAX_PATH]}"
        retries = Retries(self.clock)
        may_refresh = isinstance(auth, BearerAuth)
        while True:
            try:
                with self._acquire():
                    self.usage.count_request()
                    sent_at = self.clock.now()
                    with self._request(method, url, auth, json, form) as response:
                        self._hosts.add_response(url)
                        if self._server_clock is not None and (auth or json or form):
                            self._server_clock.observe(response, sent_at)
                        if response.status_code in accept:
                            return parse(response)
                        action = self._profile.retry.action(response.status_code)
                        if action is Action.REFRESH_TOKEN and may_refresh:
                            assert isinstance(auth, BearerAuth)  # noqa: S101 - for the type checker
                            auth.invalidate(response.request)
                            may_refresh = False
                            continue
                        raise status_error(
                            response, action, name=name, profile=self._profile, now=sent_at
                        )
            except RetriableApiError as error:
                retriable = error
            except InvalidResponseError as error:
                retriable = RetriableApiError(f"{self.vendor} returned {error} for {name}")
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                retriable = self._network_error(error, url, name)
            self._wait(retries, retriable, url)

    def _request(
        self,
        method: str,
        url: str,
        auth: AuthBase | None,
        json: dict[str, Any] | None,
        form: dict[str, str] | None,
    ) -> requests.Response:
        return self._session.request(
            method,
            url,
            # Without any, requests would look for credentials in ~/.netrc.
            auth=auth or (lambda request: request),
            json=json,
            data=form,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        )

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the run is being stopped.

        Raises:
            VoiceCallsError: The run is being stopped.
        """
        self.clock.sleep(seconds, self._stop)
        if self._stop.is_set():
            raise VoiceCallsError(f"{self.vendor}: the run is being stopped.")

    def _wait(self, retries: Retries, retriable: RetriableApiError, url: str) -> None:
        """Wait until the next retry.

        Raises:
            VoiceCallsError: There is none.
        """
        try:
            wait = retries.next_wait(retriable)
        except VoiceCallsError as error:
            if isinstance(retriable, UnreachableHostError):
                self._hosts.give_up(url, str(error))
            raise
        self.logger.warning("%s; retrying in %s.", retriable, format_duration(wait))
        is_rate_limit = isinstance(retriable, RateLimitError)
        with self.usage.waiting() if is_rate_limit else nullcontext():
            self.sleep(wait)

    def _network_error(self, error: Exception, url: str, name: str) -> RetriableApiError:
        """Return the retriable error for a request without a complete response.

        Raises:
            VoiceCallsError: The request can't be sent.
        """
        host, vendor = host_of(url), self.vendor
        if isinstance(error, requests.exceptions.InvalidProxyURL):
            raise VoiceCallsError(
                f"{vendor}: the proxy's URL is malformed. Check HTTPS_PROXY."
            ) from None
        if isinstance(error, INVALID_URL):  # the URLs in the settings have been checked
            raise VoiceCallsError(
                f"{vendor} returned a link to an invalid URL. Run the tap again later; if the "
                f"error persists, contact {vendor}'s support."
            ) from None
        if problem := connection_problem(error, host):
            check = "HTTPS_PROXY"
            if not problem.is_proxy:
                check = f"{self._profile.host_settings}, and {problem.check}"
            hint = f"Check {check}."
            if problem.is_certificate and self._profile.certificate_hint:
                hint += f" {self._profile.certificate_hint}"
            return UnreachableHostError(
                f"{vendor}: {problem.text}", timeout=self._hosts.timeout(url), hint=hint
            )
        if is_timeout(error):
            return RetriableApiError(f"{vendor}: {host} timed out for {name}")
        if isinstance(error, BROKEN_CONNECTION):
            return RetriableApiError(f"{vendor}: the connection to {host} broke for {name}")
        if isinstance(error, MALFORMED_RESPONSE):
            return RetriableApiError(f"{vendor} returned a malformed HTTP response for {name}")
        raise error

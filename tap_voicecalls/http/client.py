"""Talking to an API: trying again what passes, telling in a sentence what does not."""

from __future__ import annotations

import logging
import math
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import backoff
import msgspec
import requests

from tap_voicecalls.errors import FatalApiError, VoiceCallsError
from tap_voicecalls.http.error_messages import api_error_message
from tap_voicecalls.http.oauth import BearerAuth
from tap_voicecalls.timestamps import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from requests.auth import AuthBase

    from tap_voicecalls.timestamps import Clock

T = TypeVar("T")

#: Seconds to connect, and between two pieces of an answer.
TIMEOUT = (10.0, 120.0)
#: For how many seconds a request is tried again when it meets a quota that others may be using up.
QUOTA_RETRY_TIMEOUT = 30 * 60.0
#: For how many seconds it is tried again for any other trouble.
RETRY_TIMEOUT = 5 * 60.0
#: No single wait is longer, whatever `Retry-After` says.
MAX_WAIT = 10 * 60.0
#: How long to wait on a 429 that does not say; both vendors count by the minute.
QUOTA_WAIT = 60.0

#: Bytes of an answer that are read at once; requests' own 10 KB cost more than what they hold.
CHUNK = 1024 * 1024

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class InvalidResponseError(Exception):
    """An answer whose body is not what it should be; worth asking for again."""


class RetriableApiError(Exception):
    """Trouble that may pass: a request that failed in a way that is tried again."""

    def __init__(self, sentence: str, *, wait: float | None = None, quota: bool = False) -> None:
        super().__init__(sentence)
        self.wait = wait
        self.patience = QUOTA_RETRY_TIMEOUT if quota else RETRY_TIMEOUT


class ApiClient:
    """One vendor's API over HTTP."""

    def __init__(  # noqa: PLR0913
        self,
        vendor: str,
        *,
        clock: Clock,
        user_agent: str,
        logger: logging.Logger,
        hint: Callable[[int], str],
        secrets: Iterable[str] = (),
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
        stopped: threading.Event | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            vendor: The vendor's name, for messages.
            clock: What waits.
            user_agent: Sent with every request.
            logger: Takes a line for each wait.
            hint: What to do about an HTTP status that is not tried again, as a sentence.
            secrets: Texts that no sentence may show.
            turn: A request is sent inside this context; it may wait for the request's turn.
            stopped: Ends every wait, and the request that waits, when it is set.
        """
        # Its debug lines hold whole URLs, presigned ones too, so no log configuration may ask
        # for them.
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self.vendor = vendor
        self.clock = clock
        self.logger = logger
        self._advice = hint
        self._secrets = tuple(secret for secret in secrets if secret)
        self._turn = turn
        self._stopped = stopped or threading.Event()
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def send(  # noqa: PLR0913
        self,
        method: str,
        url: str,
        read: Callable[[requests.Response], T],
        *,
        auth: AuthBase | None = None,
        accept: Collection[int] = (HTTPStatus.OK,),
        new_token_on: Collection[int] = (HTTPStatus.UNAUTHORIZED,),
        json: dict[str, Any] | None = None,
        form: dict[str, str] | None = None,
    ) -> T:
        """Sends a request until it has an answer that can be read.

        Redirects are answers like others: credentials never follow one.

        Args:
            method: The HTTP method.
            url: The whole URL.
            read: Makes of an answer what is wanted; it may raise `InvalidResponseError`.
            auth: The credentials; without, none are sent.
            accept: The statuses that `read` takes.
            new_token_on: The statuses on which one new token is tried, if `auth` can make one.
            json: A body to send as JSON.
            form: A body to send as a form.

        Raises:
            FatalApiError: The API refused.
            VoiceCallsError: The trouble did not pass.
        """
        what = f"{method} {urlsplit(url).path}"
        started = self.clock.monotonic()
        pauses = backoff.expo(max_value=60)
        next(pauses)  # backoff's generators begin when they are asked twice
        token_was_new = not isinstance(auth, BearerAuth)
        while True:
            try:
                with (
                    self._turn(),
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
                    status = response.status_code
                    if status in accept:
                        return read(response)
                    if status in new_token_on and not token_was_new:
                        assert isinstance(auth, BearerAuth)  # noqa: S101 - for the type checker
                        token_was_new = auth.invalidate(response.request)
                        continue
                    raise self._refusal(response, what)
            except RetriableApiError as error:
                passing = error
            except InvalidResponseError as error:
                passing = RetriableApiError(f"{self.vendor} answered {what} with {error}")
            except requests.RequestException as error:
                passing = self._trouble(error, url, what)
            except ValueError:  # requests looks where a redirect leads to, though it follows none
                passing = RetriableApiError(
                    f"{self.vendor} answered {what} with a redirect to what is no URL"
                )
            if self.clock.monotonic() - started >= passing.patience:
                waited = format_duration(self.clock.monotonic() - started)
                raise VoiceCallsError(
                    f"{passing}; it was tried again for {waited} without success. "
                    f"Run the tap again later: it goes on from its last bookmark."
                ) from None
            wait = passing.wait
            if wait is None:
                wait = backoff.full_jitter(next(pauses))
            self.logger.warning("%s; trying again in %s.", passing, format_duration(wait))
            self.wait(wait)

    def wait(self, seconds: float) -> None:
        """Lets time pass.

        Raises:
            VoiceCallsError: Meanwhile it was said that no more answers are wanted.
        """
        self.clock.sleep(seconds, self._stopped)
        if self._stopped.is_set():
            raise VoiceCallsError(f"{self.vendor}: the run is ending.")

    def _refusal(self, response: requests.Response, what: str) -> Exception:
        """What to raise for an answer with a status that was not hoped for."""
        status = response.status_code
        sent = response.request.headers.get("Authorization", "").split()[1:]
        words = api_error_message(response, secrets=(*self._secrets, *sent))
        said = f'{status} "{words}"' if words else f"{status}"
        if trace := response.headers.get("platform-tid"):
            said += f" (platform-tid {trace[:80]}, for Talkdesk's support)"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = retry_after(response, self.clock.now()) or QUOTA_WAIT
            return RetriableApiError(
                f"{self.vendor} allows no more requests just now, {said}", wait=wait, quota=True
            )
        sentence = f"{self.vendor} answered {what} with {said}"
        if status == HTTPStatus.CONFLICT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RetriableApiError(sentence, wait=retry_after(response, self.clock.now()))
        if 300 <= status < 400:  # noqa: PLR2004 - a redirect
            target = _origin(response.headers.get("Location", ""))[1] or "another place"
            hint = (
                f"It redirects to {target[:80]}: check the account's name or URL in the settings."
            )
        else:
            hint = self._advice(status)
        return FatalApiError(f"{sentence}. {hint}", status=status, words=words)

    def _trouble(self, error: requests.RequestException, url: str, what: str) -> RetriableApiError:
        """What passes of the trouble that `requests` had; the texts of its errors hold URLs.

        Raises:
            VoiceCallsError: The trouble will not pass.
        """
        host = urlsplit(url).hostname
        if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in str(error):
            raise VoiceCallsError(
                f"{self.vendor}: the certificate of {host} can't be trusted. Check the account's "
                f"name and REQUESTS_CA_BUNDLE; a suspended account shows itself like this too."
            ) from None
        if isinstance(error, requests.Timeout):
            return RetriableApiError(f"{self.vendor}: {host} did not answer {what} in time")
        if isinstance(
            error,
            requests.ConnectionError
            | requests.exceptions.ChunkedEncodingError
            | requests.exceptions.ContentDecodingError,
        ):
            return RetriableApiError(f"{self.vendor}: the connection to {host} broke during {what}")
        raise VoiceCallsError(
            f"{self.vendor}: {what} can't be sent to {host} ({type(error).__name__}). "
            f"Check the vendor's settings, and HTTPS_PROXY if it is set."
        ) from None


def read_json(
    response: requests.Response, exact: msgspec.json.Decoder[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The JSON object of an answer, its numbers exactly as they were sent.

    Args:
        response: The answer.
        exact: Decodes it if it can; where it can't, the object holds what JSON knows and no more.

    Raises:
        InvalidResponseError: The body is no JSON object.
    """
    content = b"".join(response.iter_content(CHUNK))
    try:
        if exact is not None:
            with suppress(msgspec.ValidationError):
                return exact.decode(content)
        # Decimal keeps a number such as 1.10 or one with 20 digits as it is.
        body = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidResponseError("a body that is not JSON") from None
    if not isinstance(body, dict):
        raise InvalidResponseError("JSON that is not an object")
    return body


def retry_after(response: requests.Response, now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for, or None without a usable one.

    Seen are whole seconds, fractions, HTTP dates, 0 and negative numbers; the last two say nothing.
    """
    header = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a zone
            return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_WAIT)


def same_origin(url: str, other: str) -> bool:
    """Whether credentials for one URL may be sent to the other: scheme, host and port agree."""
    return _origin(url) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """The scheme, host and port of a URL; of what is no URL, none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)

"""Responses with a status that is not the expected one, as errors."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urljoin

from tap_voicecalls.errors import FatalApiError
from tap_voicecalls.http.error_messages import api_error_message, printable
from tap_voicecalls.http.retry import (
    MAX_WAIT,
    RATE_LIMIT_TIMEOUT,
    Action,
    RateLimitError,
    RetriableApiError,
)
from tap_voicecalls.http.urls import host_of, query_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import requests

    from tap_voicecalls.http.client import ApiProfile

#: Shorter values in the query of a presigned URL are no secrets.
_MIN_SECRET = 8
_MAX_REQUEST_ID = 80


def status_error(
    response: requests.Response, action: Action, *, name: str, profile: ApiProfile, now: datetime
) -> RetriableApiError | FatalApiError:
    """Return the error for a response with a status that is not accepted.

    Args:
        response: The response.
        action: What its status means.
        name: The request, for the message.
        profile: The API.
        now: The current time, for `Retry-After`.
    """
    status = response.status_code
    secrets = (*profile.secrets, *_sent_secrets(response.request))
    api_message = api_error_message(response, secrets)
    details = f"{status} {_phrase(status)}".rstrip()
    details += f' for {name}: "{api_message}"' if api_message else f" for {name}"
    header = profile.request_id_header
    if header and (request_id := printable(response.headers.get(header, ""))):
        details += f" ({header} {request_id[:_MAX_REQUEST_ID]}, for {profile.vendor}'s support)"
    wait = retry_after(response, now)
    if action is Action.WAIT_FOR_RATE_LIMIT:
        return RateLimitError(
            f"{profile.vendor}: rate limit reached ({details})",
            wait=wait or profile.retry.rate_limit_wait,
            timeout=RATE_LIMIT_TIMEOUT,
        )
    message = f"{profile.vendor} returned {details}"
    if action is Action.RETRY:
        return RetriableApiError(message, wait=wait)
    hint = _redirect_hint(response) if response.is_redirect else profile.hint(status)
    return FatalApiError(f"{message}. {hint}", status=status, api_message=api_message)


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
        except (ValueError, TypeError, OverflowError):  # not a date, or one without a time zone
            return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_WAIT)


def _redirect_hint(response: requests.Response) -> str:
    try:
        target = urljoin(response.url, response.headers["Location"])
    except ValueError:
        target = ""
    return f"It redirects to {host_of(target)}: check the account's name or URL in the settings."


def _sent_secrets(request: requests.PreparedRequest) -> Iterator[str]:
    """Yield the credentials that a request carried, which its response may quote."""
    header = request.headers.get("Authorization")
    if header:
        yield from str(header).split()[1:]
    else:
        # A presigned URL is a credential itself, and so is a signed assertion.
        for _, value in parse_qsl(query_of(str(request.url))):
            if len(value) >= _MIN_SECRET:
                yield value
        if isinstance(request.body, str):
            yield from parse_qs(request.body).get("client_assertion", ())


def _phrase(status: int) -> str:
    """Return HTTP's own phrase for a status, such as Forbidden; empty for an unknown status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

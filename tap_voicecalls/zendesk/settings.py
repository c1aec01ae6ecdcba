"""The settings of Zendesk Talk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_voicecalls.config import read_account_name, read_url, read_word, require
from tap_voicecalls.errors import ConfigError
from tap_voicecalls.zendesk.shared_slots import read_quota_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_voicecalls.zendesk.shared_slots import QuotaStore

_OAUTH = "zendesk_client_id", "zendesk_client_secret"
_API_TOKEN = "zendesk_email", "zendesk_api_token"
_CREDENTIALS = (*_OAUTH, "zendesk_access_token", *_API_TOKEN)
#: Any of these means that Zendesk is wanted; the others have defaults.
ENABLING_SETTINGS = ("zendesk_subdomain", "zendesk_url", *_CREDENTIALS)
#: Any of these is enough.
SETTING_GROUPS = (
    ("zendesk_subdomain", *_OAUTH),
    ("zendesk_subdomain", "zendesk_access_token"),
    ("zendesk_subdomain", *_API_TOKEN),
)

SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "zendesk_subdomain",
        th.StringType,
        title="Zendesk subdomain",
        description="The account's name: the `acme` of acme.zendesk.com.",
    ),
    th.Property(
        "zendesk_client_id",
        th.StringType,
        title="Zendesk OAuth client",
        description="Identifier of a confidential OAuth client.",
    ),
    th.Property(
        "zendesk_client_secret",
        th.StringType,
        secret=True,
        title="Zendesk OAuth secret",
        description="Secret of that OAuth client.",
    ),
    th.Property(
        "zendesk_scope",
        th.StringType,
        default="read",
        title="Zendesk OAuth scope",
        description="Scopes to request, separated by spaces.",
    ),
    th.Property(
        "zendesk_access_token",
        th.StringType,
        secret=True,
        title="Zendesk access token",
        description="An existing OAuth access token, instead of an OAuth client.",
    ),
    th.Property(
        "zendesk_email",
        th.StringType,
        title="Zendesk email",
        description="User of an API token. New API tokens can't be created since 2026-10-27, "
        "and all of them stop working on 2027-04-30.",
    ),
    th.Property(
        "zendesk_api_token",
        th.StringType,
        secret=True,
        title="Zendesk API token",
        description="API token of that user, for accounts that still have one.",
    ),
    th.Property(
        "zendesk_url",
        th.URIType,
        title="Zendesk URL",
        description="Base URL instead of `https://{subdomain}.zendesk.com`, for tests and proxies.",
    ),
    th.Property(
        "zendesk_requests_per_minute",
        th.IntegerType(minimum=1),
        default=10,
        title="Zendesk requests per minute",
        description="Requests that Zendesk allows in any 60 seconds, for calls and legs together.",
    ),
    th.Property(
        "zendesk_quota_url",
        th.StringType,
        secret=True,
        title="Zendesk quota URL",
        description="`postgresql://` or `redis://` URL of a database through which any number of "
        "runs, on any machines, share the requests per minute. By default each run counts its own. "
        "Needs the extra `postgres` or `redis`.",
    ),
    th.Property(
        "zendesk_lookback_seconds",
        th.IntegerType(minimum=0),
        default=300,
        title="Zendesk lookback",
        description="Seconds that the bookmark stays behind the start of the sync, for rows that "
        "become visible late.",
    ),
)


@dataclass(frozen=True)
class ClientCredentials:
    """An OAuth client for the `client_credentials` grant."""

    client_id: str
    client_secret: str
    scope: str


@dataclass(frozen=True)
class AccessToken:
    """An existing bearer token."""

    value: str


@dataclass(frozen=True)
class ApiToken:
    """An API token and its user."""

    email: str
    value: str


@dataclass(frozen=True)
class ZendeskSettings:
    """The settings of Zendesk Talk, validated."""

    url: str
    credentials: ClientCredentials | AccessToken | ApiToken
    requests_per_minute: int
    quota_store: QuotaStore | None
    lookback: timedelta

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings that no output may contain."""
        match self.credentials:
            case ClientCredentials(client_secret=secret):
                return (secret,)
            case AccessToken(value=token) | ApiToken(value=token):
                return (token,)


def read_settings(config: Mapping[str, Any]) -> ZendeskSettings:
    """Return the settings of Zendesk, validated.

    Raises:
        ConfigError: A setting is missing or malformed; the message names it.
    """
    url = read_url(config, "zendesk_url")
    if url is None:
        require(
            config,
            ("zendesk_subdomain",),
            "set it to the account's name, `acme` of acme.zendesk.com",
        )
    if "zendesk_subdomain" in config:
        name = read_account_name(
            config, "zendesk_subdomain", re.compile(r"zendesk\.com"), "acme.zendesk.com"
        )
        url = url or f"https://{name}.zendesk.com"
    assert url is not None  # noqa: S101 - one of the two is set
    return ZendeskSettings(
        url=url,
        credentials=_read_credentials(config),
        requests_per_minute=config["zendesk_requests_per_minute"],
        quota_store=read_quota_store(config),
        lookback=timedelta(seconds=config["zendesk_lookback_seconds"]),
    )


def _read_credentials(config: Mapping[str, Any]) -> ClientCredentials | AccessToken | ApiToken:
    for pair in (_OAUTH, _API_TOKEN):
        if any(name in config for name in pair):
            require(config, pair, f"Zendesk needs both {pair[0]} and {pair[1]}")
    if _OAUTH[0] in config:
        return ClientCredentials(
            client_id=read_word(config, "zendesk_client_id"),
            client_secret=read_word(config, "zendesk_client_secret"),
            scope=config["zendesk_scope"],
        )
    if "zendesk_access_token" in config:
        return AccessToken(read_word(config, "zendesk_access_token"))
    if _API_TOKEN[0] in config:
        return ApiToken(*(read_word(config, name) for name in _API_TOKEN))
    raise ConfigError(
        "Zendesk has no credentials: set zendesk_client_id and zendesk_client_secret "
        "(or zendesk_access_token, or zendesk_email and zendesk_api_token)."
    )

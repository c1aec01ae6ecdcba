"""The settings that all vendors share, and the checks that a JSON schema can't express."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_voicecalls.errors import ConfigError
from tap_voicecalls.http.urls import origin
from tap_voicecalls.timestamps import DateRange, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "start_date",
        th.DateTimeType,
        required=True,
        title="Start date",
        description="Earliest time to read, as an RFC 3339 timestamp such as "
        "`2026-01-01T00:00:00Z`. Without a time zone it is UTC.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Read only what is before this RFC 3339 timestamp. For bounded backfills.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="`User-Agent` header for both APIs. Defaults to the tap's name and version.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Emit ACTIVATE_VERSION messages",
        description="Whether a complete read of a stream without a replication key ends with an "
        "ACTIVATE_VERSION message: then targets that support it mark or delete the rows that the "
        "vendor no longer returns.",
    ),
)


def read_date_range(config: Mapping[str, Any]) -> DateRange:
    """Return the range of time that the settings ask for.

    Raises:
        ConfigError: A timestamp is malformed, or the range is empty.
    """
    start, end = (
        _read_timestamp(name, config[name]) if name in config else None
        for name in ("start_date", "end_date")
    )
    if start is None:
        raise missing_start_date()
    if end is not None and end <= start:
        raise ConfigError("end_date must be later than start_date.")
    return DateRange(start, end)


def missing_start_date() -> ConfigError:
    """Return the error for a config without `start_date`, the one required setting."""
    return ConfigError(
        "start_date is missing: set it to the earliest time to read, such as 2026-01-01T00:00:00Z."
    )


def _read_timestamp(name: str, value: object) -> datetime:
    try:
        return parse_timestamp(str(value))
    except ValueError:
        raise ConfigError(
            f"{name}: {str(value)[:40]!r} is not an RFC 3339 timestamp, "
            f"for example 2026-01-01T00:00:00Z."
        ) from None


def drop_blank(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are set; an empty string, as a blank line in `.env`, is not."""
    stripped = {
        name: value.strip() if isinstance(value, str) else value for name, value in config.items()
    }
    return {name: value for name, value in stripped.items() if value is not None and value != ""}


def read_url(config: Mapping[str, Any], name: str) -> str | None:
    """Return a base URL from the settings without a trailing slash, or None if it is not set.

    Raises:
        ConfigError: It is not a URL that credentials may be sent to.
    """
    if name not in config:
        return None
    value = str(config[name])
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in {"http", "https"}:
        raise ConfigError(f"{name} must be a URL that begins with https://.")
    if url.username or url.query or url.fragment:
        raise ConfigError(f"{name} must be a plain URL, without a user name, `?` or `#`.")
    if url.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            f"{name} must begin with https://, because credentials are sent to it; "
            f"http:// is allowed for loopback addresses only."
        )
    if origin(value) is None:
        raise ConfigError(f"{name} must be a URL of printable ASCII characters, without spaces.")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_word(config: Mapping[str, Any], name: str) -> str:
    """Return an ID or a secret from the settings.

    Raises:
        ConfigError: It holds a character that no ID or secret has, such as a zero-width space.
    """
    value = str(config[name])
    if not re.fullmatch(r"[!-~]+", value):
        raise ConfigError(
            f"{name} must be printable ASCII without spaces. Enter it again: a copied value may "
            f"contain invisible characters."
        )
    return value


def check_user_agent(config: Mapping[str, Any]) -> None:
    """Check that `user_agent` can be sent in a header.

    Raises:
        ConfigError: It can't.
    """
    if not re.fullmatch(r"[ -~\xa0-\xff]*", str(config.get("user_agent", ""))):
        raise ConfigError(
            "user_agent must be one line of printable Latin-1 characters: an en dash, for example, "
            "can't be sent in a header."
        )


def read_account_name(
    config: Mapping[str, Any], name: str, domains: re.Pattern[str], example: str
) -> str:
    """Return an account's name from a setting that may hold its host name or a URL.

    Args:
        config: The settings.
        name: The setting.
        domains: What may follow the account's name in a host name, after the first dot.
        example: A host name as it should be, for the error message.

    Raises:
        ConfigError: The setting holds something else.
    """
    value = str(config[name]).lower()
    host = urlsplit(value if "//" in value else f"//{value}").netloc
    label, dot, domain = host.partition(".")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) or (
        dot and not domains.fullmatch(domain)
    ):
        raise ConfigError(f"{name} must be the account's name alone, the `acme` of {example}.")
    return label


def require(config: Mapping[str, Any], names: tuple[str, ...], reason: str) -> None:
    """Check that settings which only work together are all set.

    Raises:
        ConfigError: Some of them are missing; the message names those.
    """
    missing = [name for name in names if name not in config]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(f"{' and '.join(missing)} {verb} missing: {reason}.")

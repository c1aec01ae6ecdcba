"""The settings that both vendors share, and the checks that JSON schema can't make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_voicecalls.errors import ConfigError
from tap_voicecalls.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "start_date",
        th.DateTimeType,
        required=True,
        title="Start date",
        description="The earliest time to read, in RFC 3339, such as `2026-01-01T00:00:00Z`; "
        "without a zone it is UTC.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Read only what is before this time, in RFC 3339; for bounded backfills.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="How the tap calls itself to the vendors; by default its name and version.",
    ),
)


@dataclass(frozen=True)
class DateRange:
    """The time to read: from `start`, included, to `end`, left out; None means up to now."""

    start: datetime
    end: datetime | None


def read_date_range(config: Mapping[str, Any]) -> DateRange:
    """The time that the settings ask for.

    Raises:
        ConfigError: A time can't be read, or the end is not after the start.
    """
    start, end = (
        _read_time(name, config[name]) if name in config else None
        for name in ("start_date", "end_date")
    )
    if start is None:
        raise missing_start_date()
    if end is not None and end <= start:
        raise ConfigError("end_date must be later than start_date, as nothing lies between them.")
    return DateRange(start, end)


def missing_start_date() -> ConfigError:
    """What to raise without the one setting that has to be there."""
    return ConfigError(
        "start_date is missing: set it to the earliest time to read, such as 2026-01-01T00:00:00Z."
    )


def _read_time(name: str, value: object) -> datetime:
    try:
        return parse_timestamp(str(value))
    except ValueError:
        raise ConfigError(
            f"{name} is {str(value)[:40]!r}, which is no time: write it in RFC 3339, "
            f"such as 2026-01-01T00:00:00Z."
        ) from None


def present(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are set: an empty text, as a blank line in `.env` makes it, is not."""
    stripped = {
        name: value.strip() if isinstance(value, str) else value for name, value in config.items()
    }
    return {name: value for name, value in stripped.items() if value is not None and value != ""}


def read_url(config: Mapping[str, Any], name: str) -> str | None:
    """A base URL from the settings, without a closing slash; None where it is not set.

    Raises:
        ConfigError: It is no URL that credentials may be sent to.
    """
    if name not in config:
        return None
    try:
        url = urlsplit(config[name])
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in {"http", "https"}:
        raise ConfigError(f"{name} must be a URL that begins with https://.")
    if url.username or url.query or url.fragment:
        raise ConfigError(f"{name} must be a plain URL, without a user name, `?` or `#`.")
    if url.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            f"{name} must begin with https://, as credentials are sent to it; "
            f"http:// is for this machine alone."
        )
    return str(config[name]).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_name(config: Mapping[str, Any], name: str, domains: re.Pattern[str], example: str) -> str:
    """An account's name from a setting that may hold its whole host or a URL.

    Args:
        config: The settings.
        name: The setting.
        domains: What may follow the name in a host, from the first dot on.
        example: A host as it should look, for the sentence.

    Raises:
        ConfigError: It holds something else.
    """
    value = str(config[name]).lower()
    host = urlsplit(value if "//" in value else f"//{value}").netloc
    label, dot, domain = host.partition(".")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) or (
        dot and not domains.fullmatch(domain)
    ):
        raise ConfigError(f"{name} must be the account's name alone, the `acme` of {example}.")
    return label


def require(config: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    """Asks for settings that only make sense together.

    Raises:
        ConfigError: Some of them are missing; the sentence names those.
    """
    missing = [name for name in names if name not in config]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise ConfigError(f"{' and '.join(missing)} {are} missing: {why}.")

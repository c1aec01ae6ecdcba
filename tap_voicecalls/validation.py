"""All errors in the settings at once, as messages that name the setting."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_voicecalls import config
from tap_voicecalls.errors import ConfigError
from tap_voicecalls.registry import VENDORS
from tap_voicecalls.stream_maps import stream_map_errors, suggestion
from tap_voicecalls.timestamps import format_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime


#: How far the clock of this machine may be behind the one that `start_date` was taken from.
_MAX_CLOCK_SKEW = timedelta(minutes=10)


def config_errors(
    settings: Mapping[str, Any],
    schema: Mapping[str, Any],
    schema_errors: Iterable[str],
    now: datetime,
) -> list[str]:
    """Return the errors in the settings, as messages without the value of any secret.

    Args:
        settings: The settings.
        schema: Their JSON schema.
        schema_errors: The violations of it, in the SDK's words.
        now: The current time.
    """
    messages = [_schema_message(error, schema) for error in schema_errors]
    return messages or list(_semantic_errors(settings, now))


def environment_errors(schema: Mapping[str, Any]) -> list[str]:
    """Name the environment variables that the SDK can't convert to integers."""
    messages = []
    for name, setting in schema["properties"].items():
        variable = f"TAP_VOICECALLS_{name.upper()}"
        value = os.environ.get(variable)
        if "integer" in setting.get("type", ()) and value is not None:
            try:
                int(value)
            except ValueError:
                messages.append(f"{variable}: {value[:40]!r} is not an integer, as {name} must be.")
    return messages


def _schema_message(error: str, schema: Mapping[str, Any]) -> str:
    if "'start_date' is a required property" in error:
        return str(config.missing_start_date())
    found = re.search(r" in config\['(\w+)'\]", error)
    if found is None:
        return f"The settings are not valid: {error}."
    name = found[1]
    if schema["properties"].get(name, {}).get("secret"):
        return f"{name} must be a string."
    return f"{name} is not valid: {error[: found.start()]}."


def unknown_settings(settings: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return a warning for each setting that the tap does not have."""
    known = schema["properties"]
    return [
        f"{name[:60]!r} is not a setting of this tap and has no effect.{suggestion(name, known)}"
        for name in settings
        if name not in known
    ]


def _semantic_errors(settings: Mapping[str, Any], now: datetime) -> Iterable[str]:
    enabled = [vendor for vendor in VENDORS if vendor.is_enabled(settings)]
    if not enabled:
        ways = [f"{vendor.enabling_settings[0]} for {vendor.product}" for vendor in VENDORS]
        yield f"No vendor is configured: set {' or '.join(ways)}, and the credentials for it."
    checks: list[Callable[[], object]] = [
        partial(_check_dates, settings, now),
        partial(config.check_user_agent, settings),
    ]
    checks += [partial(vendor.check_settings, settings) for vendor in enabled]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield from error.messages
    yield from stream_map_errors(settings)


def _check_dates(settings: Mapping[str, Any], now: datetime) -> None:
    start = config.read_date_range(settings).start
    if start > now + _MAX_CLOCK_SKEW:
        raise ConfigError(
            f"start_date {format_utc(start)} is in the future, so nothing would be read: set it "
            f"to the earliest time to read."
        )

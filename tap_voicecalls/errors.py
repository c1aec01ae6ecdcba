"""Errors that are reported to the person who runs the tap, in one message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class VoiceCallsError(Exception):
    """A failure with a message for people: which vendor, what is wrong, what to do."""


class ConfigError(VoiceCallsError):
    """Settings that are missing or malformed.

    Attributes:
        messages: One message per setting. None of them contains a secret.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(" ".join(messages))
        self.messages = messages


class FatalApiError(VoiceCallsError):
    """A response that a retry does not change.

    Attributes:
        status: The HTTP status.
        api_message: The API's own error message, redacted.
    """

    def __init__(self, message: str, *, status: int, api_message: str) -> None:
        super().__init__(message)
        self.status = status
        self.api_message = api_message


class SyncFailedError(VoiceCallsError):
    """One or more streams could not be read completely.

    Attributes:
        failures: The message of each stream that failed, by the stream's name.
    """

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        super().__init__("\n".join(f"{name}: {text}" for name, text in self.failures.items()))

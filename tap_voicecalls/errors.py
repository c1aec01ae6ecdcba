"""Failures that are told to whoever runs the tap, in one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class VoiceCallsError(Exception):
    """A failure told in one sentence: which vendor, what is wrong, what to do."""


class ConfigError(VoiceCallsError):
    """Settings that are missing or malformed.

    Attributes:
        messages: One sentence a setting, none of which shows a secret.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(" ".join(messages))
        self.messages = messages


class FatalApiError(VoiceCallsError):
    """An API's answer that trying again will not change.

    Attributes:
        status: The HTTP status.
        words: What the API itself said, without secrets.
    """

    def __init__(self, sentence: str, *, status: int, words: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.words = words


class SyncFailedError(VoiceCallsError):
    """One or more streams could not be read to their end.

    Attributes:
        failures: The sentence of each stream that failed, by the stream's name.
    """

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        super().__init__("\n".join(f"{stream}: {said}" for stream, said in self.failures.items()))

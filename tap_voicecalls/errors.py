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


def failure_message(error: Exception) -> str:
    """Return what to report for an exception: its own message, if it was made for people.

    The text of any other may contain anything, so the message states its type and place alone.
    """
    if isinstance(error, VoiceCallsError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return (
            f"the operating system reported: {error.strerror}. Check this machine's disk space, "
            f"permissions and TMPDIR, and run the tap again."
        )
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "an unknown place"
    if trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
    return (
        f"internal error, {type(error).__name__} in {place}. The bookmark is safe. Run with "
        f"TAP_VOICECALLS_LOGLEVEL=DEBUG and report the traceback."
    )


class SyncFailedError(VoiceCallsError):
    """One or more streams could not be read completely.

    Attributes:
        failures: The message of each stream that failed, by the stream's name.
    """

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        super().__init__("\n".join(self.messages))

    @property
    def messages(self) -> tuple[str, ...]:
        """One message per stream."""
        return tuple(f"{stream}: {message}" for stream, message in sorted(self.failures.items()))

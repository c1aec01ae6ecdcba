"""The command line: the SDK's, with one message per failure instead of tracebacks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import SingerCommand

from tap_voicecalls.errors import ConfigError, SyncFailedError, VoiceCallsError
from tap_voicecalls.sync.writer import OutputClosedError

if TYPE_CHECKING:
    import click


class VoiceCallsCommand(SingerCommand):
    """The tap's command. Whatever ends it early is reported on stderr."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's type
        """Run the tap.

        Raises:
            VoiceCallsError: Standard output can't be written any more.
        """
        try:
            return super().invoke(ctx)
        except OutputClosedError as error:
            raise VoiceCallsError(
                f"{error} The next run resumes from the last state that was saved."
            ) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's type
        """Run the command and exit, with code 1 after a failure."""
        try:
            return super().main(*args, **kwargs)
        except ConfigError as error:
            messages = error.messages
        except SyncFailedError as error:
            messages = tuple(f"{stream}: {text}" for stream, text in error.failures.items())
        except VoiceCallsError as error:
            messages = (str(error),)
        except Exception as error:
            self.logger.debug("Traceback of the failure:", exc_info=True)
            details = str(error).partition("\n")[0].rstrip(".") or "no details"
            hint = "Check the settings, the catalog and the state file. To report it, run with"
            messages = (
                f"{type(error).__name__}: {details}. {hint} TAP_VOICECALLS_LOGLEVEL=DEBUG.",
            )
        for message in messages:
            self.logger.error(message)
        sys.exit(1)

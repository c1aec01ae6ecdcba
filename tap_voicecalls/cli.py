"""The command line: the SDK's, ending in messages instead of tracebacks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import SingerCommand

from tap_voicecalls.errors import ConfigError, SyncFailedError, VoiceCallsError
from tap_voicecalls.sync.writer import OutputClosedError

if TYPE_CHECKING:
    import click


class VoiceCallsCommand(SingerCommand):
    """The tap's command; whatever ends it early is told in a line on stderr."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Runs the tap.

        Raises:
            VoiceCallsError: What it writes goes nowhere any more.
        """
        try:
            return super().invoke(ctx)
        except OutputClosedError as error:
            raise VoiceCallsError(
                f"{error} The next run goes on from the last state that was saved."
            ) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as click has it
        """Runs the command and exits: with 1 where something failed."""
        try:
            return super().main(*args, **kwargs)
        except ConfigError as error:
            said = error.messages
        except SyncFailedError as error:
            said = tuple(f"{stream}: {sentence}" for stream, sentence in error.failures.items())
        except VoiceCallsError as error:
            said = (str(error),)
        except Exception as error:
            self.logger.debug("What went wrong:", exc_info=True)
            what = str(error).partition("\n")[0].rstrip(".") or "no more is known"
            hint = "Check the settings, the catalog and the state file; to report it, run with"
            said = (f"{type(error).__name__}: {what}. {hint} TAP_VOICECALLS_LOGLEVEL=DEBUG.",)
        for sentence in said:
            self.logger.error(sentence)
        sys.exit(1)

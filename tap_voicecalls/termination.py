"""What a signal does: the last STATE, the results so far in the log, and an exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from tap_voicecalls.cli import exit_now, silence_other_threads
from tap_voicecalls.errors import SyncFailedError
from tap_voicecalls.sync.writer import MessageWriter

if TYPE_CHECKING:
    from singer_sdk import Tap

    from tap_voicecalls.sync.summary import RunSummary


class Termination:
    """Ends a tap after a signal, with 128 plus the signal's number: the run is incomplete."""

    def __init__(self, tap: Tap) -> None:
        """Prepare the end of a tap."""
        self._tap = tap
        self._summary: RunSummary | None = None
        self._is_ending = False

    def begin_sync(self, summary: RunSummary) -> None:
        """From now on, write the last STATE, and log the results so far.

        Before a sync, the state may not have been loaded yet: an empty one would replace it.
        """
        self._summary = summary

    def handle(self, signum: int) -> None:
        """End the tap once the current write is complete, or at once by a second signal."""
        if self._is_ending:
            exit_now(128 + signum)
        self._is_ending = True

        def end() -> NoReturn:
            silence_other_threads()
            self.log_results()
            name = signal.Signals(signum).name
            self._tap.logger.error(
                "Interrupted by %s: the next run resumes from the last state.", name
            )
            sys.exit(128 + signum)

        if self._summary is not None and isinstance(self._tap.message_writer, MessageWriter):
            self._tap.message_writer.end_with(self._write_state, end)
        else:
            end()

    def log_results(self) -> None:
        """Log the summary of the sync, and its failures so far, each in a line."""
        if self._summary is None:
            return
        self._summary.log()
        for message in SyncFailedError(self._summary.run.failures).messages:
            self._tap.logger.error(message)

    def _write_state(self) -> None:
        self._tap.state_writer.write_state(self._tap.state)

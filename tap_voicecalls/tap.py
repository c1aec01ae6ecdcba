"""The tap: the SDK's hooks for settings, streams, state and the run."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th

from tap_voicecalls import config
from tap_voicecalls.cli import VoiceCallsCommand
from tap_voicecalls.clock import Clock
from tap_voicecalls.connection_test import check_connections
from tap_voicecalls.errors import ConfigError, SyncFailedError
from tap_voicecalls.registry import SETTINGS, VENDORS
from tap_voicecalls.sync.context import RunContext
from tap_voicecalls.sync.state import normalize_bookmarks
from tap_voicecalls.sync.writer import MessageWriter
from tap_voicecalls.timestamps import format_utc
from tap_voicecalls.validation import config_errors, environment_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    import click
    from singer_sdk.streams import Stream

    from tap_voicecalls.vendor import Vendor


class TapVoiceCalls(Tap):
    """Singer tap for contact-center calls: Talkdesk Explore and Zendesk Talk, incrementally."""

    name = "tap-voicecalls"
    config_jsonschema = th.PropertiesList(*SETTINGS).to_dict()

    message_writer_class = MessageWriter

    #: The clock that every wait and every look at the time goes through.
    clock: ClassVar[Clock] = Clock()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the tap; no vendor gets a request yet.

        Raises:
            ConfigError: The settings are incomplete or not valid, unless validation is off.
        """
        self._accounts: dict[str, Any] = {}
        try:
            super().__init__(*args, **kwargs)
        except ValueError:
            if messages := environment_errors(self.config_jsonschema):
                raise ConfigError(*messages) from None
            raise

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Add the checks that a JSON schema can't express to the SDK's.

        There is no public hook that runs before the streams are discovered.
        """
        self._config = config.drop_blank(self._config)
        schema_errors = super()._validate_config(raise_errors=False)
        messages = config_errors(self.config, self.config_jsonschema, schema_errors)
        if messages and raise_errors:
            raise ConfigError(*messages)
        if not messages:
            # The SDK compares it with bookmarks, and does not parse every form of a timestamp.
            self._config["start_date"] = format_utc(config.read_date_range(self._config).start)
        return messages

    @cached_property
    def run(self) -> RunContext:
        """What the streams of this run share."""
        user_agent = self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"
        return RunContext(self.config, self.clock, user_agent, self.logger)

    def discover_streams(self) -> list[Stream]:
        """Return the streams of the vendors that are configured; all streams if none is."""
        enabled = [vendor for vendor in VENDORS if vendor.is_enabled(self.config)]
        return [
            stream(self, run=lambda: self.run, account=partial(self._account, vendor))
            for vendor in enabled or VENDORS
            for stream in vendor.streams
        ]

    def _account(self, vendor: Vendor[Any]) -> Any:  # noqa: ANN401 - each vendor has its own type
        """Return the account that a vendor's streams share."""
        if vendor.name not in self._accounts:
            self._accounts[vendor.name] = vendor.connect(self.config, self.run)
        return self._accounts[vendor.name]

    def load_state(self, state: dict[str, Any]) -> None:
        """Load a state.

        Raises:
            VoiceCallsError: A bookmark is not a timestamp.
        """
        bookmarks = state.get("bookmarks") or {}
        if state and not bookmarks:
            self.logger.warning("The state has no bookmarks: reading everything since start_date.")
        super().load_state({"bookmarks": normalize_bookmarks(bookmarks, self.streams)})

    def sync_all(self) -> None:  # type: ignore[misc] # final: extended, not replaced
        """Sync all streams.

        Raises:
            SyncFailedError: Some of them failed; the others were synced.
        """
        super().sync_all()
        self._raise_failures()

    def run_connection_test(self) -> bool:  # type: ignore[misc] # final: replaced
        """Print for each vendor that it can be read.

        Raises:
            SyncFailedError: A vendor can't be read.
        """
        check_connections(self.streams.values())
        return True

    def run_sync_dry_run(  # type: ignore[misc] # final: extended, not replaced
        self,
        dry_run_record_limit: int | None = 1,
        streams: Iterable[Stream] | None = None,
    ) -> bool:
        """Sync the first records of each stream.

        Raises:
            SyncFailedError: Some of them failed.
        """
        succeeded = super().run_sync_dry_run(dry_run_record_limit, streams)
        self._raise_failures()
        return succeeded

    def _raise_failures(self) -> None:
        if self.run.failures:
            raise SyncFailedError(self.run.failures)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """End the run with a last STATE message, once the current write is complete.

        The SDK writes it at once: in the middle of a line, or not at all.
        """
        end = partial(super()._handle_termination, signum, frame)
        if isinstance(self.message_writer, MessageWriter):
            self.message_writer.end_with(end)
        else:
            end()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, with one message per failure."""
        command = super().get_singer_command()
        return VoiceCallsCommand(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            help=command.help,
            params=command.params,
            logger=cls.logger,
        )

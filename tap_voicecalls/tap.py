"""The tap: the SDK's hooks for settings, streams, state and the run."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.singerlib import Catalog

from tap_voicecalls import config
from tap_voicecalls.cli import VoiceCallsCommand
from tap_voicecalls.clock import Clock
from tap_voicecalls.connection_test import check_connections
from tap_voicecalls.errors import ConfigError, SyncFailedError, VoiceCallsError
from tap_voicecalls.http.error_messages import printable
from tap_voicecalls.json_files import read_config
from tap_voicecalls.registry import SETTINGS, STREAMS, VENDORS
from tap_voicecalls.sync.catalog import read_catalog, with_all_streams
from tap_voicecalls.sync.concurrent_sync import sync_concurrently
from tap_voicecalls.sync.context import RunContext
from tap_voicecalls.sync.state import ConcurrentStateWriter, read_bookmarks
from tap_voicecalls.sync.stream import VendorStream
from tap_voicecalls.sync.summary import RunSummary
from tap_voicecalls.sync.writer import MessageWriter, OutputClosedError
from tap_voicecalls.termination import Termination
from tap_voicecalls.timestamps import format_utc
from tap_voicecalls.validation import config_errors, environment_errors, unknown_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    import click
    from singer_sdk.plugin_base import _ConfigInput
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
        self._termination = Termination(self)
        if isinstance(catalog := kwargs.get("catalog"), dict) and not isinstance(catalog, Catalog):
            kwargs["catalog"] = read_catalog(catalog)
        try:
            super().__init__(*args, **kwargs)
        except ValueError:
            if messages := environment_errors(self.config_jsonschema):
                raise ConfigError(*messages) from None
            raise
        # There is no hook to replace it.
        self._state_writer = ConcurrentStateWriter(self.message_writer)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Add the checks that a JSON schema can't express to the SDK's.

        There is no public hook that runs before the streams are discovered.
        """
        self._config = config.drop_blank(self._config)
        schema_errors = super()._validate_config(raise_errors=False)
        messages = config_errors(
            self.config, self.config_jsonschema, schema_errors, self.clock.now()
        )
        if messages and raise_errors:
            raise ConfigError(*messages)
        for warning in unknown_settings(self.config, self.config_jsonschema):
            self.logger.warning(warning)
        if not messages:
            # The SDK compares it with bookmarks, and does not parse every form of a timestamp.
            self._config["start_date"] = format_utc(config.read_date_range(self._config).start)
        return messages

    def setup_mapper(self) -> None:
        """Prepare the stream maps, also of streams that are not selected.

        Raises:
            ConfigError: The SDK does not accept them.
        """
        try:
            super(Tap, self).setup_mapper()
            self.mapper.register_raw_streams_from_catalog(with_all_streams(self.catalog))
        except Exception as error:
            if not self.config.get("stream_maps"):
                raise
            raise ConfigError(f"stream_maps: {printable(str(error))}") from None

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
        """Load a state. The SDK's own method fails on a bookmark that is not an object.

        Raises:
            VoiceCallsError: It is not a state.
        """
        if bookmarks := read_bookmarks(state, self._vendor_streams(), STREAMS, self.logger):
            self.state["bookmarks"] = bookmarks

    def _vendor_streams(self) -> dict[str, VendorStream[Any]]:
        streams = self.streams.items()
        return {name: stream for name, stream in streams if isinstance(stream, VendorStream)}

    def sync_all(self) -> None:  # type: ignore[misc] # final: replaced
        """Sync all streams, the vendors at the same time.

        The SDK syncs them one after another.

        Raises:
            SyncFailedError: Some of them failed; the others were synced.
        """
        selected = [stream for stream in self._vendor_streams().values() if stream.selected]
        if not selected:
            raise VoiceCallsError(
                "No stream is selected, so nothing would be read. Check the catalog, or the "
                "`select` setting in meltano.yml."
            )
        if self.state:
            self.state_writer.write_state(self.state)
        summary = RunSummary(selected, self.run)
        self._termination.begin_sync(summary)
        groups = [[it for it in selected if isinstance(it, each.streams)] for each in VENDORS]
        try:
            sync_concurrently([group for group in groups if group])
        except OutputClosedError:
            self._termination.log_results()
            raise
        summary.log()
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

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End the run after a signal.

        The SDK writes the last STATE in the middle of a line, or not at all, and exits with 0.
        """
        self._termination.handle(signum)

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,  # noqa: ARG003
        param: click.Option,
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Return the settings in the files of `--config`; the SDK does not name a broken one.

        Raises:
            VoiceCallsError: A file is not a JSON object.
        """
        return read_config(param.opts[0], value)

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

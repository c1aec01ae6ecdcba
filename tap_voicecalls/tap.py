"""The tap: its settings, which vendors they configure, and the list of streams."""

from __future__ import annotations

import os
import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import click
from singer_sdk import Tap
from singer_sdk import typing as th

from tap_voicecalls import config as settings
from tap_voicecalls.cli import VoiceCallsCommand
from tap_voicecalls.errors import ConfigError, SyncFailedError, VoiceCallsError
from tap_voicecalls.sync.writer import MessageWriter
from tap_voicecalls.talkdesk import settings as talkdesk
from tap_voicecalls.talkdesk.account import TalkdeskAccount
from tap_voicecalls.talkdesk.streams import TalkdeskCalls
from tap_voicecalls.timestamps import Clock, format_utc, normalize_utc
from tap_voicecalls.zendesk import settings as zendesk
from tap_voicecalls.zendesk.account import ZendeskAccount
from tap_voicecalls.zendesk.streams import ZendeskCalls, ZendeskLegs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from singer_sdk.streams import Stream

    from tap_voicecalls.sync.stream import CallStream

#: The tap's own settings; the SDK adds some.
SETTINGS = (*settings.SETTINGS, *zendesk.SETTINGS, *talkdesk.SETTINGS)
#: Each of these is enough to read something.
SETTING_GROUPS = tuple(
    ("start_date", *group) for group in (*zendesk.SETTING_GROUPS, *talkdesk.SETTING_GROUPS)
)


class TapVoiceCalls(Tap):
    """Singer tap for contact-centre calls: Talkdesk Explore and Zendesk Talk, incrementally."""

    name = "tap-voicecalls"
    config_jsonschema = th.PropertiesList(*SETTINGS).to_dict()

    message_writer_class = MessageWriter

    #: What every wait and every look at the time goes through.
    clock: ClassVar[Clock] = Clock()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what the SDK's tap takes, and asks nobody for anything.

        Raises:
            ConfigError: The settings are not complete, unless they need not be validated.
        """
        self.failures: dict[str, str] = {}
        try:
            super().__init__(*args, **kwargs)
        except ValueError:
            self._blame_environment()
            raise

    # Settings

    @cached_property
    def span(self) -> settings.DateRange:
        """The time to read."""
        return settings.read_date_range(self.config)

    @cached_property
    def zendesk_settings(self) -> zendesk.ZendeskSettings:
        """The settings of Zendesk."""
        return zendesk.read_settings(self.config)

    @cached_property
    def talkdesk_settings(self) -> talkdesk.TalkdeskSettings:
        """The settings of Talkdesk."""
        return talkdesk.read_settings(self.config)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Adds to the SDK's checks those that JSON schema can't make.

        There is no public place for it that comes before the streams are listed.
        """
        self._config = settings.present(self._config)
        messages = [
            sentence
            for error in super()._validate_config(raise_errors=False)
            if (sentence := self._validation_message(error))
        ]
        if not messages:
            messages = list(self._problems())
        if messages and raise_errors:
            raise ConfigError(*messages)
        if not messages:
            # The SDK compares it with bookmarks, and does not read every form of a time.
            self._config["start_date"] = format_utc(self.span.start)
        return messages

    def _problems(self) -> Iterable[str]:
        checks: list[Callable[[], object]] = [lambda: self.span]
        if self._is_configured(zendesk.ENABLING_SETTINGS):
            checks.append(lambda: self.zendesk_settings)
        if self._is_configured(talkdesk.ENABLING_SETTINGS):
            checks.append(lambda: self.talkdesk_settings)
        if len(checks) == 1:
            yield (
                "No vendor is configured: set zendesk_subdomain and its credentials for Zendesk "
                "Talk, or talkdesk_account and its credentials for Talkdesk."
            )
        for check in checks:
            try:
                check()
            except ConfigError as error:
                yield from error.messages

    def _validation_message(self, error: str) -> str | None:
        """An error of the SDK's validation without the value of a secret."""
        if "'start_date' is a required property" in error:
            return str(settings.missing_start_date())
        found = re.search(r" in config\['(\w+)'\]", error)
        if found is None:
            return f"The settings are not valid: {error}."
        name = found[1]
        if self.config_jsonschema["properties"].get(name, {}).get("secret"):
            return f"{name} must be a text."
        return f"{name} is not valid: {error[: found.start()]}."

    def _is_configured(self, own_settings: Iterable[str]) -> bool:
        return any(name in self.config for name in own_settings)

    def _blame_environment(self) -> None:
        """Names the variable that the SDK could not read as a whole number.

        Raises:
            ConfigError: There is one.
        """
        for name, schema in self.config_jsonschema["properties"].items():
            variable = f"TAP_VOICECALLS_{name.upper()}"
            value = os.environ.get(variable)
            if "integer" in schema.get("type", ()) and value is not None:
                try:
                    int(value)
                except ValueError:
                    raise ConfigError(
                        f"{variable} is {value[:40]!r}: {name} must be a whole number."
                    ) from None

    # Vendors and streams

    @cached_property
    def zendesk(self) -> ZendeskAccount:
        """The Zendesk account, shared by its streams."""
        return ZendeskAccount(
            self.zendesk_settings,
            clock=self.clock,
            user_agent=self._user_agent,
            logger=self.logger,
        )

    @cached_property
    def talkdesk(self) -> TalkdeskAccount:
        """The Talkdesk account."""
        return TalkdeskAccount(
            self.talkdesk_settings,
            clock=self.clock,
            user_agent=self._user_agent,
            logger=self.logger,
        )

    @property
    def _user_agent(self) -> str:
        return self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"

    def discover_streams(self) -> list[Stream]:
        """The streams of the vendors that are configured; all of them where none is."""
        streams: list[type[CallStream]] = []
        if self._is_configured(talkdesk.ENABLING_SETTINGS):
            streams += [TalkdeskCalls]
        if self._is_configured(zendesk.ENABLING_SETTINGS):
            streams += [ZendeskCalls, ZendeskLegs]
        return [stream(self) for stream in streams or (TalkdeskCalls, ZendeskCalls, ZendeskLegs)]

    # State

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes a state; its bookmarks get the form that ours are compared in, as text.

        Raises:
            VoiceCallsError: A bookmark is no time.
        """
        bookmarks = state.get("bookmarks") or {}
        if state and not bookmarks:
            self.logger.warning("The state holds no bookmarks: all since start_date is read.")
        for name, stream in self.streams.items():
            bookmark = bookmarks.get(name) or {}
            value = bookmark.get("replication_key_value")
            if value is None or bookmark.get("replication_key") != stream.replication_key:
                continue
            try:
                bookmark["replication_key_value"] = f"{normalize_utc(str(value))[:19]}Z"
            except ValueError:
                raise VoiceCallsError(
                    f"The bookmark of {name} in the state is {str(value)[:40]!r}, which is no "
                    f"time: write it as 2026-01-01T00:00:00Z, with `meltano state set` or in the "
                    f"state file."
                ) from None
        super().load_state({"bookmarks": bookmarks})

    # Running

    def report_failure(self, stream: str, sentence: str) -> None:
        """Takes a stream's failure, which ends the run once the other streams were read."""
        self.failures[stream] = sentence
        self.logger.warning("%s stops here: %s", stream, sentence)

    def sync_all(self) -> None:  # type: ignore[misc] # final: extended, not replaced
        """Reads all streams.

        Raises:
            SyncFailedError: Some of them failed; the others were read.
        """
        super().sync_all()
        self._raise_failures()

    def run_connection_test(self) -> bool:  # type: ignore[misc] # final: in our own way
        """Tells for each vendor whether it can be read: on stdout if so, else by failing.

        The SDK's way stops at the first failure, and has Talkdesk report a month for a record.

        Raises:
            SyncFailedError: A vendor can't be read.
        """
        vendors: dict[str, list[CallStream]] = {}
        for stream in cast("Iterable[CallStream]", self.streams.values()):
            vendors.setdefault(stream.vendor, []).append(stream)
        for vendor, streams in vendors.items():
            try:
                for stream in streams:
                    stream.check()
            except VoiceCallsError as error:
                self.failures[f"{vendor} is not ready"] = str(error)
            else:
                names = " and ".join(stream.name for stream in streams)
                click.echo(
                    f"{vendor} is ready: the credentials have the permissions and scopes to read "
                    f"{names}."
                )
        self._raise_failures()
        return True

    def run_sync_dry_run(  # type: ignore[misc] # final: extended, not replaced
        self,
        dry_run_record_limit: int | None = 1,
        streams: Iterable[Stream] | None = None,
    ) -> bool:
        """Reads the first records of each stream.

        Raises:
            SyncFailedError: Some of them failed.
        """
        done = super().run_sync_dry_run(dry_run_record_limit, streams)
        self._raise_failures()
        return done

    def _raise_failures(self) -> None:
        if self.failures:
            raise SyncFailedError(self.failures)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Ends the run with a last STATE, once the line that is being written is whole.

        The SDK writes it at once: into the middle of a line, or not at all.
        """
        end = partial(super()._handle_termination, signum, frame)
        if isinstance(self.message_writer, MessageWriter):
            self.message_writer.end_with(end)
        else:
            end()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command, with failures told in messages."""
        command = super().get_singer_command()
        return VoiceCallsCommand(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            help=command.help,
            params=command.params,
            logger=cls.logger,
        )

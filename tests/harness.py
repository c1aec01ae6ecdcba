"""Runs the tap in this process, in a time that passes only by waiting."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding import SimpleSingerWriter

from tap_voicecalls.errors import SyncFailedError
from tap_voicecalls.tap import TapVoiceCalls
from tap_voicecalls.timestamps import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_sdk.singerlib.encoding.base import GenericSingerWriter

    from sandbox.history import Row

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
KEYS = {"talkdesk_calls": "call_id", "zendesk_calls": "id", "zendesk_legs": "id"}


class FakeClock(Clock):
    """A clock that stands still but for those who sleep: they travel."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def time(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self.time()

    def sleep(self, seconds: float, interrupt: threading.Event | None = None) -> None:
        if interrupt is None or not interrupt.is_set():
            with self._lock:
                self.slept.append(seconds)
                self._now += timedelta(seconds=seconds)

    def travel(self, **duration: float) -> None:
        with self._lock:
            self._now += timedelta(**duration)


class Killed(BaseException):
    """Ends the tap where it stands, like a kill -9 between two messages."""


@dataclass
class Output:
    """What the tap wrote, and how it ended."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def records(self, stream: str) -> list[Row]:
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]

    def latest(self, stream: str) -> dict[Any, Row]:
        """What an upserting target would hold."""
        return {record[KEYS[stream]]: record for record in self.records(stream)}

    @property
    def states(self) -> list[dict[str, Any]]:
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1] if self.states else {}

    def bookmark(self, stream: str) -> str | None:
        value: str | None = (
            self.state.get("bookmarks", {}).get(stream, {}).get("replication_key_value")
        )
        return value


class _Collector(SimpleSingerWriter):
    """Keeps the messages, as the targets would read them."""

    def __init__(self, output: Output, on_message: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._output = output
        self._on_message = on_message

    def write_message(self, message: Any) -> None:
        written = self.deserialize(self.format_message(message))
        self._on_message(written)
        self._output.messages.append(written)

    @staticmethod
    def deserialize(line: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(line)
        return read


def sync(
    config: Mapping[str, Any],
    *,
    clock: Clock,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    only: str | None = None,
    on_message: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Output:
    """Runs the tap to its end, or to where `on_message` raises `Killed`.

    Args:
        config: The settings.
        clock: The time.
        state: The state to begin with.
        catalog: The catalog; by default the tap's own.
        only: The one stream to select.
        on_message: Sees each message before it counts as written.
    """
    output = Output()
    writer: GenericSingerWriter[Any, Any] = _Collector(output, on_message)
    tap_class = type("FakeClockTap", (TapVoiceCalls,), {"clock": clock})
    tap: TapVoiceCalls = tap_class(
        config=dict(config),
        state=None if state is None else _copy(state),
        catalog=None if catalog is None else dict(catalog),
        message_writer=writer,
    )
    if only is not None:
        for stream in tap.streams.values():
            stream.selected = stream.name == only
    try:
        tap.sync_all()
    except SyncFailedError as error:
        output.failures = error.failures
    except Killed:
        pass
    return output


def _copy(state: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(state))
    return copied


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def bookmarks(**values: str) -> dict[str, Any]:
    """A state with the bookmarks of some streams."""
    keys = {"talkdesk_calls": "end_at", "zendesk_calls": "updated_at", "zendesk_legs": "updated_at"}
    return {
        "bookmarks": {
            stream: {"replication_key": keys[stream], "replication_key_value": value}
            for stream, value in values.items()
        }
    }

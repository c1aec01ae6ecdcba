"""Run the tap in this process, with a clock that only waiting moves."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tap_voicecalls.clock import Clock
from tap_voicecalls.errors import SyncFailedError
from tap_voicecalls.sync.writer import MessageWriter
from tap_voicecalls.tap import TapVoiceCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.history import Row

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
_STREAMS = TapVoiceCalls(config={}, parse_env_config=False, validate_config=False).streams
#: The primary key of each stream.
PRIMARY_KEYS = {name: tuple(stream.primary_keys) for name, stream in _STREAMS.items()}
#: The primary key of each stream, or its first field.
KEYS = {name: keys[0] for name, keys in PRIMARY_KEYS.items()}
#: The replication key of each incremental stream.
REPLICATION_KEYS = {
    name: stream.replication_key for name, stream in _STREAMS.items() if stream.replication_key
}
#: The streams that are read unless others are selected.
DEFAULT_STREAMS = tuple(name for name, stream in _STREAMS.items() if stream.selected_by_default)


def row_key(stream: str, row: Row) -> Any:
    """Return the value of a row's primary key, or a tuple of several."""
    return itemgetter(*PRIMARY_KEYS[stream])(row)


def as_written(stream: str, row: Row) -> Row:
    """Return the values of a vendor's row as a record has them: with timestamps in one form."""
    columns = _STREAMS[stream].schema["properties"]
    return {
        name: _as_utc(value) if columns.get(name, {}).get("format") == "date-time" else value
        for name, value in row.items()
    }


def _as_utc(text: str | None) -> str | None:
    return f"{text[:10]}T{text[11:19]}Z" if text else None


class FakeClock(Clock):
    """A clock that moves only when something sleeps, or by `advance`."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

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
                self.sleeps.append(seconds)
                self._now += timedelta(seconds=seconds)

    def advance(self, **duration: float) -> None:
        with self._lock:
            self._now += timedelta(**duration)


class Killed(BaseException):
    """Ends the tap at once, as `kill -9` between two messages would."""


@dataclass
class Output:
    """The messages that a run wrote, and the streams that failed."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def records(self, stream: str) -> list[Row]:
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]

    def latest(self, stream: str) -> dict[Any, Row]:
        """Return the last record of each key, as a target that upserts holds it."""
        return {row_key(stream, record): record for record in self.records(stream)}

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


class _Collector(io.BytesIO):
    """The tap's standard output: parses each line, until `on_message` ends the tap."""

    def __init__(self, output: Output, on_message: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._output = output
        self._on_message = on_message
        self.raised: BaseException | None = None

    def write(self, data: Any) -> int:
        for line in bytes(data).splitlines():
            if self.raised is not None:  # a process that was killed writes no more
                raise self.raised
            message = json.loads(line)
            try:
                self._on_message(message)
            except BaseException as error:
                self.raised = error
                raise
            self._output.messages.append(message)
        return len(data)


def make_tap(clock: Clock, config: Mapping[str, Any], **options: Any) -> TapVoiceCalls:
    """Return a tap that reads and waits by `clock`.

    Args:
        clock: The clock.
        config: The settings.
        options: Other arguments of the tap, such as `state`, `catalog` or `message_writer`.
    """
    tap_class = type("TapWithClock", (TapVoiceCalls,), {"clock": clock})
    tap: TapVoiceCalls = tap_class(config=dict(config), **options)
    return tap


def sync(
    config: Mapping[str, Any],
    *,
    clock: Clock,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    only: str | None = None,
    all_streams: bool = False,
    on_message: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Output:
    """Run the tap to its end, or until `on_message` raises `Killed`.

    Args:
        config: The settings.
        clock: The clock.
        state: The state to start from.
        catalog: The catalog; by default the one that the tap discovers.
        only: The one stream to select.
        all_streams: Select every stream, also those that are not selected by default.
        on_message: Called with each message before it counts as written.
    """
    output = Output()
    collector = _Collector(output, on_message)
    if only is not None or all_streams:
        catalog = select(catalog or make_tap(clock, config).catalog_dict, only)
    tap = make_tap(
        clock,
        config,
        state=None if state is None else _copy(state),
        catalog=None if catalog is None else dict(catalog),
        message_writer=MessageWriter(collector),
    )
    try:
        tap.sync_all()
    except SyncFailedError as error:
        output.failures = error.failures
    except Killed:
        pass
    if isinstance(collector.raised, Exception):
        raise collector.raised  # a failed assertion, which the tap reports as an internal error
    return output


def select(catalog: Mapping[str, Any], only: str | None = None) -> dict[str, Any]:
    """Return a catalog with one stream selected, or all of them."""
    copied = _copy(catalog)
    for entry in copied["streams"]:
        for it in entry["metadata"]:
            if not it["breadcrumb"]:
                it["metadata"]["selected"] = only in {None, entry["tap_stream_id"]}
    return copied


def _copy(state: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(state))
    return copied


def timestamp(moment: datetime) -> str:
    """Return a UTC moment in RFC 3339, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def bookmarks(**values: str) -> dict[str, Any]:
    """Return a state with the bookmarks of some streams."""
    return {
        "bookmarks": {
            stream: {"replication_key": REPLICATION_KEYS[stream], "replication_key_value": value}
            for stream, value in values.items()
        }
    }

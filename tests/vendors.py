"""Each vendor as tests see it: a sandbox account, and syncs of the tap that read it."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.talkdesk import FILES, JOBS
from sandbox.zendesk import PATH
from tests.harness import NOW, FakeClock, Output, row_key, sync, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox import Fault, Sandbox
    from sandbox.history import Row
    from sandbox.talkdesk import Talkdesk
    from sandbox.web import Request
    from sandbox.zendesk import Zendesk

# Zendesk's exports.
CALLS = f"{PATH}/calls"
LEGS = f"{PATH}/legs"
# Talkdesk's report jobs: creation, status, download, and the presigned URL that this leads to.
JOB_STATUS = f"{JOBS}/*"
FILE = f"{FILES}/*"
PRESIGNED = "/calls/*"
# Rows from the vendors' documentation, which every sandbox account holds.
ZENDESK_EXAMPLE = 10217
ZENDESK_LEG_EXAMPLE = 10402
TALKDESK_EXAMPLE = "17378a31cf7546d3acb9621f29a4e883"


@dataclass
class StreamOutput:
    """What a run wrote, with a view of one stream."""

    run: Output
    stream: str

    @property
    def records(self) -> list[Row]:
        return self.run.records(self.stream)

    @property
    def ids(self) -> list[Any]:
        """The key of each record, in the order written."""
        return [row_key(self.stream, record) for record in self.records]

    @property
    def latest(self) -> dict[Any, Row]:
        """The last record of each key, as a target that upserts holds it."""
        return self.run.latest(self.stream)

    @property
    def bookmark(self) -> str | None:
        return self.run.bookmark(self.stream)

    @property
    def bookmarks(self) -> list[str | None]:
        """The stream's bookmark in each STATE message."""
        return [
            state["bookmarks"].get(self.stream, {}).get("replication_key_value")
            for state in self.run.states
        ]

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.run.state

    @property
    def failures(self) -> dict[str, str]:
        """The error of each stream that failed, also of other streams."""
        return self.run.failures

    @property
    def failure(self) -> str:
        """The stream's error; KeyError if it did not fail."""
        return self.run.failures[self.stream]


class VendorAccount(abc.ABC):
    """A sandbox account at one vendor, and the settings to read it.

    Attributes:
        name: The vendor's name in messages.
        prefix: The prefix of its settings.
        streams: Its streams; `sync` reads the first one by default.
        method: The HTTP method of the first request for data.
        path: The path of that request.
        refresh_statuses: The statuses after which the tap tries one new token.
        rate_limit_wait: The seconds slept after the first 429 without `Retry-After`.
        regular_sleeps: The seconds slept in a sync of one slice without faults.
        default_days: How many days before now `sync` starts by default.
    """

    name: ClassVar[str]
    prefix: ClassVar[str]
    streams: ClassVar[tuple[str, ...]]
    method: ClassVar[str]
    path: ClassVar[str]
    refresh_statuses: ClassVar[frozenset[int]]
    rate_limit_wait: ClassVar[float] = 60.0
    regular_sleeps: ClassVar[tuple[float, ...]] = ()
    default_days: ClassVar[float]

    def __init__(self, sandbox: Sandbox, clock: FakeClock) -> None:
        self.sandbox = sandbox
        self.clock = clock

    @property
    @abc.abstractmethod
    def server(self) -> Zendesk | Talkdesk:
        """The vendor's side: its rows, its tokens, and how it behaves."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The base URL of the API."""

    @abc.abstractmethod
    def add_calls(
        self,
        *,
        days_ago: Iterable[float] = (),
        hours_ago: Iterable[float] = (),
        minutes_ago: Iterable[float] = (),
        **fields: Any,
    ) -> list[Any]:
        """Add a call for each age; return their ids."""

    @abc.abstractmethod
    def token_requests(self) -> list[Request]:
        """Return the requests for an access token."""

    @property
    def requests(self) -> list[Request]:
        """All requests that the account received, for tokens too."""
        return self.sandbox.requests

    def data_requests(self) -> list[Request]:
        """Return the requests with `method` to `path`."""
        return [
            request
            for request in self.requests
            if (request.method, request.path) == (self.method, self.path)
        ]

    def add_faults(self, *faults: Fault) -> None:
        self.sandbox.faults.add(*faults)

    def config(self, *, days: float | None = None, **settings: Any) -> dict[str, Any]:
        """Return the settings of this vendor alone, with a start some days before now."""
        own = {
            name: value
            for name, value in self.sandbox.config.items()
            if name.startswith(self.prefix)
        }
        start = NOW - timedelta(days=self.default_days if days is None else days)
        return own | {"start_date": timestamp(start)} | settings

    def sync(
        self,
        stream: str | None = None,
        *,
        default_streams: bool = False,
        all_streams: bool = False,
        state: Mapping[str, Any] | None = None,
        days: float | None = None,
        **settings: Any,
    ) -> StreamOutput:
        """Run the tap and return what it wrote.

        Args:
            stream: The stream to select and to look at.
            default_streams: Select the streams that are selected by default instead.
            all_streams: Select all streams of the vendor instead.
            state: The state to start from.
            days: How many days before now to start.
            settings: More settings.
        """
        return self.sync_config(
            self.config(days=days, **settings),
            stream,
            default_streams=default_streams,
            all_streams=all_streams,
            state=state,
        )

    def sync_config(
        self,
        config: Mapping[str, Any],
        stream: str | None = None,
        *,
        default_streams: bool = False,
        all_streams: bool = False,
        state: Mapping[str, Any] | None = None,
    ) -> StreamOutput:
        """Run the tap with exactly these settings; see `sync`."""
        stream = stream or self.streams[0]
        only = None if default_streams or all_streams else stream
        output = sync(config, clock=self.clock, state=state, only=only, all_streams=all_streams)
        return StreamOutput(output, stream)


class ZendeskAccount(VendorAccount):
    """An account at Zendesk: `zendesk_calls` and `zendesk_legs`."""

    name = "Zendesk"
    prefix = "zendesk_"
    streams = ("zendesk_calls", "zendesk_legs")
    method = "GET"
    path = CALLS
    refresh_statuses = frozenset({401})
    default_days = 100

    @property
    def server(self) -> Zendesk:
        return self.sandbox.zendesk

    @property
    def url(self) -> str:
        return self.server.url

    def add_calls(
        self,
        *,
        days_ago: Iterable[float] = (),
        hours_ago: Iterable[float] = (),
        minutes_ago: Iterable[float] = (),
        **fields: Any,
    ) -> list[int]:
        """Add a call for each age of its `updated_at`; return their ids."""
        ids = []
        for age in _ages(days_ago, hours_ago, minutes_ago):
            ids.append(len(self.server.calls) + 1)
            self.put_call(ids[-1], updated_at=timestamp(NOW - age), **fields)
        return ids

    def put_call(self, call_id: int, *, visible_at: float | None = None, **fields: Any) -> None:
        """Add a call, or change fields of one; it may become visible later."""
        calls = self.server.calls
        row = calls.get(call_id, calls[ZENDESK_EXAMPLE] | {"id": call_id})
        self.server.put_call(row | fields, visible_at)

    def add_legs(self, *, hours_ago: Iterable[float]) -> list[int]:
        """Add a leg for each age of its `updated_at`; return their ids."""
        legs = self.server.legs
        template = legs[ZENDESK_LEG_EXAMPLE]
        ids = []
        for age in _ages(hours_ago=hours_ago):
            ids.append(len(legs) + 1)
            leg = template | {"id": ids[-1], "updated_at": timestamp(NOW - age)}
            self.server.put_leg(leg)
        return ids

    def put_list_rows(self, stream: str, count: int) -> None:
        """Replace the rows of a list by rows with the IDs from 1 on."""
        rows = self.server.lists[stream.removeprefix("zendesk_")]
        template = next(iter(rows.values()))
        rows.clear()
        rows.update({number: template | {"id": number} for number in range(1, count + 1)})

    def export_requests(self, path: str = CALLS) -> list[Request]:
        """Return the requests for pages of an export."""
        return [request for request in self.requests if request.path == path]

    def token_requests(self) -> list[Request]:
        """Return the requests for an access token."""
        return [request for request in self.requests if request.path == "/oauth/tokens"]


class TalkdeskAccount(VendorAccount):
    """An account at Talkdesk: `talkdesk_calls`."""

    name = "Talkdesk"
    prefix = "talkdesk_"
    streams = ("talkdesk_calls",)
    method = "POST"
    path = JOBS
    refresh_statuses = frozenset({401, 403})
    rate_limit_wait = 2.0
    regular_sleeps = (1.0,)
    default_days = 1

    @property
    def server(self) -> Talkdesk:
        return self.sandbox.talkdesk

    @property
    def url(self) -> str:
        return self.server.api_url

    def add_calls(
        self,
        *,
        days_ago: Iterable[float] = (),
        hours_ago: Iterable[float] = (),
        minutes_ago: Iterable[float] = (),
        **fields: Any,
    ) -> list[str]:
        """Add a call for each age of its `end_at`; return their ids."""
        ids = []
        for age in _ages(days_ago, hours_ago, minutes_ago):
            ids.append(f"call-{len(self.server.calls):04d}")
            start_at = timestamp(NOW - age - timedelta(seconds=24))
            times = {"start_at": start_at, "end_at": timestamp(NOW - age)}
            self.put_call(ids[-1], **times | fields)
        return ids

    def put_call(self, call_id: str, **fields: Any) -> None:
        """Add a call, or change fields of one."""
        calls = self.server.calls
        row = calls.get(call_id, calls[TALKDESK_EXAMPLE] | {"call_id": call_id})
        self.server.put_call(row | fields)

    def created_jobs(self) -> list[Request]:
        """Return the requests to create a report job, whatever their status."""
        return self.data_requests()

    def windows(self) -> list[tuple[str, str]]:
        """Return the windows of the jobs that were created, in order of time."""
        return sorted(
            (request.body["timespan"]["from"], request.body["timespan"]["to"])
            for request in self.created_jobs()
            if request.status == 202
        )

    def job_statuses(self) -> list[str]:
        """Return the status of each job, by the account's clock."""
        now = self.clock.time()
        return [job.status(now) for job in list(self.server.jobs.values())]

    def token_requests(self) -> list[Request]:
        """Return the requests for an access token."""
        return [request for request in self.requests if request.vendor == "talkdesk-id"]


def _ages(
    days_ago: Iterable[float] = (),
    hours_ago: Iterable[float] = (),
    minutes_ago: Iterable[float] = (),
) -> list[timedelta]:
    return [
        *(timedelta(days=days) for days in days_ago),
        *(timedelta(hours=hours) for hours in hours_ago),
        *(timedelta(minutes=minutes) for minutes in minutes_ago),
    ]

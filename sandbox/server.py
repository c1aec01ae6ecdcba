"""The servers of both fake vendors, started and stopped together."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta, timezone
from itertools import cycle
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.control import Control
from sandbox.faults import Faults
from sandbox.history import HistoryGenerator, example, format_utc
from sandbox.talkdesk import Talkdesk
from sandbox.web import Request, RequestLog, make_app
from sandbox.zendesk import Zendesk

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from sandbox.history import Row
    from sandbox.talkdesk_reports import TimespanBy

HOST = "127.0.0.1"


class Sandbox:
    """Four servers, each on its own port: Zendesk, and Talkdesk's API, token endpoint and files.

    Attributes:
        zendesk: The Zendesk account.
        talkdesk: The Talkdesk account.
        faults: The faults of the servers.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        seed: int = 1,
        calls: int = 500,
        days: float = 30,
        page_size: int = 100,
        now: datetime | None = None,
        clock: Callable[[], float] = time.time,
        zendesk_requests_per_minute: int | None = 10,
        zendesk_token_seconds: float = 1800,
        talkdesk_token_seconds: float = 600,
        job_seconds: float | Callable[[datetime, datetime], float] = 0.0,
        job_quota: int = 15,
        file_url_seconds: float = 900,
        timespan_by: TimespanBy = "end",
        job_body: str = "nested",
        location: str = "absolute",
        port: int = 0,
        files_port: int = 0,
    ) -> None:
        """Generate a call history. The servers start on `__enter__`.

        Args:
            seed: The seed of the history; the same seed generates the same calls.
            calls: The number of calls of each vendor, in addition to the documented examples.
            days: The length of the history.
            page_size: The maximum number of rows of a Zendesk page.
            now: The end of the history; by default the current time.
            clock: Returns the current Unix time; everything in the sandbox uses it.
            zendesk_requests_per_minute: Zendesk's rate limit; None for no limit.
            zendesk_token_seconds: The maximum lifetime of a Zendesk token.
            talkdesk_token_seconds: The lifetime of a Talkdesk token.
            job_seconds: The duration of a report job, or a function of its window.
            job_quota: The maximum number of running jobs.
            file_url_seconds: The lifetime of a presigned URL.
            timespan_by: Whether a report's timespan selects rows by their start or their end:
                Talkdesk does not document which.
            job_body: Whether a job is returned `nested` in `job`, or `flat`.
            location: Whether the `Location` of a finished job is `absolute` or `relative`.
            port: The first of four consecutive ports; by default any free ports.
            files_port: The port of the file store, if not the fourth of them.
        """
        self._clock = clock
        self._ports = [port and port + index for index in range(4)]
        self._ports[3] = files_port or self._ports[3]
        now = now or datetime.fromtimestamp(clock(), timezone.utc)
        self._generator = HistoryGenerator(seed)
        history = self._generator.generate(calls=calls, days=days, now=now)
        self.faults = Faults()
        self._log = RequestLog()
        self.zendesk = Zendesk(
            history,
            clock=clock,
            page_size=page_size,
            requests_per_minute=zendesk_requests_per_minute,
            token_seconds=zendesk_token_seconds,
        )
        self.talkdesk = Talkdesk(
            history,
            clock=clock,
            faults=self.faults,
            timespan_by=timespan_by,
            job_seconds=job_seconds,
            job_quota=job_quota,
            job_body=job_body,
            location=location,
            token_seconds=talkdesk_token_seconds,
            file_url_seconds=file_url_seconds,
        )
        self._runners: list[web.AppRunner] = []

    def __enter__(self) -> Self:
        """Start the servers."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the servers."""
        self._stop()

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._clean_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        vendors = ("zendesk", "talkdesk", "talkdesk-id", "files")
        apps = [
            make_app(vendor, faults=self.faults, log=self._log, clock=self._clock)
            for vendor in vendors
        ]
        self.zendesk.add_routes(apps[0])
        self.talkdesk.add_api_routes(apps[1])
        self.talkdesk.add_token_routes(apps[2])
        self.talkdesk.files.add_routes(apps[3])
        control = Control(
            faults=self.faults,
            change_calls=self.change_calls,
            row_counts=lambda: self.truth,
        )
        control.add_routes(apps[0])
        urls = [await self._serve(app, port) for app, port in zip(apps, self._ports, strict=True)]
        self.zendesk.url, self.talkdesk.api_url, id_url, self.talkdesk.files.url = urls
        self.talkdesk.token_url = f"{id_url}/oauth/token"

    async def _serve(self, app: web.Application, port: int) -> str:
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.1,  # 0 would mean no timeout
        )
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, HOST, port).start()
        return f"http://{HOST}:{runner.addresses[0][1]}"

    async def _clean_up(self) -> None:
        while self._runners:
            await self._runners.pop().cleanup()

    @property
    def requests(self) -> list[Request]:
        """The requests to all servers so far."""
        return self._log.copy()

    def forget_requests(self) -> None:
        """Clear the request log."""
        self._log.clear()

    @property
    def config(self) -> dict[str, Any]:
        """Tap settings to sync the whole history of both vendors."""
        return {
            "start_date": "2019-01-01T00:00:00Z",
            "zendesk_subdomain": "sandbox",
            "zendesk_url": self.zendesk.url,
            "zendesk_client_id": self.zendesk.client_id,
            "zendesk_client_secret": self.zendesk.client_secret,
            "talkdesk_account": "sandbox",
            "talkdesk_api_url": self.talkdesk.api_url,
            "talkdesk_token_url": self.talkdesk.token_url,
            "talkdesk_client_id": self.talkdesk.client_id,
            "talkdesk_client_secret": self.talkdesk.client_secret,
        }

    @property
    def rows(self) -> dict[str, dict[Any, Row]]:
        """The latest version of each row, by stream and primary key."""
        return {
            **{f"talkdesk_{report}": rows for report, rows in self.talkdesk.rows.items()},
            **{f"zendesk_{resource}": rows for resource, rows in self.zendesk.rows.items()},
        }

    @property
    def truth(self) -> dict[str, int]:
        """The number of rows of each stream."""
        return {stream: len(rows) for stream, rows in self.rows.items()}

    def change_calls(self, count: int, at: datetime | None = None) -> dict[str, int]:
        """Update calls as the vendors do (charges, call quality, ratings), and add new calls.

        Args:
            count: The number of calls of each vendor to update; a fifth as many are added.
            at: The time of the changes; by default the current time.

        Returns:
            The number of updated and added rows of each stream.
        """
        at = at or datetime.fromtimestamp(self._clock(), timezone.utc)
        return self._change_zendesk(count, at) | self._change_talkdesk(count, at)

    def _change_zendesk(self, count: int, at: datetime) -> dict[str, int]:
        changed = {"zendesk_calls": 0, "zendesk_legs": 0}
        legs: dict[int, list[Row]] = {}
        for leg in self.zendesk.legs.values():
            legs.setdefault(leg["call_id"], []).append(leg)
        # The documented examples are from 2019 and must stay unchanged.
        generated = [row for row in self.zendesk.calls.values() if row["created_at"] > "2020"]
        update = {"call_charge": "0.071", "quality_issues": ["none"]}
        rows = [
            (row | update, legs.get(row["id"], []))
            for row in self._generator.sample(generated, count)
        ]
        for _ in range(count // 5):
            call = self._generator.zendesk_call(at - timedelta(minutes=40))
            rows.append((call, self._generator.zendesk_legs(call)))
        # All within the last minute, because a row that appears now can't have an older
        # `updated_at`; spread over its seconds, because the rows of a second must fit a page.
        timestamps = cycle(format_utc(at - timedelta(seconds=ago)) for ago in range(60))
        for (call, call_legs), updated_at in zip(rows, timestamps, strict=False):
            self.zendesk.put_call(call | {"updated_at": updated_at})
            for leg in call_legs:
                self.zendesk.put_leg(leg | {"updated_at": updated_at})
            changed["zendesk_calls"] += 1
            changed["zendesk_legs"] += len(call_legs)
        numbers = self.zendesk.lists["phone_numbers"]
        numbers |= self._generator.zendesk_phone_numbers() | numbers  # of lines used since then
        return changed

    def _change_talkdesk(self, count: int, at: datetime) -> dict[str, int]:
        since = format_utc(at - timedelta(hours=24))
        examples = {row["call_id"] for row in example("talkdesk_calls")}
        recent = [
            row
            for call_id, row in self.talkdesk.calls.items()
            if (row["end_at"] or "") >= since and call_id not in examples
        ]
        rows = [
            row
            | {
                "csat_score": self._generator.csat_score(),
                "csat_survey_time": format_utc(at),
                "notes": "Rated on the next day.",
            }
            for row in self._generator.sample(recent, count)
        ]
        rows += [
            self._generator.talkdesk_call(at - timedelta(minutes=40)) for _ in range(count // 5)
        ]
        for row in rows:
            self.talkdesk.put_call(row)
        return {"talkdesk_calls": len(rows)}

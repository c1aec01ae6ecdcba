"""One Talkdesk account: what its streams share."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from threading import Event
from typing import TYPE_CHECKING

from tap_voicecalls.http.client import ApiClient, ApiProfile
from tap_voicecalls.http.retry import DEFAULT_ACTIONS, Action, RetryPolicy
from tap_voicecalls.http.server_clock import ServerClock
from tap_voicecalls.talkdesk.auth import SCOPES, make_auth
from tap_voicecalls.talkdesk.job_slots import JobSlots
from tap_voicecalls.talkdesk.jobs import ReportJobs

if TYPE_CHECKING:
    from tap_voicecalls.http.usage import ApiUsage
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.talkdesk.report_types import ReportType
    from tap_voicecalls.talkdesk.settings import TalkdeskSettings

#: Talkdesk's documentation says 401 for an expired token, the predecessor's says 403.
_REPORT_RETRY = RetryPolicy({**DEFAULT_ACTIONS, HTTPStatus.FORBIDDEN: Action.REFRESH_TOKEN})


class TalkdeskAccount:
    """The connection to an account."""

    def __init__(self, settings: TalkdeskSettings, run: RunContext) -> None:
        """Store the settings; nothing is sent yet."""
        self.settings = settings
        self._logger = run.logger
        self._profile = partial(
            ApiProfile,
            "Talkdesk",
            host_settings="talkdesk_account, talkdesk_region and the URLs, if they are set",
            secrets=settings.secrets,
            request_id_header="platform-tid",
        )
        self.server_clock = ServerClock("Talkdesk", run.clock, run.logger)
        self._client = partial(ApiClient, run=run, server_clock=self.server_clock)
        self._auth = make_auth(settings, self._client(self._profile(hint=self._token_hint)))
        self._slots = JobSlots(settings.concurrent_jobs, run.clock)

    def report_jobs(self, report_type: ReportType, usage: ApiUsage) -> ReportJobs:
        """Return the jobs of a report type; `usage` counts their requests and waits."""
        stop, stopped = Event(), Event()
        stopped.set()
        hint = partial(self._report_hint, report_type)
        return ReportJobs(
            report_type,
            url=self.settings.api_url,
            client=self._client(
                self._profile(hint=hint, retry=_REPORT_RETRY), stop=stop, usage=usage
            ),
            # It never waits, so it never retries.
            cancel_client=self._client(self._profile(hint=hint), stop=stopped, usage=usage),
            auth=self._auth,
            slots=self._slots,
            stop=stop,
            logger=self._logger,
        )

    def _token_hint(self, status: int) -> str:
        if status == HTTPStatus.NOT_FOUND:
            return "Check talkdesk_account and talkdesk_region."
        secret = "talkdesk_private_key" if self.settings.private_key else "talkdesk_client_secret"
        return f"Check talkdesk_client_id, {secret}, talkdesk_account and talkdesk_region."

    def _report_hint(self, report_type: ReportType, status: int) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return (
                    f"Likely causes: talkdesk_region is {self.settings.region!r} and the account "
                    f"is in another region, which rejects this one's tokens; the OAuth client "
                    f"lacks one of the scopes {' and '.join(SCOPES)}; or the account has no "
                    f"{report_type.name} report."
                )
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return "If it is about the timespan, reduce talkdesk_window_days."
            case _:
                return (
                    f"Check talkdesk_region and talkdesk_api_url. If they are right, contact "
                    f"Talkdesk's support: the account may have no {report_type.name} report."
                )

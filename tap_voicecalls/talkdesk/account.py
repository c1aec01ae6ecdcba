"""One Talkdesk account."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_voicecalls.http.client import ApiClient
from tap_voicecalls.talkdesk.auth import SCOPES, authorize
from tap_voicecalls.talkdesk.jobs import ReportJobs

if TYPE_CHECKING:
    from logging import Logger
    from threading import Event

    from tap_voicecalls.talkdesk.settings import TalkdeskSettings
    from tap_voicecalls.timestamps import Clock


class TalkdeskAccount:
    """The way to an account."""

    def __init__(
        self, settings: TalkdeskSettings, *, clock: Clock, user_agent: str, logger: Logger
    ) -> None:
        """Opens nothing yet."""
        self._settings = settings
        self._logger = logger
        self._make_api = partial(
            ApiClient,
            "Talkdesk",
            clock=clock,
            user_agent=user_agent,
            logger=logger,
            secrets=settings.secrets,
        )

    def report_jobs(self, stopped: Event) -> ReportJobs:
        """Reports of windows, until `stopped` is set; one token serves all of them."""
        tokens = self._make_api(hint=self._token_hint, stopped=stopped)
        return ReportJobs(
            url=self._settings.api_url,
            api=self._make_api(hint=self._report_hint, stopped=stopped),
            auth=authorize(self._settings, tokens),
            timeout=self._settings.job_timeout,
            logger=self._logger,
        )

    def _token_hint(self, status: int) -> str:
        if status == HTTPStatus.NOT_FOUND:
            return "Check talkdesk_account and talkdesk_region."
        secret = "talkdesk_private_key" if self._settings.private_key else "talkdesk_client_secret"
        return f"Check talkdesk_client_id, {secret}, talkdesk_account and talkdesk_region."

    def _report_hint(self, status: int) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return (
                    f"Likely causes: talkdesk_region is {self._settings.region!r} and the account "
                    f"lives in another, where a token of this one is refused; or the OAuth client "
                    f"lacks one of the scopes {' and '.join(SCOPES)}."
                )
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return "If it is about the timespan, set talkdesk_window_days to less."
            case _:
                return (
                    "Check talkdesk_region and talkdesk_api_url; if they are right, ask Talkdesk."
                )

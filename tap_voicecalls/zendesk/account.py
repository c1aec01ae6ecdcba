"""One Zendesk account: what its two streams share."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_voicecalls.http.client import ApiClient
from tap_voicecalls.zendesk.auth import authorize
from tap_voicecalls.zendesk.export import IncrementalExport
from tap_voicecalls.zendesk.request_budget import RequestBudget

if TYPE_CHECKING:
    from logging import Logger

    from tap_voicecalls.sync.conform import ConformingRow
    from tap_voicecalls.timestamps import Clock
    from tap_voicecalls.zendesk.settings import ZendeskSettings


class ZendeskAccount:
    """The connection to an account: one session, one set of credentials, one request budget."""

    def __init__(
        self, settings: ZendeskSettings, *, clock: Clock, user_agent: str, logger: Logger
    ) -> None:
        """Opens nothing yet."""
        self._url = settings.url
        self._logger = logger
        self.budget = RequestBudget(settings.requests_per_minute, clock)
        tokens = ApiClient(
            "Zendesk",
            clock=clock,
            user_agent=user_agent,
            logger=logger,
            hint=_token_hint,
            secrets=settings.secrets,
        )
        self._auth = authorize(settings, tokens)
        self._api = ApiClient(
            "Zendesk",
            clock=clock,
            user_agent=user_agent,
            logger=logger,
            hint=_export_hint,
            secrets=settings.secrets,
            turn=self.budget.turn,
        )

    def export(self, resource: str, row: type[ConformingRow]) -> IncrementalExport:
        """The export of `calls` or of `legs`, with what their rows are decoded with if they fit."""
        return IncrementalExport(
            resource, row, url=self._url, api=self._api, auth=self._auth, logger=self._logger
        )


def _token_hint(status: int) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "Check zendesk_subdomain."
    return (
        "Check zendesk_client_id, zendesk_client_secret and zendesk_scope "
        "against the OAuth client in Zendesk's Admin Center."
    )


def _export_hint(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return (
                "Check the credentials: zendesk_client_id and zendesk_client_secret, "
                "zendesk_access_token, or zendesk_email and zendesk_api_token."
            )
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return (
                "Likely causes: the user behind the credentials is neither an admin nor in a role "
                "with the permission 'Can manage channels'; the token lacks the scope `read`; Talk "
                "is not part of the account's plan; zendesk_subdomain names another account; or "
                "the client counts as a third party, whose access to incremental exports ends in "
                "December 2026: use an OAuth client of the account's own."
            )
        case _:
            return (
                "Check zendesk_subdomain and zendesk_url; if they are right, ask Zendesk's support."
            )

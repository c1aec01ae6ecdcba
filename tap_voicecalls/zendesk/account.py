"""One Zendesk account: what its streams share."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_voicecalls.http.client import ApiClient, ApiProfile
from tap_voicecalls.http.server_clock import ServerClock
from tap_voicecalls.zendesk.auth import make_auth
from tap_voicecalls.zendesk.export import IncrementalExport
from tap_voicecalls.zendesk.request_budget import make_budget

if TYPE_CHECKING:
    from tap_voicecalls.http.usage import ApiUsage
    from tap_voicecalls.sync.conform import RecordConformer
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.zendesk.settings import ZendeskSettings


class ZendeskAccount:
    """The connection to an account: its credentials and its request budget."""

    def __init__(self, settings: ZendeskSettings, run: RunContext) -> None:
        """Make the clients; nothing is sent yet."""
        self.settings = settings
        self.budget = make_budget(settings, run.clock, run.logger)
        profile = partial(
            ApiProfile,
            "Zendesk",
            secrets=settings.secrets,
            host_settings="zendesk_subdomain and zendesk_url",
            certificate_hint="A suspended account's certificate is not trusted either.",
        )
        self.server_clock = ServerClock("Zendesk", run.clock, run.logger)
        client = partial(ApiClient, run=run, server_clock=self.server_clock)
        self._auth = make_auth(settings, client(profile(hint=_token_hint)))
        self._client = partial(client, profile(hint=_export_hint))
        self._logger = run.logger

    def export(
        self, resource: str, conformer: RecordConformer, usage: ApiUsage
    ) -> IncrementalExport:
        """Return the export of `calls` or of `legs`; `usage` counts what it uses."""
        return IncrementalExport(
            resource,
            url=self.settings.url,
            client=self._client(acquire=partial(self.budget.acquire, usage), usage=usage),
            auth=self._auth,
            conformer=conformer,
            logger=self._logger,
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
            return "Check zendesk_subdomain and zendesk_url. If they are right, contact Zendesk."

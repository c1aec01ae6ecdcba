"""One Zendesk account: what its streams share."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_voicecalls.http.client import ApiClient, ApiProfile
from tap_voicecalls.http.server_clock import ServerClock
from tap_voicecalls.zendesk.auth import make_auth
from tap_voicecalls.zendesk.export import IncrementalExport
from tap_voicecalls.zendesk.list_reader import ListReader
from tap_voicecalls.zendesk.rate_limit import RateLimit
from tap_voicecalls.zendesk.request_budget import make_budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_voicecalls.http.usage import ApiUsage
    from tap_voicecalls.sync.conform import RecordConformer
    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.zendesk.list_reader import ZendeskList
    from tap_voicecalls.zendesk.settings import ZendeskSettings


_EXPORT_CAUSES = (
    "the user behind the credentials is neither an admin nor in a role with the permission 'Can "
    "manage channels'; the token lacks the scope `read`; Talk is not part of the account's plan; "
    "zendesk_subdomain names another account; or the client counts as a third party, whose access "
    "to incremental exports ends in December 2026: use an OAuth client of the account's own."
)


class ZendeskAccount:
    """The connection to an account: its credentials and its request budget."""

    def __init__(self, settings: ZendeskSettings, run: RunContext) -> None:
        """Make the clients; nothing is sent yet."""
        self.settings = settings
        self.budget = make_budget(settings, run.clock, run.logger)
        self._run = run
        self.server_clock = ServerClock("Zendesk", run.clock, run.logger)
        self._auth = make_auth(settings, self._client(_token_hint))
        self._rate_limit = RateLimit(run.clock, run.logger)

    def _client(self, hint: Callable[[int], str], **options: Any) -> ApiClient:
        profile = ApiProfile(
            "Zendesk",
            hint=hint,
            secrets=self.settings.secrets,
            host_settings="zendesk_subdomain and zendesk_url",
            certificate_hint="A suspended account's certificate is not trusted either.",
        )
        return ApiClient(profile, self._run, server_clock=self.server_clock, **options)

    def export(
        self, resource: str, conformer: RecordConformer, usage: ApiUsage
    ) -> IncrementalExport:
        """Return the export of `calls` or of `legs`; `usage` counts what it uses."""
        return IncrementalExport(
            resource,
            url=self.settings.url,
            client=self._client(
                partial(_hint, causes=_EXPORT_CAUSES),
                acquire=partial(self.budget.acquire, usage),
                usage=usage,
            ),
            auth=self._auth,
            conformer=conformer,
            logger=self._run.logger,
        )

    def list_reader(
        self, source: ZendeskList, conformer: RecordConformer, usage: ApiUsage
    ) -> ListReader:
        """Return the reader of a list; `usage` counts what it uses."""
        return ListReader(
            source,
            url=self.settings.url,
            client=self._client(
                partial(_hint, causes=source.causes),
                acquire=partial(self._rate_limit.acquire, usage),
                usage=usage,
            ),
            auth=self._auth,
            rate_limit=self._rate_limit,
            conformer=conformer,
        )


def _token_hint(status: int) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "Check zendesk_subdomain."
    return (
        "Check zendesk_client_id, zendesk_client_secret and zendesk_scope "
        "against the OAuth client in Zendesk's Admin Center."
    )


def _hint(status: int, causes: str) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return (
                "Check the credentials: zendesk_client_id and zendesk_client_secret, "
                "zendesk_access_token, or zendesk_email and zendesk_api_token."
            )
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return f"Likely causes: {causes}"
        case _:
            return "Check zendesk_subdomain and zendesk_url. If they are right, contact Zendesk."

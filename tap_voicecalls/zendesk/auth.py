"""Credentials for Zendesk.

From Zendesk's documentation: "Creating and using OAuth tokens with the API" for client credentials,
"API token" for Basic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.auth import AuthBase, HTTPBasicAuth

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.client import ApiClient, read_json
from tap_voicecalls.http.oauth import BearerAuth, Token, read_token
from tap_voicecalls.zendesk.settings import AccessToken, ApiToken, ClientCredentials

if TYPE_CHECKING:
    import requests

    from tap_voicecalls.zendesk.settings import ZendeskSettings

#: Seconds to ask a token for; Zendesk grants 300 to 172,800, and a backfill lasts hours.
TOKEN_LIFETIME = 4 * 60 * 60


class _ReadyToken(AuthBase):
    """A bearer token that can't be made anew."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def authorize(settings: ZendeskSettings, api: ApiClient) -> AuthBase:
    """What puts the credentials of the settings on a request.

    Args:
        settings: The account.
        api: Asks for tokens; they do not count against the quota of the exports.
    """
    match settings.credentials:
        case ClientCredentials() as client:
            return BearerAuth(lambda: _ask_token(settings.url, client, api), api.clock)
        case AccessToken(text=token):
            return _ReadyToken(token)
        case ApiToken(email=email, text=token):
            api.logger.warning(
                "Zendesk: API tokens stop working on 2027-04-30, and one that is not used for 30 "
                "days before; set zendesk_client_id and zendesk_client_secret instead."
            )
            return HTTPBasicAuth(f"{email}/token", token)


def _ask_token(url: str, client: ClientCredentials, api: ApiClient) -> Token:
    answer = api.send(
        "POST",
        f"{url}/oauth/tokens",
        read_json,
        json={
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scope": client.scope,
            # Zendesk tells a token's end only to those who ask for one.
            "expires_in": TOKEN_LIFETIME,
        },
    )
    token = read_token(answer, usual_seconds=TOKEN_LIFETIME)
    if token is None:
        raise VoiceCallsError(
            "Zendesk answered POST /oauth/tokens without a token. Check zendesk_url."
        )
    return token

"""Credentials for Zendesk.

From Zendesk's documentation: "Creating and using OAuth tokens with the API" for client credentials,
"API token" for Basic authentication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.auth import AuthBase, HTTPBasicAuth

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import read_json_object
from tap_voicecalls.http.oauth import BearerAuth, Token, parse_token_response
from tap_voicecalls.zendesk.settings import AccessToken, ApiToken, ClientCredentials

if TYPE_CHECKING:
    import requests

    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.zendesk.settings import ZendeskSettings

#: Requested token lifetime in seconds. Zendesk grants 300 to 172,800, and a backfill takes hours.
TOKEN_LIFETIME = 4 * 60 * 60


class _StaticBearerAuth(AuthBase):
    """A bearer token that can't be refreshed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def make_auth(settings: ZendeskSettings, token_client: ApiClient) -> AuthBase:
    """Return what adds the credentials of the settings to a request.

    Args:
        settings: The account.
        token_client: Fetches tokens; they don't count against the quota of the exports.
    """
    match settings.credentials:
        case ClientCredentials() as client:
            return BearerAuth(
                lambda: _fetch_token(settings.url, client, token_client), token_client.clock
            )
        case AccessToken(value=token):
            return _StaticBearerAuth(token)
        case ApiToken(email=email, value=token):
            token_client.logger.warning(
                "Zendesk: API tokens stop working on 2027-04-30, and one that is not used for 30 "
                "days is deactivated. Set zendesk_client_id and zendesk_client_secret instead."
            )
            return HTTPBasicAuth(f"{email}/token", token)


def _fetch_token(url: str, client: ClientCredentials, token_client: ApiClient) -> Token:
    body = token_client.send(
        "POST",
        f"{url}/oauth/tokens",
        read_json_object,
        json={
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scope": client.scope,
            # Zendesk states a token's lifetime only if one was requested.
            "expires_in": TOKEN_LIFETIME,
        },
    )
    token = parse_token_response(body, default_lifetime=TOKEN_LIFETIME)
    if token is None:
        raise VoiceCallsError(
            "Zendesk returned no token for POST /oauth/tokens. Check zendesk_url."
        )
    return token

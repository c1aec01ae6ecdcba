"""Access tokens for Talkdesk.

From Talkdesk's documentation: "Client credentials" with Basic authentication and with a private
key JWT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from requests.auth import HTTPBasicAuth

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import read_json_object
from tap_voicecalls.http.oauth import BearerAuth, Token, parse_token_response

if TYPE_CHECKING:
    from tap_voicecalls.http.client import ApiClient
    from tap_voicecalls.talkdesk.settings import TalkdeskSettings

SCOPES = "data-reports:read", "data-reports:write"
#: Token lifetime in seconds where the response states none; Talkdesk's live at least twice as long.
TOKEN_LIFETIME = 300.0
#: Lifetime of a signed assertion in seconds, as in Talkdesk's documentation.
ASSERTION_LIFETIME = 300


def make_auth(settings: TalkdeskSettings, token_client: ApiClient) -> BearerAuth:
    """Return what adds a token to a request; one token serves all windows and threads."""
    return BearerAuth(lambda: _fetch_token(settings, token_client), token_client.clock)


def _fetch_token(settings: TalkdeskSettings, token_client: ApiClient) -> Token:
    form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
    basic = None
    if settings.private_key:
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form["client_assertion"] = _sign(settings, int(token_client.clock.now().timestamp()))
    else:
        basic = HTTPBasicAuth(settings.client_id, settings.client_secret or "")
    body = token_client.send("POST", settings.token_url, read_json_object, auth=basic, form=form)
    token = parse_token_response(body, default_lifetime=TOKEN_LIFETIME)
    if token is None:
        raise VoiceCallsError("Talkdesk returned no token. Check talkdesk_token_url.")
    granted = body.get("scope")
    if isinstance(granted, str) and granted:
        missing = [scope for scope in SCOPES if scope not in granted.split()]
        if missing:
            raise VoiceCallsError(
                f"Talkdesk's OAuth client lacks the scope {' and '.join(missing)}: "
                f"add it to the client of talkdesk_client_id."
            )
    return token


def _sign(settings: TalkdeskSettings, now: int) -> str:
    import jwt  # noqa: PLC0415 - slow to import, and rarely needed

    return jwt.encode(
        {
            "iss": settings.client_id,
            "sub": settings.client_id,
            "aud": settings.token_url,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
        },
        settings.private_key or "",
        algorithm="ES256",
        headers={"kid": settings.key_id},
    )

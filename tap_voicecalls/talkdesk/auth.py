"""Tokens for Talkdesk.

From Talkdesk's documentation: "Client credentials" with Basic and with a private key JWT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from requests.auth import HTTPBasicAuth

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.client import ApiClient, read_json
from tap_voicecalls.http.oauth import BearerAuth, Token, read_token

if TYPE_CHECKING:
    from tap_voicecalls.talkdesk.settings import TalkdeskSettings

SCOPES = "data-reports:read", "data-reports:write"
#: Seconds a token is good where the answer does not say; Talkdesk's live at least twice as long.
TOKEN_LIFETIME = 300.0
#: Seconds a signed assertion is good, as Talkdesk's documentation has it.
ASSERTION_SECONDS = 300


def authorize(settings: TalkdeskSettings, api: ApiClient) -> BearerAuth:
    """What puts a token on a request; one for all windows and threads.

    Args:
        settings: The account.
        api: Asks for tokens.
    """
    return BearerAuth(lambda: _ask_token(settings, api), api.clock)


def _ask_token(settings: TalkdeskSettings, api: ApiClient) -> Token:
    form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
    basic = None
    if settings.private_key:
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form["client_assertion"] = _sign(settings, int(api.clock.now().timestamp()))
    else:
        basic = HTTPBasicAuth(settings.client_id, settings.client_secret or "")
    answer = api.send("POST", settings.token_url, read_json, auth=basic, form=form)
    token = read_token(answer, usual_seconds=TOKEN_LIFETIME)
    if token is None:
        raise VoiceCallsError("Talkdesk's token endpoint gave no token. Check talkdesk_token_url.")
    granted = answer.get("scope")
    if isinstance(granted, str) and granted:
        missing = [scope for scope in SCOPES if scope not in granted.split()]
        if missing:
            raise VoiceCallsError(
                f"Talkdesk's OAuth client lacks the scope {' and '.join(missing)}: "
                f"add it to the client of talkdesk_client_id."
            )
    return token


def _sign(settings: TalkdeskSettings, now: int) -> str:
    import jwt  # noqa: PLC0415 - slow to load, and few need it

    return jwt.encode(
        {
            "iss": settings.client_id,
            "sub": settings.client_id,
            "aud": settings.token_url,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        },
        settings.private_key or "",
        algorithm="ES256",
        headers={"kid": settings.key_id},
    )

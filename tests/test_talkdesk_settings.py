"""Talkdesk's settings: the account's region, and the private key."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sandbox.client_key import ClientKey
from tap_voicecalls.errors import ConfigError
from tap_voicecalls.talkdesk.settings import TalkdeskSettings, read_settings
from tap_voicecalls.tap import TapVoiceCalls

P256 = ec.generate_private_key(ec.SECP256R1())


def read(**settings: Any) -> TalkdeskSettings:
    """Return Talkdesk's settings, as the tap reads them."""
    config = {"start_date": "2026-01-01", "talkdesk_account": "acme", "talkdesk_client_id": "c"}
    return read_settings(TapVoiceCalls(config=config | settings).config)


# The region


@pytest.mark.parametrize(
    ("account", "token_url"),
    [
        ("acme.mytalkdesk.com", "https://acme.talkdeskid.com/oauth/token"),
        ("acme.mytalkdesk.eu", "https://acme.talkdeskid.eu/oauth/token"),
        ("https://acme.talkdeskid.eu/login", "https://acme.talkdeskid.eu/oauth/token"),
        ("ACME.talkdeskidca.com", "https://acme.talkdeskidca.com/oauth/token"),
        ("mytalkdesk.mytalkdesk.eu", "https://mytalkdesk.talkdeskid.eu/oauth/token"),
    ],
)
def test_host_name_of_the_account_sets_the_region(account: str, token_url: str) -> None:
    settings = read(talkdesk_account=account, talkdesk_client_secret="s")
    assert settings.token_url == token_url
    api_domain = token_url.split(".", 1)[1].removesuffix("/oauth/token").replace("id", "app")
    assert settings.api_url == f"https://api.{api_domain}"


@pytest.mark.parametrize("region", ["eu", "EU"])
def test_region_may_agree_with_the_host_name(region: str) -> None:
    account = "acme.mytalkdesk.eu"
    settings = read(talkdesk_account=account, talkdesk_region=region, talkdesk_client_secret="s")
    assert settings.region == "eu"


@pytest.mark.parametrize(
    ("account", "region"), [("acme.mytalkdesk.eu", "ca"), ("acme.mytalkdesk.com", "eu")]
)
def test_region_that_contradicts_the_host_name_is_an_error(account: str, region: str) -> None:
    with pytest.raises(ConfigError, match=f"talkdesk_account is in the region .* '{region}'"):
        read(talkdesk_account=account, talkdesk_region=region, talkdesk_client_secret="s")


# The private key


def pem(key: Any, encryption: Any = None) -> str:
    """Return a private key as PEM."""
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return data.decode()


def test_private_key_on_p256_is_accepted() -> None:
    assert read(talkdesk_key_id="k", talkdesk_private_key=pem(P256)).private_key


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (
            P256.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "is a public key",
        ),
        (pem(ec.generate_private_key(ec.SECP384R1())), "is on the curve secp384r1"),
        (pem(rsa.generate_private_key(65537, 2048)), "is not an EC key"),
        (pem(P256, BestAvailableEncryption(b"pass")), "is an encrypted key"),
        (ClientKey().private[:-40], "is not a private key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "is not a private key"),
        ("\u2013 pasted \ud83d", "is not a private key"),
    ],
    ids=["public", "P-384", "RSA", "encrypted", "cut off", "certificate", "odd characters"],
)
def test_unusable_private_key_is_named_not_shown(key: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(talkdesk_key_id="k", talkdesk_private_key=key)
    assert f"talkdesk_private_key {problem}" in str(raised.value)
    assert all(line not in str(raised.value) for line in key.splitlines() if len(line) > 30)

"""The settings of Talkdesk Explore."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_voicecalls.config import read_account_name, read_url, read_word, require
from tap_voicecalls.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The domains of the API and of the identity service, by region. From Talkdesk's documentation,
#: "How to guarantee your app works in all regions".
REGIONS = {
    "us": ("talkdeskapp.com", "talkdeskid.com"),
    "eu": ("talkdeskapp.eu", "talkdeskid.eu"),
    "ca": ("talkdeskappca.com", "talkdeskidca.com"),
}
#: What follows the account's name in a host name, and the region that it is in.
_DOMAINS = re.compile(r"(?:my)?talkdesk(?:id|app)?(\.com|\.eu|ca\.com)")
_REGIONS_BY_DOMAIN = {".com": "us", ".eu": "eu", "ca.com": "ca"}
_DEFAULT_REGION = "us"

_SIGNED = "talkdesk_key_id", "talkdesk_private_key"
#: Any of these means that Talkdesk is wanted; the others have defaults.
ENABLING_SETTINGS = (
    "talkdesk_account",
    "talkdesk_client_id",
    "talkdesk_client_secret",
    *_SIGNED,
    "talkdesk_api_url",
    "talkdesk_token_url",
)
#: Any of these is enough.
SETTING_GROUPS = (
    ("talkdesk_account", "talkdesk_client_id", "talkdesk_client_secret"),
    ("talkdesk_account", "talkdesk_client_id", *_SIGNED),
)

SETTINGS: tuple[th.Property[Any], ...] = (
    th.Property(
        "talkdesk_account",
        th.StringType,
        title="Talkdesk account",
        description="The account's name, the `acme` of acme.mytalkdesk.com, or the whole host "
        "name, which also sets the region.",
    ),
    th.Property(
        "talkdesk_region",
        th.StringType,
        default=_DEFAULT_REGION,
        title="Talkdesk region",
        description="The account's region: `us`, `eu` or `ca`. It must not contradict a host name "
        "in `talkdesk_account`, which counts instead of the default. For another region, set both "
        "URLs.",
    ),
    th.Property(
        "talkdesk_client_id",
        th.StringType,
        title="Talkdesk OAuth client",
        description="ID of an OAuth client with the scopes `data-reports:read` and "
        "`data-reports:write`.",
    ),
    th.Property(
        "talkdesk_client_secret",
        th.StringType,
        secret=True,
        title="Talkdesk OAuth secret",
        description="Secret of that OAuth client.",
    ),
    th.Property(
        "talkdesk_key_id",
        th.StringType,
        title="Talkdesk key ID",
        description="ID of the OAuth client's key, for a signed JWT instead of the secret.",
    ),
    th.Property(
        "talkdesk_private_key",
        th.StringType,
        secret=True,
        title="Talkdesk private key",
        description="That private key: an EC key on P-256, as PEM or as base64 PKCS#8.",
    ),
    th.Property(
        "talkdesk_api_url",
        th.URIType,
        title="Talkdesk API URL",
        description="Base URL of the API instead of the region's, for other regions and tests.",
    ),
    th.Property(
        "talkdesk_token_url",
        th.URIType,
        title="Talkdesk token URL",
        description="URL of the token endpoint instead of the account's and region's.",
    ),
    th.Property(
        "talkdesk_window_days",
        th.IntegerType(minimum=1, maximum=31),
        default=28,
        title="Talkdesk window",
        description="Days that one report job covers. Talkdesk allows a month. It is always one "
        "day for `talkdesk_user_status`.",
    ),
    th.Property(
        "talkdesk_lookback_hours",
        th.IntegerType(minimum=0),
        default=48,
        title="Talkdesk lookback",
        description="Hours that the bookmark stays behind the start of the sync: notes, ratings "
        "and CSAT arrive up to a day late, and Talkdesk has no `updated_at`.",
    ),
    th.Property(
        "talkdesk_concurrent_jobs",
        th.IntegerType(minimum=1, maximum=10),
        default=4,
        title="Talkdesk concurrent jobs",
        description="Report jobs that run at the same time. The account's quota of 15 is shared "
        "with everyone who runs reports.",
    ),
    th.Property(
        "talkdesk_job_timeout_seconds",
        th.IntegerType(minimum=1),
        default=3600,
        title="Talkdesk job timeout",
        description="Seconds that one report job may take, from its creation to its file.",
    ),
)


@dataclass(frozen=True)
class TalkdeskSettings:
    """The settings of Talkdesk Explore, validated.

    Either `client_secret` is set, or `key_id` and `private_key` are.
    """

    api_url: str
    token_url: str
    client_id: str
    client_secret: str | None
    key_id: str | None
    private_key: str | None
    region: str
    window: timedelta
    lookback: timedelta
    concurrent_jobs: int
    job_timeout: timedelta

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings that no output may contain."""
        return tuple(secret for secret in (self.client_secret, self.private_key) if secret)


def read_settings(config: Mapping[str, Any]) -> TalkdeskSettings:
    """Return the settings of Talkdesk, validated.

    Raises:
        ConfigError: A setting is missing or malformed; the message names it.
    """
    api_url = read_url(config, "talkdesk_api_url")
    token_url = read_url(config, "talkdesk_token_url")
    region = str(config["talkdesk_region"]).lower()
    if not (api_url and token_url):
        region = _region_of_account(config, region)
        if region not in REGIONS:
            raise ConfigError(
                "talkdesk_region must be us, eu or ca; "
                "for another region set talkdesk_api_url and talkdesk_token_url."
            )
        api_domain, id_domain = REGIONS[region]
        api_url = api_url or f"https://api.{api_domain}"
        if not token_url:
            require(
                config,
                ("talkdesk_account",),
                "set it to the account's name, `acme` of acme.mytalkdesk.com",
            )
            account = read_account_name(config, "talkdesk_account", _DOMAINS, "acme.mytalkdesk.com")
            token_url = f"https://{account}.{id_domain}/oauth/token"
    require(config, ("talkdesk_client_id",), "set it to the ID of an OAuth client in Talkdesk")
    if any(name in config for name in _SIGNED):
        require(config, _SIGNED, f"a signed JWT needs both {_SIGNED[0]} and {_SIGNED[1]}")
    else:
        require(
            config,
            ("talkdesk_client_secret",),
            f"set it to the secret of talkdesk_client_id, or set {_SIGNED[0]} and {_SIGNED[1]}",
        )
    return TalkdeskSettings(
        api_url=api_url,
        token_url=token_url,
        client_id=read_word(config, "talkdesk_client_id"),
        client_secret=_read_optional_word(config, "talkdesk_client_secret"),
        key_id=_read_optional_word(config, "talkdesk_key_id"),
        private_key=_read_key(config["talkdesk_private_key"]) if _SIGNED[1] in config else None,
        region=region,
        window=timedelta(days=config["talkdesk_window_days"]),
        lookback=timedelta(hours=config["talkdesk_lookback_hours"]),
        concurrent_jobs=config["talkdesk_concurrent_jobs"],
        job_timeout=timedelta(seconds=config["talkdesk_job_timeout_seconds"]),
    )


def _read_optional_word(config: Mapping[str, Any], name: str) -> str | None:
    return read_word(config, name) if name in config else None


def _region_of_account(config: Mapping[str, Any], region: str) -> str:
    """Return the region of the account's host name; without one, the region that is set.

    The SDK fills in the default, so that an explicit `us` can't be distinguished from it.

    Raises:
        ConfigError: The region that is set is another one.
    """
    found = _DOMAINS.search(str(config.get("talkdesk_account", "")).lower())
    if found is None:
        return region
    own_region = _REGIONS_BY_DOMAIN[found[1]]
    if region not in {_DEFAULT_REGION, own_region}:
        raise ConfigError(
            f"talkdesk_account is in the region {own_region} ({found[0]}), and talkdesk_region is "
            f"{region!a}: correct one of them, or set talkdesk_account to the account's name alone."
        )
    return own_region


def _read_key(value: str) -> str:
    """Return the private key as PEM; a key on one line has its line breaks escaped."""
    pem = value.replace("\\n", "\n")
    if "-----BEGIN" not in pem:
        pem = f"-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"
    if problem := _key_problem(pem):
        raise ConfigError(
            f"talkdesk_private_key is {problem}: set it to the EC private key on the curve P-256, "
            f"as PEM or as base64 PKCS#8, that Talkdesk issued with talkdesk_key_id."
        )
    return pem


def _key_problem(pem: str) -> str | None:
    """Return what is wrong with a key, or None. No error's text is in it: it may hold the key."""
    from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415 - slow to import
        SECP256R1,
        EllipticCurvePrivateKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    if "PUBLIC KEY-----" in pem:
        return "a public key"
    if "ENCRYPTED" in pem:
        return "an encrypted key"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except Exception:  # noqa: BLE001 - of many types
        return "not a private key"
    if not isinstance(key, EllipticCurvePrivateKey):
        return "not an EC key"
    if not isinstance(key.curve, SECP256R1):
        return f"on the curve {key.curve.name}"
    return None

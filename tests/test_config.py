"""Configuration: which settings are valid, and what they resolve to.

* A missing or invalid setting raises a `ConfigError` that names it and shows no secret.
* Accounts, regions and dates are accepted in every common notation.
* A vendor's streams exist only if one of its settings is set.
* The setting groups that Meltano shows are sufficient and minimal.
* Every setting has a title and a description, and every secret is marked as one.
"""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.client_key import ClientKey
from tap_voicecalls.errors import ConfigError
from tap_voicecalls.registry import SETTING_GROUPS, SETTINGS
from tap_voicecalls.sync.stream import VendorStream
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import KEYS

ZENDESK_STREAMS = {name for name in KEYS if name.startswith("zendesk_")}
TALKDESK_STREAMS = KEYS.keys() - ZENDESK_STREAMS
ZENDESK = {
    "start_date": "2026-01-01T00:00:00Z",
    "zendesk_subdomain": "acme",
    "zendesk_access_token": "s3cr3t",
}
TALKDESK = {
    "start_date": "2026-01-01T00:00:00Z",
    "talkdesk_account": "acme",
    "talkdesk_client_id": "client",
    "talkdesk_client_secret": "s3cr3t",
}
OAUTH = {
    "start_date": "2026-01-01T00:00:00Z",
    "zendesk_subdomain": "acme",
    "zendesk_client_id": "client",
    "zendesk_client_secret": "s3cr3t",
}
API_TOKEN = {
    "start_date": "2026-01-01T00:00:00Z",
    "zendesk_subdomain": "acme",
    "zendesk_email": "jo@acme.example",
    "zendesk_api_token": "s3cr3t",
}
SIGNED = {
    "start_date": "2026-01-01T00:00:00Z",
    "talkdesk_account": "acme",
    "talkdesk_client_id": "client",
    "talkdesk_key_id": "key",
    "talkdesk_private_key": ClientKey().private,
}
#: Valid values for the settings that must have a certain format.
VALID_VALUES = {
    "start_date": "2026-01-01T00:00:00Z",
    "zendesk_subdomain": "acme",
    "talkdesk_account": "acme",
    "talkdesk_private_key": ClientKey().private,
}


STREAM_MAPS = [
    (
        {"talkdesk_call": {"contact_phone_number": None}},
        "no stream 'talkdesk_call'",
        "talkdesk_calls",
    ),
    ({"zendesk_calls": {"phone_numbr": None}}, "no column 'phone_numbr'", "phone_number"),
    ({"zendesk_calls": {"phone_numbr": "md5(phone_number)"}}, "no column 'phone_numbr'", ""),
    ({"zendesk_*": {"phone": None}}, "no column 'phone'", ""),
    ({"zendesk_calls": {"phone_numbr": "__NULL__"}}, "no column 'phone_numbr'", "phone_number"),
    ({"*call": {"phone_number": None}}, "no stream '*call'", ""),
    ({"zendesk_calls": {"__filtr__": "duration > 60"}}, "no option '__filtr__'", "__filter__"),
    ({"__els__": None}, "no option '__els__'", "__else__"),
    ({"copy": {"__source__": "zendesk_call"}}, "no stream 'zendesk_call'", "zendesk_calls"),
    ({"copy": {"__source__": "zendesk_calls", "phone": None}}, "no column 'phone'", ""),
    ({"copy": {"phone_number": None}}, "no stream 'copy'", ""),
    ({"zendesk_calls": {"phone_number": "md5(phone_numbr)"}}, "no column 'phone_numbr'", ""),
    ({"zendesk_calls": {"hash": "md5(record['phone'])"}}, "no column 'phone'", ""),
    ({"zendesk_calls": {"hash": "md5(_.get('phone'))"}}, "no column 'phone'", ""),
    ({"zendesk_calls": {"hash": "md5(self)"}}, "no column 'self'", ""),
    ({"zendesk_calls": {"__filter__": "duratio > 60"}}, "no column 'duratio'", "duration"),
    ({"zendesk_calls": {"phone_number": "md5("}}, "'md5(' is not a valid expression", ""),
    ({"zendesk_calls": {"phone_number": ""}}, "'' is not a valid expression", ""),
    ({"zendesk_calls": {"phone_number": {"a": 1}}}, "stream_maps is not valid", ""),
    ({"zendesk_calls": {"phone_number": 5}}, "stream_maps is not valid", ""),
    ({"zendesk_calls": {"id": None}}, "stream_maps: Removing key property 'id'", ""),
    ({"zendesk_calls": "md5(id)"}, "stream_maps is not valid", ""),
    ({"zendesk_calls": 5}, "stream_maps is not valid", ""),
    ({"zendesk_calls": {"__key_properties__": ["i"]}}, "stream_maps: ", "'i'"),
]


@pytest.mark.parametrize(("stream_maps", "problem", "suggestion"), STREAM_MAPS)
def test_unknown_name_in_stream_maps_is_an_error(
    stream_maps: dict[str, Any], problem: str, suggestion: str
) -> None:
    with pytest.raises(ConfigError) as error:
        TapVoiceCalls(config=ZENDESK | {"stream_maps": stream_maps})
    assert problem in str(error.value)
    assert suggestion in str(error.value)


@pytest.mark.parametrize(
    "stream_maps",
    [
        {
            "zendesk_calls": {"minutes": "duration / 60", "phone_number": None},
            "talkdesk_calls": None,
            "__else__": None,
        },
        {"zendesk_calls": {"__alias__": "calls", "__filter__": "duration and int(duration) > 60"}},
        {"zendesk_calls": {"__filter__": None, "phone_number": "md5(phone_number)"}},
        {"zendesk_calls": {"__else__": None, "id": "id", "phone_hash": "sha256(phone_number)"}},
        {"zendesk_calls": {"__key_properties__": ["id", "day"], "day": "created_at[:10]"}},
        {"copy": {"__source__": "zendesk_calls", "phone_number": "__NULL__"}},
        {"zendesk_*": {"phone_number": None}},
        {"*": {"source": "__stream_name__", "who": "config['who']"}},
        {"zendesk_calls": {"phone_number": "md5(self) if self else None"}},
        {"zendesk_calls": {"x": "[y for y in record.values() if y]", "z": "_['id']"}},
        {"zendesk_calls": {"day": "datetime.date.fromisoformat(created_at[:10])"}},
        {"zendesk_calls": {"raw": "json.dumps(extra_fields)", "all": "record", "n": "randint(3)"}},
    ],
    ids=str,
)
def test_stream_maps_of_the_sdk_are_accepted(stream_maps: dict[str, Any]) -> None:
    TapVoiceCalls(config=ZENDESK | {"stream_maps": stream_maps})


def test_copy_of_a_stream_cannot_be_written_to_batch_files() -> None:
    settings = {
        "stream_maps": {"copy": {"__source__": "zendesk_calls"}},
        "batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///data"}},
    }
    with pytest.raises(ConfigError, match=r"stream_maps: .* batch_config"):
        TapVoiceCalls(config=ZENDESK | settings)


def test_start_date_in_the_future_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is in the future"):
        TapVoiceCalls(config=ZENDESK | {"start_date": "2999-01-01T00:00:00Z"})


def account_of(tap: TapVoiceCalls) -> Any:
    """Return the account of the only vendor that is configured."""
    stream = next(iter(tap.streams.values()))
    assert isinstance(stream, VendorStream)
    return stream.account


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a copy of the config without the named settings."""
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ["start_date is missing"]),
        ({"start_date": "2026-01-01"}, ["No vendor", "zendesk_subdomain", "talkdesk_account"]),
        (ZENDESK | {"start_date": "banana"}, ["start_date: 'banana' is not", "RFC 3339"]),
        (ZENDESK | {"start_date": "2026-02-30"}, ["start_date: '2026-02-30' is not"]),
        (ZENDESK | {"start_date": 20260101}, ["start_date is not valid", "'string'"]),
        (ZENDESK | {"end_date": "3 days ago"}, ["end_date: '3 days ago' is not"]),
        (ZENDESK | {"end_date": "2025-01-01"}, ["end_date must be later than start_date"]),
        (without(ZENDESK, "zendesk_access_token"), ["no credentials", "zendesk_client_id"]),
        (without(ZENDESK, "zendesk_subdomain"), ["zendesk_subdomain is missing"]),
        (ZENDESK | {"zendesk_client_id": "x"}, ["zendesk_client_secret is missing"]),
        (ZENDESK | {"zendesk_email": "x"}, ["zendesk_api_token is missing"]),
        (ZENDESK | {"zendesk_api_token": "s3cr3t"}, ["zendesk_email is missing"]),
        (ZENDESK | {"zendesk_access_token": "s3cr3t s3cr3t"}, ["zendesk_access_token must be"]),
        (ZENDESK | {"zendesk_access_token": "s3cr3t\u200b"}, ["zendesk_access_token must be"]),
        (ZENDESK | {"user_agent": "acme \u2013 calls"}, ["user_agent must be", "Latin-1"]),
        (ZENDESK | {"user_agent": "acme\r\nCookie: x"}, ["user_agent must be one line"]),
        (ZENDESK | {"zendesk_access_token": ["s3cr3t"]}, ["zendesk_access_token must be a string"]),
        (ZENDESK | {"zendesk_requests_per_minute": 0}, ["zendesk_requests_per_minute", "minimum"]),
        (ZENDESK | {"zendesk_lookback_seconds": -1}, ["zendesk_lookback_seconds"]),
        (ZENDESK | {"zendesk_url": "http://acme.zendesk.com"}, ["zendesk_url", "https://"]),
        (ZENDESK | {"zendesk_url": "https://u:s3cr3t@acme.example"}, ["zendesk_url", "user name"]),
        (ZENDESK | {"zendesk_url": "https://x\\.example"}, ["zendesk_url must be a URL of"]),
        (ZENDESK | {"zendesk_url": "https://acme\u200b.example"}, ["zendesk_url must be a URL of"]),
        (ZENDESK | {"zendesk_url": "acme"}, ["zendesk_url must be a URL"]),
        (without(TALKDESK, "talkdesk_client_secret"), ["talkdesk_client_secret is missing"]),
        (without(TALKDESK, "talkdesk_client_id"), ["talkdesk_client_id is missing"]),
        (without(TALKDESK, "talkdesk_account"), ["talkdesk_account is missing"]),
        (TALKDESK | {"talkdesk_region": "mars"}, ["talkdesk_region", "us, eu or ca"]),
        (TALKDESK | {"talkdesk_key_id": "x"}, ["talkdesk_private_key is missing"]),
        (
            TALKDESK | {"talkdesk_key_id": "x", "talkdesk_private_key": "s3cr3t"},
            ["talkdesk_private_key is not a private key"],
        ),
        (TALKDESK | {"talkdesk_window_days": 32}, ["talkdesk_window_days", "maximum of 31"]),
        (TALKDESK | {"talkdesk_concurrent_jobs": 11}, ["talkdesk_concurrent_jobs"]),
        (TALKDESK | {"zendesk_subdomain": "acme"}, ["Zendesk has no credentials"]),
    ],
)
def test_invalid_setting_is_named_in_error(config: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        TapVoiceCalls(config=dict(config))
    for part in expected:
        assert part in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("odd", ["\u200b", "\u2013", " ", "\xa0", "\n", "\0", "\x1b", "é"])
@pytest.mark.parametrize(
    ("base", "name"),
    [
        (OAUTH, "zendesk_client_id"),
        (OAUTH, "zendesk_client_secret"),
        (API_TOKEN, "zendesk_email"),
        (API_TOKEN, "zendesk_api_token"),
        (ZENDESK, "zendesk_access_token"),
        (TALKDESK, "talkdesk_client_id"),
        (TALKDESK, "talkdesk_client_secret"),
        (SIGNED, "talkdesk_key_id"),
    ],
)
def test_odd_character_in_an_id_or_secret_is_an_error(
    base: dict[str, Any], name: str, odd: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{name} must be printable ASCII") as caught:
        TapVoiceCalls(config=base | {name: f"s3cr{odd}3t"})
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("name", ["support.acme.com", "acme.zendesk.org", "-acme", "a b", "../x"])
def test_invalid_zendesk_subdomain_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="zendesk_subdomain must be the account's name alone"):
        TapVoiceCalls(config=ZENDESK | {"zendesk_subdomain": name})


@pytest.mark.parametrize(
    "name",
    ["acme", "ACME", " acme ", "acme.zendesk.com", "https://acme.zendesk.com/agent/home"],
)
def test_zendesk_subdomain_may_be_a_host_or_url(name: str) -> None:
    tap = TapVoiceCalls(config=ZENDESK | {"zendesk_subdomain": name})
    assert account_of(tap).settings.url == "https://acme.zendesk.com"


@pytest.mark.parametrize(
    ("region", "api", "token"),
    [
        ("us", "https://api.talkdeskapp.com", "https://acme.talkdeskid.com/oauth/token"),
        ("EU", "https://api.talkdeskapp.eu", "https://acme.talkdeskid.eu/oauth/token"),
        ("ca", "https://api.talkdeskappca.com", "https://acme.talkdeskidca.com/oauth/token"),
    ],
)
@pytest.mark.parametrize("account", ["acme", "https://ACME/"])
def test_talkdesk_region_selects_the_hosts(region: str, api: str, token: str, account: str) -> None:
    config = TALKDESK | {"talkdesk_region": region, "talkdesk_account": account}
    settings = account_of(TapVoiceCalls(config=config)).settings
    assert (settings.api_url, settings.token_url) == (api, token)


def test_unlisted_talkdesk_region_works_with_explicit_urls() -> None:
    config = without(TALKDESK, "talkdesk_account") | {
        "talkdesk_region": "au",
        "talkdesk_api_url": "https://api.talkdeskapp.au/",
        "talkdesk_token_url": "https://acme.talkdeskid.au/oauth/token",
    }
    settings = account_of(TapVoiceCalls(config=config)).settings
    assert settings.api_url == "https://api.talkdeskapp.au"


@pytest.mark.parametrize(
    "start_date",
    ["2026-03-29", "2026-03-29 00:00", "2026-03-29T00:00:00.25Z", "2026-03-29T02:00:00+02:00"],
)
def test_start_date_is_normalized_to_utc_seconds(start_date: str) -> None:
    tap = TapVoiceCalls(config=ZENDESK | {"start_date": start_date})
    assert tap.config["start_date"] == "2026-03-29T00:00:00Z"


@pytest.mark.parametrize(
    ("config", "streams"),
    [
        (ZENDESK, ZENDESK_STREAMS),
        (TALKDESK, TALKDESK_STREAMS),
        (ZENDESK | TALKDESK, TALKDESK_STREAMS | ZENDESK_STREAMS),
    ],
)
def test_unconfigured_vendor_has_no_streams(config: dict[str, Any], streams: set[str]) -> None:
    assert set(TapVoiceCalls(config=dict(config)).streams) == streams


def test_blank_setting_counts_as_not_set() -> None:
    tap = TapVoiceCalls(config=ZENDESK | {"talkdesk_account": "", "talkdesk_client_id": " "})
    assert set(tap.streams) == ZENDESK_STREAMS


@pytest.mark.parametrize("group", SETTING_GROUPS, ids="+".join)
def test_setting_group_is_sufficient_and_minimal(group: tuple[str, ...]) -> None:
    config: dict[str, Any] = {name: VALID_VALUES.get(name, "s3cr3t") for name in group}
    assert TapVoiceCalls(config=dict(config)).streams
    for name in group:
        with pytest.raises(ConfigError, match=f"{name}|credentials"):
            TapVoiceCalls(config=without(config, name))


def test_every_setting_has_a_title_and_description() -> None:
    for name, setting in tap_settings().items():
        assert setting["title"], name
        assert setting["description"].endswith("."), name


def test_every_secret_is_marked_as_secret() -> None:
    secrets = {name for name, setting in tap_settings().items() if setting.get("secret")}
    assert secrets == {
        "zendesk_client_secret",
        "zendesk_access_token",
        "zendesk_api_token",
        "zendesk_quota_url",
        "talkdesk_client_secret",
        "talkdesk_private_key",
    }


def tap_settings() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each of the tap's own settings, without the SDK's."""
    schemas: dict[str, dict[str, Any]] = TapVoiceCalls.config_jsonschema["properties"]
    return {setting.name: schemas[setting.name] for setting in SETTINGS}

"""URLs that a vendor sends: credentials go to the vendor's own scheme, host and port alone.

* What a parser might read differently from the one that connects is not a URL of the vendor's.
* Whatever counts as the vendor's own, `requests` and urllib3 connect to the vendor with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.util import parse_url

from sandbox import Fault
from sandbox.talkdesk import JOBS
from tap_voicecalls.http.urls import origin, same_origin
from tests.vendors import JOB_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vendors import TalkdeskAccount, ZendeskAccount

OURS = "https://acme.zendesk.com"
#: What a URL that pretends to be ours may be made of.
PIECES = (
    *("https", "http", "HTTPS", "ftp", ":", "://", "/", "//", "\\", "@", "?", "#", "[", "]", "%"),
    *("acme.zendesk.com", "ACME.zendesk.com", "evil.example", "127.0.0.1", "::1", "443", "8443"),
    *(
        ":443",
        ":0",
        " ",
        "\t",
        "\n",
        "\0",
        "%40",
        "%5c",
        "%2e",
        ".",
        "user",
        ";",
        "&",
        "=",
        "\u0445",
    ),
    *("\u3002", "\uff0f", "\u200b", "\uff41cme", "\xa0", "path"),
)
pretenders = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
urls = pretenders | pretenders.map(lambda rest: f"{OURS}{rest}") | st.text(max_size=20)


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.zendesk.com",
        "https://acme.zendesk.com/api/v2?start_time=1&x[y]=%20#z",
        "HTTPS://ACME.zendesk.com:443/",
        "https://acme.zendesk.com?x=https://user@evil.example",
    ],
)
def test_url_of_the_vendor_is_recognized(url: str) -> None:
    assert same_origin(url, OURS)


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.zendesk.com/",
        "https://acme.zendesk.com:444/",
        "https://acme.zendesk.com:0/",
        "https://acme.zendesk.com.evil.example/",
        "https://evil.example\\@acme.zendesk.com/",
        "https://evil.example/\\@acme.zendesk.com/",
        "https://acme.zendesk.com\\.evil.example/",
        "https://acme.zendesk.com/\\..",
        "https://user@acme.zendesk.com/",
        "https://acme.zendesk.com@evil.example/",
        "https://acme.zendesk.com%40evil.example/",
        "https://acme%2ezendesk.com/",
        "https://acme.zendesk.com\t/",
        " https://acme.zendesk.com/",
        "https://acme.zendesk.com/a b",
        "https://acme.zendesk.com/\r\nHost: evil.example",
        "https://acm\u0435.zendesk.com/",
        "https://acme\u3002zendesk.com/",
        "https://acme.zendesk.com\uff0fevil.example/",
        "https:/acme.zendesk.com/",
        "https:///acme.zendesk.com/",
        "//acme.zendesk.com/",
        "https://acme.zendesk.com:99999/",
        "https://acme..com/",
        f"https://{'a' * 64}.com/",
        "https://acme.zendesk.com:4\uff143/",
        "",
    ],
)
def test_anything_else_is_not_the_vendors(url: str) -> None:
    assert not same_origin(url, OURS)


def test_malformed_urls_do_not_share_an_origin() -> None:
    assert not same_origin("http://[", "http://[")


@given(urls)
@example("https://evil.example\\@acme.zendesk.com/")
@example("https://acme.zendesk.com:443\\@evil.example/")
@example("https://acme.zendesk.com:0/")
@settings(max_examples=500)
def test_requests_connects_to_the_origin_of_a_url(url: str) -> None:
    """Also where `Location` is relative to our own URL."""
    try:
        candidates = [url, urljoin(f"{OURS}/api/", url)]
    except ValueError:
        candidates = [url]
    for candidate in candidates:
        expected = origin(candidate)
        if expected is None:
            continue
        try:
            prepared = requests.Request("GET", candidate).prepare()
        except requests.RequestException:
            continue
        assert prepared.url is not None
        parsed = parse_url(prepared.url)
        pool = HTTPAdapter().get_connection_with_tls_context(prepared, verify=True)
        host = urlsplit(prepared.url).hostname
        assert parsed.auth is None
        assert (parsed.scheme, parsed.host) == expected[:2]
        assert (pool.scheme, f"{pool.host}", pool.port) == expected
        assert host == expected[1].strip("[]")


@pytest.mark.parametrize("trick", ["{evil}\\@{ours}", "user@{ours}", "{ours}\\@{evil}", "{evil}"])
def test_next_page_elsewhere_gets_no_request(
    start_zendesk: Callable[..., ZendeskAccount], trick: str
) -> None:
    zendesk, evil = start_zendesk(), start_zendesk()
    ids = zendesk.add_calls(hours_ago=range(25, 0, -1))
    hosts = {"ours": urlsplit(zendesk.url).netloc, "evil": urlsplit(evil.url).netloc}

    def lead_astray(body: dict[str, str]) -> dict[str, str]:
        return body | {"next_page": f"http://{trick.format(**hosts)}/x?start_time=1"}

    zendesk.add_faults(Fault.edit(zendesk.path, lead_astray, times=None))
    output = zendesk.sync()
    assert output.failures == {}
    assert set(output.ids) == set(ids)
    assert evil.requests == []


@pytest.mark.parametrize("trick", ["http://{evil}\\@{ours}", "\\\\{evil}", "http://{ours}@{evil}"])
def test_redirect_to_a_tricky_url_carries_no_token(
    start_talkdesk: Callable[..., TalkdeskAccount], trick: str
) -> None:
    talkdesk, evil = start_talkdesk(), start_talkdesk()
    hosts = {"ours": urlsplit(talkdesk.url).netloc, "evil": urlsplit(evil.url).netloc}
    headers = {"Location": f"{trick.format(**hosts)}{JOBS}/1"}
    talkdesk.add_faults(Fault.status(JOB_STATUS, 303, headers=headers, times=None))
    assert talkdesk.sync().failures != {}
    assert all("Authorization" not in request.headers for request in evil.requests)

"""URLs that a vendor sends: credentials only go to the vendor's own."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_DEFAULT_PORTS = {"https": 443, "http": 80}
#: A host name or IP address, perhaps a port, then printable ASCII without spaces and backslashes.
#: Parsers disagree on everything else: on user names, control characters, Unicode, percent-encoded
#: hosts.
_is_plain = re.compile(
    r"https?://([\w.-]+|\[[\da-f.:]+\])(:[1-9]\d{0,4})?([/?#][!-\[\]-~]*)?",
    re.ASCII | re.IGNORECASE,
).fullmatch

Origin = tuple[str, str, int]


def same_origin(url: str, other: str) -> bool:
    """Whether two URLs share scheme, host and port, so that credentials may go to both."""
    found = origin(url)
    return found is not None and found == origin(other)


def origin(url: str) -> Origin | None:
    """Return the scheme, host and port that a request to a URL connects to.

    Return None for any URL that is malformed, or that some parser may read differently.
    """
    if not _is_plain(url):
        return None
    try:
        parsed = parse_url(url)  # the parser that connects
        if parsed.scheme is None or parsed.host is None:
            return None
        parsed.host.encode("idna")  # fails for a label that is empty or too long
    except (LocationParseError, UnicodeError):
        return None
    port = parsed.port or _DEFAULT_PORTS[parsed.scheme]
    return parsed.scheme, parsed.host, port


def host_of(url: str) -> str:
    """Return the host of a URL for a message; "an invalid URL" if it has none that is plain."""
    found = origin(url)
    return "an invalid URL" if found is None else found[1][:80]


def path_of(url: str) -> str:
    """Return the path of a URL; empty for a malformed URL."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def query_of(url: str) -> str:
    """Return the query string of a URL; empty for a malformed URL."""
    try:
        return urlsplit(url).query
    except ValueError:
        return ""

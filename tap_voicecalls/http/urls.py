"""URLs that a vendor sends: credentials only go to the vendor's own."""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}

Origin = tuple[str, "str | None", "int | None"]


def same_origin(url: str, other: str) -> bool:
    """Whether two URLs share scheme, host and port, so that credentials may go to both."""
    return origin(url) == origin(other)


def origin(url: str) -> Origin:
    """Return the scheme, host and port of a URL; for a malformed URL, an empty origin."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS.get(parts.scheme)

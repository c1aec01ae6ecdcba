"""JSON made decodable: what UTF-8 or PostgreSQL can't hold is replaced, and the rows are kept."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: An escape. A pair of surrogates is one character; any other surrogate is none, and PostgreSQL has
#: no NUL.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000)|.)",
    re.DOTALL,
)
_NUL = b"\\u0000"


def clean_json(content: bytes) -> bytes:
    """Return JSON that can be decoded, stored and written anywhere, in keys and values alike.

    Lone surrogates, NUL and bytes that are not UTF-8 become U+FFFD, and a byte order mark is
    dropped.
    """
    content = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").encode()
    return _ESCAPE.sub(lambda found: found[0] if found[1] is None else rb"\ufffd", content)


def decode_cleaned(decode: Callable[[bytes], T], content: bytes) -> T:
    """Decode JSON, as `clean_json` returns it; it is cleaned only where it has to be.

    Raises:
        msgspec.DecodeError: It is not JSON.
        msgspec.ValidationError: It does not fit the decoder's type.
    """
    if _NUL not in content:
        try:
            return decode(content)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return decode(clean_json(content))

"""Response bodies."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tap_voicecalls.http.clean_json import clean_json, decode_cleaned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

#: Bytes of a body that are read at once; the 10 KB of requests cost more than decoding them.
CHUNK_SIZE = 1024 * 1024
#: The largest body that is read into memory, and the largest that holds a token or a job, in bytes
#: after decompression. A page of Zendesk's has less than 2 MB.
MAX_BODY = 64 * 2**20
MAX_DOCUMENT = 2**20
#: Integers with more digits stay text: Python refuses to convert very long ones.
_MAX_DIGITS = 400


class InvalidResponseError(Exception):
    """A response body that is not what it should be. It may be worth a retry."""


def _exact_number(text: str) -> Decimal | str:
    """Keep a number such as 1.10, or one with 20 digits, as it was sent."""
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent beyond any decimal's
        return text


def _exact_integer(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_decode = msgspec.json.Decoder(float_hook=_exact_number).decode


def decode_json(content: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON; it is cleaned (see `clean_json`), and numbers stay exactly as they were sent.

    Raises:
        InvalidResponseError: It is not JSON.
    """
    content = bytes(content)
    try:
        return decode_cleaned(_decode, content)
    except msgspec.ValidationError:
        # An integer that is too long for msgspec: rare enough for the slower decoder.
        return _decode_long_numbers(clean_json(content))
    except (msgspec.DecodeError, RecursionError):
        raise InvalidResponseError("a body that is not JSON") from None


def _decode_long_numbers(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(
            content,
            parse_float=_exact_number,
            parse_int=_exact_integer,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise InvalidResponseError("a body that is not JSON") from None


def read_body(response: requests.Response, limit: int = MAX_BODY) -> bytes:
    """Return the whole body of a response.

    Args:
        response: The response.
        limit: The most bytes that are read, after decompression.

    Raises:
        InvalidResponseError: The body is larger.
    """
    body = read_at_most(response, limit + 1)
    if len(body) > limit:
        raise InvalidResponseError(f"a body of more than {limit // 2**20} MiB")
    return body


def read_at_most(response: requests.Response, limit: int) -> bytes:
    """Return the first bytes of a body, decompressed; no more than that is read or kept."""
    body = io.BytesIO()
    for chunk in iter_body(response, min(CHUNK_SIZE, limit)):
        body.write(chunk[: limit - body.tell()])
        if body.tell() == limit:
            break
    return body.getvalue()


def iter_body(response: requests.Response, size: int) -> Iterator[bytes]:
    """Yield the body of a response in chunks, decompressed.

    Raises:
        InvalidResponseError: The body is malformed HTTP.
    """
    chunks = response.iter_content(size)
    while True:
        try:
            chunk = next(chunks, None)
        except ValueError:  # http.client's own, for a chunk of a negative size
            raise InvalidResponseError("a malformed HTTP body") from None
        if chunk is None:
            return
        yield chunk


def read_json_object(response: requests.Response) -> dict[str, Any]:
    """Return the JSON object that a response holds: a token, or a job.

    Raises:
        InvalidResponseError: The body is not a JSON object, or too large for one of those.
    """
    body = decode_json(read_body(response, MAX_DOCUMENT))
    if not isinstance(body, dict):
        raise InvalidResponseError("JSON that is not an object")
    return body

"""Response bodies: what a decoder or a database refuses is replaced, and all else is kept.

* Lone surrogates, NUL and bytes that are not UTF-8 become U+FFFD, in keys and in values.
* JSON that arrives in chunks is cleaned as if it came at once.
* The work is linear in the length of the body.
"""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox import Fault
from tap_voicecalls.http.body import InvalidResponseError, decode_json
from tap_voicecalls.http.clean_json import clean_json

if TYPE_CHECKING:
    from tests.vendors import ZendeskAccount

#: What is odd in JSON, and what surrounds it.
PIECES = (
    *(rb"\ud83d", rb"\uDE00", rb"\ude00", rb"\uD83D", rb"\u0000", rb"\\", rb"\u00e4", rb"\"", b"u"),
    *(b"0", b"0000", b"d83d", b"a", " é€😀".encode(), b"\xff", b"\xe2\x82", b"\xed\xa0\xbd", b"\n"),
)
odd_bytes = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
odd_strings = st.lists(st.sampled_from([piece for piece in PIECES if piece != b"\n"]), max_size=12)


@pytest.mark.parametrize(
    ("sent", "cleaned"),
    [
        (rb'"Danke \ud83d"', "Danke \ufffd"),
        (rb'"\uDE00\uD83D"', "\ufffd\ufffd"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (rb'"\ud83d\u0041"', "\ufffdA"),
        (rb'"\u0000"', "\ufffd"),
        (rb'"\\u0000 \\ud83d"', r"\u0000 \ud83d"),
        (rb'"\\\u0000 \\\\\ud83d"', "\\\ufffd \\\\\ufffd"),
        (rb'"\\ud83d\ude00"', "\\ud83d\ufffd"),
        (b'"Z\xfcrich"', "Z\ufffdrich"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
        (b'\xef\xbb\xbf"Gr\xc3\xbc\xc3\x9fe"', "Grüße"),
        (rb'{"\ud83d": "\u0000"}', {"\ufffd": "\ufffd"}),
    ],
)
def test_json_is_cleaned_and_decodable(sent: bytes, cleaned: object) -> None:
    assert msgspec.json.decode(clean_json(sent)) == cleaned


@given(odd_strings)
@example([rb"\\", rb"\ud83d", rb"\ude00"])
def test_cleaned_string_is_valid_utf8_without_nul(pieces: list[bytes]) -> None:
    """Whatever Python's lenient decoder reads stays, but for surrogates and NUL."""
    sent = b'"' + b"".join(pieces) + b'"'
    lenient = json.loads(sent.decode("utf-8", "replace"))
    expected = lenient.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert msgspec.json.decode(clean_json(sent)) == expected.replace("\0", "\ufffd")


@given(odd_bytes)
@example(rb'"\ud83d\ude00"')
def test_json_is_cleaned_where_it_has_to_be(content: bytes) -> None:
    sent = b'["' + content + b'"]'
    try:
        expected = msgspec.json.decode(clean_json(sent))
    except msgspec.DecodeError:
        expected = None
    try:
        decoded = decode_json(sent)
    except InvalidResponseError:
        decoded = None
    assert decoded == expected


@pytest.mark.parametrize(
    "piece", [b"\\", b"\\\\u", rb"\ud83d", rb"\u0000", b"a", b"\\u", b"\xff", b"\\\\\\u000"]
)
def test_cleaning_time_grows_with_the_length_alone(piece: bytes) -> None:
    """A quadratic rule would need hours."""
    content = (piece * 4_000_000)[:4_000_000]
    assert len(content) // 10 < len(clean_json(content)) < len(content) * 10


def test_odd_character_does_not_cost_the_page(zendesk: ZendeskAccount) -> None:
    ids = zendesk.add_calls(hours_ago=[3, 2])
    odd = rb'"phone_number":"Danke \ud83d \u0000 \ude00","a' + b'\xff":1,"was":'
    zendesk.add_faults(
        Fault.edit_bytes(
            zendesk.path, lambda body: body.replace(b'"phone_number":', odd), times=None
        )
    )
    output = zendesk.sync()
    assert output.failures == {}
    assert output.ids == ids
    for record in output.records:
        assert record["phone_number"] == "Danke \ufffd \ufffd \ufffd"
        assert record["extra_fields"]["a\ufffd"] == 1


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_too_large_body_is_not_read_into_memory(zendesk: ZendeskAccount, encoding: str) -> None:
    """500 MB of spaces, and a few hundred KB of gzip that become them."""
    zendesk.add_faults(Fault.flood(zendesk.path, megabytes=500, encoding=encoding, times=None))
    tracemalloc.start()
    failure = zendesk.sync().failure
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "Zendesk returned a body of more than 64 MiB for GET" in failure
    assert peak < 250 * 2**20


def test_too_large_token_response_is_an_error(zendesk: ZendeskAccount) -> None:
    zendesk.add_faults(Fault.flood("/oauth/tokens", megabytes=2, times=None))
    assert "Zendesk returned a body of more than 1 MiB for POST" in zendesk.sync().failure

"""What a vendor writes into an error: on one line, redacted, and at little cost.

* A message has no line breaks, control characters or secrets, whatever the vendor sends.
* At most 64 KB are read, after decompression, in linear time.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Fault
from tap_voicecalls.http.error_messages import printable
from tests.vendors import PRESIGNED

if TYPE_CHECKING:
    from tests.vendors import TalkdeskAccount, ZendeskAccount

FORGED = "no\r\n2026-11-20 | ERROR | forged\x1b[31m\0\u202e \u2028\u2066\x9b\u200b\ud800"


@given(st.text(st.characters()))
def test_vendor_text_becomes_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(f"a{text}b").startswith("a")


@pytest.mark.parametrize("body", [{"error": FORGED[:-1]}, FORGED[:-1], f"<p>{FORGED[:-1]}</p>"])
def test_error_message_is_one_printable_line(zendesk: ZendeskAccount, body: Any) -> None:
    zendesk.add_faults(Fault.status(zendesk.path, 403, body=body, times=None))
    failure = zendesk.sync().failure
    assert '"no 2026-11-20 | ERROR | forged[31m' in failure
    assert failure.isprintable()


def test_lone_surrogate_in_an_error_can_be_logged(zendesk: ZendeskAccount) -> None:
    zendesk.add_faults(Fault.status(zendesk.path, 403, body='{"error": "no \\ud83d"}', times=None))
    assert '"no \ufffd"' in zendesk.sync().failure


def test_request_id_is_printable(talkdesk: TalkdeskAccount) -> None:
    headers = {"platform-tid": "abc\x85\x9b[31m\xad" + "1" * 1000}
    talkdesk.add_faults(Fault.status(talkdesk.path, 400, headers=headers, times=None))
    failure = talkdesk.sync().failure
    assert "(platform-tid abc" in failure
    assert failure.isprintable()
    assert len(failure) < 500


def test_redirect_to_an_invalid_url_is_reported_as_such(zendesk: ZendeskAccount) -> None:
    headers = {"Location": "http://evil\\@x\x9b[31m:port/"}
    zendesk.add_faults(Fault.status(zendesk.path, 302, headers=headers, times=None))
    failure = zendesk.sync().failure
    assert "Zendesk returned 302 Found for GET" in failure
    assert "It redirects to an invalid URL" in failure
    assert len(zendesk.data_requests()) == 1


@pytest.mark.parametrize(
    "body",
    [
        "<script" * 10_000,
        "<style><script>" * 4_500,
        "<" * 70_000,
        "http://" * 10_000,
        "?" * 70_000,
        "[" * 70_000,
        '{"error":' * 7_000,
        '{"error":' * 900 + '"deep"' + "}" * 900,
        '{"errors":[' + "1," * 30_000 + "1]}",
        "\\" * 70_000,
        "9" * 70_000,
    ],
    ids=range(11),
)
def test_odd_error_body_costs_no_time(zendesk: ZendeskAccount, body: str) -> None:
    zendesk.add_faults(Fault.status(zendesk.path, 403, body=body, times=None))
    started = time.monotonic()
    failure = zendesk.sync().failure
    assert time.monotonic() - started < 3
    assert "Zendesk returned 403 Forbidden" in failure
    assert len(failure) < 1200


@pytest.mark.parametrize("status", [302, 403])
def test_compressed_error_body_costs_no_memory(zendesk: ZendeskAccount, status: int) -> None:
    headers = {"Location": "http://127.0.0.1/"}
    zendesk.add_faults(Fault.flood(zendesk.path, megabytes=300, status=status, headers=headers))
    tracemalloc.start()
    failure = zendesk.sync().failure
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"Zendesk returned {status}" in failure
    assert peak < 50 * 2**20


def test_signature_is_redacted_from_a_file_stores_error(talkdesk: TalkdeskAccount) -> None:
    """S3 names the signature in its error; the URL that carried it was the credential."""
    talkdesk.add_calls(hours_ago=[3])
    talkdesk.add_faults(
        Fault.echo(
            PRESIGNED, 501, "SignatureProvided {X-Amz-Signature} of {X-Amz-Date}", times=None
        )
    )
    failure = talkdesk.sync().failure
    assert "SignatureProvided *** of ***" in failure


def test_secret_split_by_an_invisible_character_is_redacted(zendesk: ZendeskAccount) -> None:
    secret = zendesk.server.client_secret
    body = f"{secret[:3]}\u200b{secret[3:]} is wrong"
    zendesk.add_faults(Fault.status(zendesk.path, 403, body=body, times=None))
    assert '"*** is wrong"' in zendesk.sync().failure

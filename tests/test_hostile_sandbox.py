"""The sandbox's hostile mode: distorted responses arrive as the distortion says."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import ReadTimeoutError

from sandbox.hostile import (
    AddToField,
    ArrangeRows,
    Attack,
    Deliver,
    Distortion,
    DropField,
    DropHeader,
    Inflate,
    Journal,
    RenameField,
    Replay,
    SendBytes,
    SetBody,
    SetField,
    SetHeader,
    SetStatus,
    make_hostile,
)
from tests.vendors import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vendors import ZendeskAccount

    Get = Callable[..., bytes]


@pytest.fixture
def journal() -> Journal:
    """The journal of the hostile vendor."""
    return Journal("foreign.example:1")


@pytest.fixture
def get(zendesk: ZendeskAccount, journal: Journal) -> Get:
    """Let Zendesk distort its export of calls, and return a response as it arrives."""
    zendesk.add_calls(days_ago=[3, 2, 1])

    def send(*distortions: Distortion, query: str = "start_time=1700000000") -> bytes:
        zendesk.sandbox.faults.clear()
        make_hostile(zendesk.sandbox.faults, [Attack(CALLS, distortions)], journal)
        host, _, port = zendesk.url.removeprefix("http://").partition(":")
        request = (
            f"GET {CALLS}?{query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {zendesk.server.access_token}\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request.encode())
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return received

    return send


def _body(response: bytes) -> Any:
    return json.loads(response.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("distortion", "expected"),
    [
        (SetField(("end_time",), b'"\xff\\ud83d"'), b'"end_time":"\xff\\ud83d"'),
        (SetField(("calls", 4, "id"), b"1e999"), b'"id":1e999'),
        (SetField(("calls", 0), b"[1"), b'"calls":[[1,{'),
        (
            SetField(("next_page",), b'"http://{foreign}\\\\@{own}/"'),
            b'"http://foreign.example:1\\',
        ),
        (SetHeader("Location", "http://{foreign}/\x1b\udcff"), b"\r\nLocation: http://foreign"),
        (SetHeader("Content-Length", "1"), b"\r\nContent-Length: 1\r\n"),
        (SetHeader("X-Echo", "{authorization}"), b"\r\nX-Echo: Bearer sandbox-zendesk-ready"),
        (SetStatus("999 What"), b"HTTP/1.1 999 What\r\n"),
        (SetBody(b"\x00<"), b"\r\n\r\n\x00<"),
        (SendBytes(b"SSH-2.0"), b"SSH-2.0"),
        (RenameField(("calls", 1, "id"), "a\x00b"), b'"a\\u0000b":3'),
    ],
    ids=repr,
)
def test_distortion_is_sent_byte_by_byte(
    get: Get, journal: Journal, distortion: Distortion, expected: bytes
) -> None:
    assert expected in get(distortion)
    assert len(journal.lies) == 1


@pytest.mark.parametrize(
    ("distortion", "ids"),
    [
        (DropField(("calls", 1)), [2, 4]),
        (ArrangeRows(("calls",), "first"), [2]),
        (ArrangeRows(("calls",), "last"), [4]),
        (ArrangeRows(("calls",), "reversed"), [4, 3, 2]),
        (ArrangeRows(("calls",), "twice"), [2, 3, 4, 2, 3, 4]),
    ],
    ids=repr,
)
def test_rows_are_arranged_and_nothing_else_changes(
    get: Get, distortion: Distortion, ids: list[int]
) -> None:
    page = _body(get(distortion))
    assert [row["id"] for row in page["calls"]] == ids
    assert page["count"] == 3


def test_distortions_add_up(get: Get) -> None:
    page = _body(get(AddToField(("end_time",), 5), DropField(("count",)), DropHeader("x-rate")))
    regular = _body(get())
    assert page["end_time"] == regular["end_time"] + 5
    assert "count" not in page


def test_response_without_a_distortion_is_no_lie(get: Get, journal: Journal) -> None:
    get(DropField(("calls", 0, "missing")))
    assert journal.lies == []


def test_replay_returns_the_response_before(get: Get) -> None:
    first = _body(get())
    assert _body(get(Replay(), query="start_time=1795000000")) == first


def test_padded_body_is_compressed(get: Get) -> None:
    response = get(Inflate(1))
    body = gzip.decompress(response.partition(b"\r\n\r\n")[2])
    assert len(response) < 20_000
    assert len(body) > 2**20
    assert json.loads(body)["count"] == 3


def test_broken_response_lacks_its_end(get: Get) -> None:
    assert len(get(Deliver("break"))) < len(get())


@pytest.mark.parametrize("delivery", ["stall", "trickle"])
def test_response_never_ends_while_time_passes(
    zendesk: ZendeskAccount, journal: Journal, delivery: Any
) -> None:
    passed: list[float] = []
    journal.pass_time = passed.append
    make_hostile(zendesk.sandbox.faults, [Attack(CALLS, (Deliver(delivery),))], journal)
    url, headers = zendesk.url + CALLS, {"Authorization": f"Bearer {zendesk.server.access_token}"}
    with suppress(requests.RequestException, ReadTimeoutError):
        response = requests.get(url, {"start_time": 1}, headers=headers, timeout=0.2, stream=True)
        while sum(passed) < 600:
            response.raw.read(1)
        response.close()
    assert passed

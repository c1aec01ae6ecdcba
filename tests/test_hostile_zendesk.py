"""A Zendesk that no one imagined: a run is complete or fails, and does no harm.

Hypothesis generates attacks on any response (`hostile_attacks.py`); each example runs the tap
against the sandbox over HTTP (`hostile_run.py`). A found example is kept in `FOUND`. More examples,
and others with each seed:

    HOSTILE_EXAMPLES=5000 HOSTILE_SEED=1 .venv/bin/pytest tests/test_hostile_zendesk.py
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from sandbox.hostile import (
    ArrangeRows,
    Attack,
    Deliver,
    DropHeader,
    RenameField,
    SendBytes,
    SetBody,
    SetField,
    SetHeader,
    SetStatus,
)
from sandbox.zendesk import Zendesk
from tests.hostile_attacks import describe, zendesk_attacks
from tests.hostile_run import HostileRun, World, hostile, open_world, with_seed
from tests.hostile_values import BODIES, RAW, URLS, VALUES
from tests.vendors import CALLS, LEGS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.programs

CREDENTIALS: tuple[dict[str, str], ...] = (
    {},
    {"zendesk_access_token": Zendesk.access_token},
    {"zendesk_email": Zendesk.email, "zendesk_api_token": Zendesk.api_token},
)

#: Attacks that succeeded once, by what they did.
FOUND: dict[str, list[Attack]] = {
    "a cookie makes later requests malformed": [
        Attack(CALLS, (SetHeader("Set-Cookie", "\x01"), DropHeader("X-Rate-Limit"))),
    ],
    "a chunk of negative size": [Attack(CALLS, (SendBytes(RAW["negative chunk"]),), times=None)],
    "a path of 70,000 characters": [
        Attack(CALLS, (SetField(("next_page",), json.dumps(URLS["long"]).encode()),), times=None),
    ],
    "NUL in the name of a field": [
        Attack(CALLS, (RenameField(("calls", 1, "line"), "a\x00b"),), times=None)
    ],
    "a page that is cut to its first row, twice": [
        Attack(LEGS, (ArrangeRows(("legs",), "first"),), times=2, after=2),
    ],
    "a page that is cut to its last row, twice": [
        Attack(LEGS, (ArrangeRows(("legs",), "last"),), times=2, after=1),
    ],
    "every page empty, with a count": [
        Attack(CALLS, (SetField(("calls",), b"[]"),), times=None),
    ],
    "many levels in an error": [
        Attack(CALLS, (SetBody(BODIES["deep list"]), SetStatus("501 Not Implemented"))),
    ],
    "many levels in a page": [Attack(CALLS, (SetBody(BODIES["deep object"]),), times=None)],
    "a time of a million digits": [
        Attack(CALLS, (SetField(("end_time",), b'"1e999999"'),), times=None),
    ],
    "half an emoji": [
        Attack(CALLS, (SetField(("calls", 1, "line"), VALUES["high surrogate"]),), times=None)
    ],
    "headers that trickle in": [Attack("/oauth/tokens", (Deliver("trickle"),), times=None)],
    "a wait of a nanosecond": [
        Attack(CALLS, (SetStatus("503 Busy"), SetHeader("Retry-After", "1e-9")), times=None),
    ],
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A foreign server and a PostgreSQL."""
    with open_world() as world:
        yield world


@hostile
@with_seed
@given(
    attacks=zendesk_attacks,
    page_size=st.sampled_from((12, 100)),
    credentials=st.sampled_from(CREDENTIALS),
    kill=st.integers(0, 4),
)
def test_hostile_zendesk(
    world: World, attacks: list[Attack], page_size: int, credentials: dict[str, str], kill: int
) -> None:
    note("\n".join(map(describe, attacks)))
    HostileRun(
        world,
        "zendesk",
        attacks,
        options={"page_size": page_size},
        config=credentials,
        kill=kill,
    ).check()


@pytest.mark.parametrize("name", FOUND)
def test_found_attack_does_no_harm(world: World, name: str) -> None:
    HostileRun(world, "zendesk", FOUND[name]).check()

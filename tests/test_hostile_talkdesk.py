"""A Talkdesk that no one imagined: a run is complete or fails, and does no harm.

Hypothesis generates attacks on any response (`hostile_attacks.py`); each example runs the tap
against the sandbox over HTTP (`hostile_run.py`). A found example is kept in `FOUND`. More examples,
and others with each seed:

    HOSTILE_EXAMPLES=5000 HOSTILE_SEED=1 .venv/bin/pytest tests/test_hostile_talkdesk.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from sandbox import Fault
from sandbox.hostile import (
    Attack,
    RenameField,
    Replay,
    SendBytes,
    SetBody,
    SetField,
    SetStatus,
)
from tests.harness import KEYS
from tests.hostile_attacks import JOBS, describe, job_ends, talkdesk_attacks
from tests.hostile_run import HostileRun, World, hostile, open_world, with_seed
from tests.hostile_values import BODIES, RAW, VALUES
from tests.vendors import FILE, PRESIGNED

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.programs

STREAMS = [stream for stream in KEYS if stream.startswith("talkdesk_")]
CONFIG: dict[str, Any] = {
    "talkdesk_window_days": 5,
    "talkdesk_job_timeout_seconds": 600,
    "talkdesk_concurrent_jobs": 1,
}

#: Attacks that succeeded once, by what they did.
FOUND: dict[str, list[Attack]] = {
    "the same job for two windows": [Attack(JOBS, (Replay(),), after=1)],
    "each job is the one before it": [Attack(JOBS, (Replay(),), times=None)],
    "bidirectional text in a job's ID": [
        Attack(JOBS, (SetField(("job", "id"), VALUES["bidi"]),), times=None),
    ],
    "NUL instead of the key's name": [
        Attack(PRESIGNED, (RenameField(("entries", 1, "call_id"), "a\x00b"),), times=None),
    ],
    "a presigned URL in urllib3's warning": [
        Attack(PRESIGNED, (SendBytes(RAW["header without a colon"]),)),
    ],
    "64 KB of open tags": [
        Attack(FILE, (SetBody(BODIES["open tags"]), SetStatus("503 Busy")), times=None),
    ],
    "many levels in a report": [
        Attack(PRESIGNED, (SetBody(BODIES["deep object"]),), times=2),
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
    attack=st.one_of([st.tuples(st.just(it), talkdesk_attacks(it)) for it in STREAMS]),
    ends=job_ends,
    job_body=st.sampled_from(("nested", "nested", "nested", "flat")),
    job_seconds=st.sampled_from((0.0, 40.0)),
    concurrent_jobs=st.sampled_from((1, 3)),
    kill=st.integers(0, 4),
)
def test_hostile_talkdesk(
    world: World,
    attack: tuple[str, list[Attack]],
    ends: list[dict[str, Any]],
    job_body: str,
    job_seconds: float,
    concurrent_jobs: int,
    kill: int,
) -> None:
    stream, attacks = attack
    note("\n".join([stream, *map(describe, attacks)]))
    HostileRun(
        world,
        "talkdesk",
        attacks,
        stream=stream,
        faults=[Fault.job(JOBS, **end) for end in ends],
        options={"job_body": job_body, "job_seconds": job_seconds},
        config=CONFIG | {"talkdesk_concurrent_jobs": concurrent_jobs},
        kill=kill,
    ).check()


@pytest.mark.parametrize("name", FOUND)
def test_found_attack_does_no_harm(world: World, name: str) -> None:
    HostileRun(world, "talkdesk", FOUND[name], stream="talkdesk_calls", config=CONFIG).check()

"""What a target holds of a list, for accounts, errors, kills and changes that Hypothesis generates.

* After any number of kills and errors, the next run leaves exactly the vendor's rows in the target.
* Until then, the target loses no row that the vendor still has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from sandbox.faults import Respond
from sandbox.zendesk_lists import LISTS
from tests.harness import FakeClock, Killed, sync
from tests.invariants import slow, transient_errors

if TYPE_CHECKING:
    from sandbox.faults import Effect
    from sandbox.history import Row


@dataclass
class Target:
    """A target that upserts, and deletes what an ACTIVATE_VERSION message makes obsolete.

    Attributes:
        source: The vendor's rows, by id.
        rows: The rows of the target, by id.
        kill_after: The number of messages after which the tap is killed; None for never.
    """

    source: dict[int, Row]
    rows: dict[int, Row] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    kill_after: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after < 0:
                raise Killed
        if message["type"] == "RECORD":
            row_id = message["record"]["id"]
            self.rows[row_id] = message["record"]
            self.versions[row_id] = message["version"]
        if message["type"] == "ACTIVATE_VERSION":
            for row_id in [*self.rows]:
                if self.versions[row_id] < message["version"]:
                    assert row_id not in self.source, "a row that the vendor has"
                    del self.rows[row_id]


@slow
@pytest.mark.parametrize("name", LISTS)
@given(
    count=st.integers(0, 40),
    page_size=st.integers(2, 15),
    runs=st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 40)),
            st.sets(st.integers(1, 50)),
            st.sampled_from((None, Respond(403), Respond(404))),
        ),
        max_size=3,
    ),
    errors=transient_errors,
)
def test_target_holds_the_rows_of_a_list(
    name: str,
    count: int,
    page_size: int,
    runs: list[tuple[int | None, set[int], Effect | None]],
    errors: list[tuple[int, Effect]],
) -> None:
    clock = FakeClock()
    path, stream = LISTS[name].path, f"zendesk_{name}"
    with Sandbox(calls=0, page_size=page_size, clock=clock.time) as sandbox:
        source = sandbox.zendesk.lists[name]
        template = next(iter(source.values()))
        source.clear()
        source.update({row_id: template | {"id": row_id} for row_id in range(1, count + 1)})
        for after, effect in errors:
            sandbox.faults.add(Fault(path, effect, after=after))
        config = {it: value for it, value in sandbox.config.items() if "talkdesk" not in it}
        config["emit_activate_version_messages"] = True
        target = Target(source)

        for kill_after, changed, error in runs:
            if error is not None:
                sandbox.faults.add(Fault(path, error, after=1))
            target.kill_after = kill_after
            sync(config, clock=clock, only=stream, on_message=target)
            clock.advance(seconds=1)
            for row_id in changed:
                if row_id in source:
                    del source[row_id]
                else:
                    source[row_id] = template | {"id": row_id, "name": f"new {row_id}"}

        sandbox.faults.clear()
        target.kill_after = None
        assert sync(config, clock=clock, only=stream, on_message=target).failures == {}
        if source:
            assert target.rows.keys() == source.keys()
        for row_id, row in source.items():
            assert target.rows[row_id]["name"] == row["name"]

"""How long the tap takes to start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.goals import at_most
from benchmarks.measure import TAP, run_in_turn

if TYPE_CHECKING:
    from benchmarks.goals import Outcome

#: A start is over so soon that a few tell nothing.
FEWEST_RUNS = 7


def start(runs: int) -> Outcome:
    """Time of `tap-voicecalls --version`, beside that of importing the SDK."""
    commands = ((TAP, "--version"), (sys.executable, "-c", "import singer_sdk"))
    tap, sdk = run_in_turn(commands, max(runs, FEWEST_RUNS))
    what = "start, --version beside `import singer_sdk`"
    return at_most(what, 1.3, tap.wall, sdk.wall, "s")

"""Startup time of the tap."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.goals import at_most
from benchmarks.measure import TAP, run_alternately

if TYPE_CHECKING:
    from benchmarks.goals import Outcome

#: A startup is so short that a few runs vary too much.
MIN_RUNS = 7


def startup(runs: int) -> Outcome:
    """Measure `tap-voicecalls --version` compared with importing the SDK."""
    commands = ((TAP, "--version"), (sys.executable, "-c", "import singer_sdk"))
    tap, sdk = run_alternately(commands, max(runs, MIN_RUNS))
    name = "startup, --version compared with `import singer_sdk`"
    return at_most(name, 1.3, tap.wall, sdk.wall, "s")

"""Both vendors on loopback: for trying the tap out, for its tests and for its benchmarks."""

from __future__ import annotations

from sandbox.faults import Fault
from sandbox.server import Sandbox

__all__ = ["Fault", "Sandbox"]

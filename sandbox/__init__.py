"""Fake Zendesk and Talkdesk APIs on loopback, for the demo, the tests and the benchmarks."""

from __future__ import annotations

from sandbox.faults import Fault
from sandbox.server import Sandbox

__all__ = ["Fault", "Sandbox"]

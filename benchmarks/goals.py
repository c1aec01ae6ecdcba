"""Performance goals and measured results."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = ("measurement", "goal", "result", "ratio", "")


@dataclass(frozen=True)
class Outcome:
    """A goal and its measured result.

    Attributes:
        name: The name of the measurement.
        goal: The goal.
        result: The measured value, and the baseline if there is one.
        ratio: The measured value divided by the baseline.
        met: Whether the goal is met.
    """

    name: str
    goal: str
    result: str
    ratio: str
    met: bool


def at_most(name: str, limit: float, measured: float, baseline: float, unit: str) -> Outcome:
    """Return the outcome of a goal relative to a baseline.

    Args:
        name: The name of the measurement.
        limit: The maximum ratio of the measured value to the baseline.
        measured: The measured value of the tap.
        baseline: The value to compare with.
        unit: The unit of both values.
    """
    return Outcome(
        name,
        f"at most {limit:g} x",
        f"{measured:.2f} / {baseline:.2f} {unit}",
        f"{measured / baseline:.2f} x",
        measured <= limit * baseline,
    )


def below(name: str, limit: float, measured: float, unit: str) -> Outcome:
    """Return the outcome of a goal with an absolute limit."""
    return Outcome(name, f"below {limit:g} {unit}", f"{measured:.1f} {unit}", "", measured < limit)


def format_table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table in plain text."""
    rows = [_HEADER] + [(*astuple(row)[:-1], "met" if row.met else "MISSED") for row in outcomes]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

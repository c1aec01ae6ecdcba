"""Goals, and how near the tap comes to them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = ("what", "goal", "figure", "ratio", "")


@dataclass(frozen=True)
class Outcome:
    """A goal and what was measured.

    Attributes:
        what: What was measured.
        goal: What is to be reached.
        figure: What was reached, and what it is compared with.
        ratio: The one by the other, where that is the goal.
        met: Whether the goal is met.
    """

    what: str
    goal: str
    figure: str
    ratio: str
    met: bool


def at_most(what: str, most: float, spent: float, floor: float, unit: str) -> Outcome:
    """The outcome of a goal that is so many times a floor.

    Args:
        what: What was measured.
        most: How many times the floor it may be.
        spent: What was measured of the tap.
        floor: What it is compared with.
        unit: The unit of both.
    """
    return Outcome(
        what,
        f"at most {most:g} x",
        f"{spent:.2f} / {floor:.2f} {unit}",
        f"{spent / floor:.2f} x",
        spent <= most * floor,
    )


def below(what: str, most: float, spent: float, unit: str) -> Outcome:
    """The outcome of a goal that has a bound of its own."""
    return Outcome(what, f"below {most:g} {unit}", f"{spent:.1f} {unit}", "", spent < most)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes for people."""
    rows = [_HEAD] + [(*astuple(row)[:-1], "met" if row.met else "MISSED") for row in outcomes]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

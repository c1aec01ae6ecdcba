"""A bounded set of records: what a vendor returns at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_voicecalls.sync.conform import Record


@dataclass(frozen=True)
class Slice:
    """The records of a page or of a window.

    Attributes:
        records: The records.
        watermark: Once these records are written, everything before this time has been; None for
            a part of a table that is read as a whole.
    """

    records: Iterable[Record]
    watermark: datetime | None = None

"""A report job of Talkdesk's, from its creation to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.history import Row

#: The statuses of a job that is under way, in their order.
RUNNING = ("created", "processing", "uploading")


@dataclass
class Job:
    """A report job.

    Attributes:
        from_: The start of its window.
        to: The end, which does not belong to it.
        created_at: In seconds since 1970.
        seconds: How long it takes.
        ends_as: The status that it ends with; `stuck` for one that never ends.
        entries: The rows of the report.
    """

    id: str
    from_: datetime
    to: datetime
    created_at: float
    seconds: float
    ends_as: str
    entries: list[Row]

    def status(self, now: float) -> str:
        """Where the job is."""
        if self.ends_as == "stuck":
            return "processing"
        if now >= self.created_at + self.seconds:
            return self.ends_as
        share = (now - self.created_at) / self.seconds
        return RUNNING[int(share * len(RUNNING))]

    def end(self, status: str, now: float) -> None:
        """Ends the job, whether it was under way or over."""
        self.ends_as, self.seconds = status, now - self.created_at

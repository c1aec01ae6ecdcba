"""A Talkdesk report job, from creation to its final status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.history import Row

#: The statuses of a running job, in order.
RUNNING = ("created", "processing", "uploading")


@dataclass
class Job:
    """A report job.

    Attributes:
        report: The name of the report.
        from_: The start of the window, inclusive.
        to: The end of the window, exclusive.
        created_at: The Unix time of its creation.
        seconds: How long it runs.
        final_status: The status after that; `stuck` for a job that never finishes.
        entries: The rows of the report.
    """

    id: str
    report: str
    from_: datetime
    to: datetime
    created_at: float
    seconds: float
    final_status: str
    entries: list[Row]

    def status(self, now: float) -> str:
        """Return the status at a Unix time."""
        if self.final_status == "stuck":
            return "processing"
        if now >= self.created_at + self.seconds:
            return self.final_status
        progress = (now - self.created_at) / self.seconds
        return RUNNING[int(progress * len(RUNNING))]

    def end(self, status: str, now: float) -> None:
        """End the job with a status, whether it is running or finished."""
        self.final_status, self.seconds = status, now - self.created_at

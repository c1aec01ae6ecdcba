"""The reports of Talkdesk Explore that the tap reads, as data.

From Talkdesk's documentation: "Calls Report", "User Status Report". No page about the other two
reports was at hand: their fields are those that connectors and published samples name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class ReportType:
    """One type of report.

    Attributes:
        name: The report's name in the API's paths.
        keys: The fields that identify a row.
        end_field: The time that the report's timespan filters.
        safety_lag: How far the last window ends before now: when Talkdesk has refreshed the report.
        by_day: Whether each window is one day from midnight UTC, because Talkdesk may cut rows at
            the ends of a window: the same rows have the same key in every run then.
        is_key_documented: Whether Talkdesk states that the key is unique. If not, rows of a report
            that share it are counted.
        longest: Of rows that share their key, the one with the largest value of this field counts;
            without a field, the last one.
        invalid_row_hint: What to do about a row without the key.
    """

    name: str
    keys: tuple[str, ...]
    end_field: str
    safety_lag: timedelta = timedelta(minutes=15)
    by_day: bool = False
    is_key_documented: bool = False
    longest: str = ""
    invalid_row_hint: str = (
        "Talkdesk may have changed the report: update the tap. If that does not help, deselect the "
        "stream, and report the fields to the tap's issue tracker."
    )

    @property
    def jobs_path(self) -> str:
        """The path of the report's jobs."""
        return f"/data/reports/{self.name}/jobs"

    @property
    def files_path(self) -> str:
        """The path of the report's files."""
        return f"/data/reports/{self.name}/files"


CALLS = ReportType(
    name="calls",
    keys=("call_id",),
    end_field="end_at",
    # Refreshed every minute.
    safety_lag=timedelta(minutes=2),
    is_key_documented=True,
    invalid_row_hint="The rows of an `explore_calls` report look like this. Ask Talkdesk's support "
    "why the `calls` report differs from its documentation.",
)
CONTACTS = ReportType(name="contacts", keys=("contact_id",), end_field="finished_at")
RING_ATTEMPTS = ReportType(
    name="ring_attempts", keys=("ring_attempt_id",), end_field="ring_finished_at_time"
)
USER_STATUS = ReportType(
    name="user_status",
    keys=("user_id", "status_start_at"),
    end_field="status_end_at",
    by_day=True,
    longest="status_time",
)

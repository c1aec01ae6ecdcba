"""The reports of Talkdesk Explore that the tap reads, as data.

From Talkdesk's documentation: "Calls Report".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportType:
    """One type of report.

    Attributes:
        name: The report's name in the API's paths.
        key: The field that identifies a row.
        end_field: The time that the report's timespan filters.
        invalid_row_hint: What a row without the key may mean.
    """

    name: str
    key: str
    end_field: str
    invalid_row_hint: str = ""

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
    key="call_id",
    end_field="end_at",
    invalid_row_hint="The rows of an `explore_calls` report look like this. Ask Talkdesk's support "
    "why the `calls` report differs from its documentation.",
)

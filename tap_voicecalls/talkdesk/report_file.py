"""The file of a report: verified when it arrives, then read without holding it in memory."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from weakref import finalize

from tap_voicecalls.counts import format_count
from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import iter_body
from tap_voicecalls.talkdesk.report_parser import (
    BUFFER_SIZE,
    IncompleteReportError,
    ReportParser,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import msgspec
    import requests


class ReportFile:
    """The rows of one report, one per line of a temporary file that is deleted with this object."""

    def __init__(self) -> None:
        """Start without rows, and without a file."""
        self._file: IO[bytes] | None = None

    def add(self, rows: Sequence[msgspec.Raw]) -> None:
        """Append rows.

        Raises:
            VoiceCallsError: They can't be stored.
        """
        if not rows:
            return
        with _storage_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `finalize`
                finalize(self, self._file.close)
            self._file.write(b"\n".join(rows) + b"\n")
            self._file.flush()  # a full disk is noticed here

    def rows(self) -> Iterator[bytes]:
        """Yield the JSON of the rows, in the file's order.

        Raises:
            VoiceCallsError: They can't be read.
        """
        if self._file is not None:
            with _storage_errors():
                self._file.seek(0)
                yield from self._file


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or "a temporary folder"
        raise VoiceCallsError(
            f"Talkdesk's report could not be stored in {folder}: {error.strerror}. Set TMPDIR to "
            f"a folder that is writable and has space for it."
        ) from None


def read_status_or_report(response: requests.Response) -> ReportFile | str:
    """Return what a 200 holds: the report, or the status of the job that makes it.

    From Talkdesk's documentation: "Calls Report", "Check a report status", "Download a report".

    Raises:
        InvalidResponseError: The body is neither of the two.
        IncompleteReportError: It is a report that is not complete.
        VoiceCallsError: The report can't be stored.
    """
    parser, file = ReportParser(), ReportFile()
    for chunk in iter_body(response, BUFFER_SIZE):
        file.add(parser.feed(chunk))
    file.add(parser.finish())
    document = parser.document()
    if "entries" in document:
        _check_rows(parser.count, document["entries"], document.get("total"))
        return file
    job = document.get("job")
    status = (job if isinstance(job, dict) else document).get("status")
    if not isinstance(status, str):
        raise IncompleteReportError("it has neither `entries` nor the status of a job")
    return status


def _check_rows(count: int, entries: object, total: object) -> None:
    if entries != []:
        shown = json.dumps(entries, default=str)[:40]
        raise IncompleteReportError(f"it has {shown} for `entries`, or has `entries` twice")
    if total is not None and str(total) not in {str(count), f"{count}.0"}:
        shown = json.dumps(total, default=str)[:40]
        raise IncompleteReportError(
            f"it has {format_count(count, 'row')} and states a total of {shown}"
        )

"""The file of a report: verified when it arrives, then read without holding it in memory."""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.body import CHUNK_SIZE, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Document(msgspec.Struct):
    """Any response of the Explore API: a job, at the top level or in `job`, or a report.

    From Talkdesk's documentation: "Calls Report", "Check a report status", "Download a report".
    The rows stay undecoded.
    """

    job: Any = None
    status: Any = None
    entries: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    total: int | None = None


_decode = msgspec.json.Decoder(_Document).decode


class ReportFile:
    """The rows of one report, in a temporary file that is deleted with this object."""

    def __init__(self, content: mmap.mmap) -> None:
        """Take a file that has been verified."""
        self._content = content

    def rows(self) -> Iterator[msgspec.Raw]:
        """Yield the JSON of the rows, in the file's order."""
        entries = _decode(self._content).entries
        assert isinstance(entries, list)  # noqa: S101 - verified on arrival
        yield from entries


def read_status_or_report(response: requests.Response) -> ReportFile | str:
    """Return what a 200 holds: the report, or the status of the job that makes it.

    Raises:
        InvalidResponseError: The body is neither of the two.
        VoiceCallsError: It is a report that is not complete.
    """
    content = _store(response)
    try:
        document = _decode(content)
    except msgspec.DecodeError:
        raise InvalidResponseError("a body that is not the JSON of a job or a report") from None
    if document.entries is msgspec.UNSET:
        job = document.job
        status = job.get("status") if isinstance(job, dict) else document.status
        if not isinstance(status, str):
            raise InvalidResponseError("JSON with neither `entries` nor a job's status")
        return status
    if document.entries is None:
        raise VoiceCallsError("Talkdesk's report has null for `entries`.")
    count = len(document.entries)
    if document.total is not None and document.total != count:
        raise VoiceCallsError(
            f"Talkdesk's report has {count:,} rows and states a total of {document.total:,}. "
            f"Run the tap again; if the error persists, contact Talkdesk's support."
        )
    return ReportFile(content)


def _store(response: requests.Response) -> mmap.mmap:
    """Store a body in a file that is deleted once it is no longer read."""
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in response.iter_content(CHUNK_SIZE):
                file.write(chunk)
            file.flush()
            if not file.tell():
                raise InvalidResponseError("an empty body")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except requests.RequestException:  # an OSError too, but not the disk's
        raise
    except OSError as error:
        raise VoiceCallsError(
            f"Talkdesk's report could not be stored in {tempfile.gettempdir()}: {error.strerror}. "
            f"Set TMPDIR to a folder that has space for it."
        ) from None

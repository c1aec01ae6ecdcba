"""The file of a report: checked as it arrives, then read without holding it in memory."""

from __future__ import annotations

import mmap
import tempfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from tap_voicecalls.errors import VoiceCallsError
from tap_voicecalls.http.client import CHUNK, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_voicecalls.sync.conform import Row


class Job(msgspec.Struct):
    """A report job as the API describes it."""

    status: str | None = None


class _Document(msgspec.Struct):
    """Any answer of the Explore API: a job, alone or in `job`, or a report.

    From Talkdesk's documentation: "Calls Report", "Check a report status", "Download a report".
    The rows stay undecoded.
    """

    job: Job | None = None
    status: str | None = None
    entries: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    total: int | None = None


_documents = msgspec.json.Decoder(_Document)
_rows = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class ReportFile:
    """The rows of one report, in a temporary file that goes with this object."""

    def __init__(self, mapped: mmap.mmap) -> None:
        """Takes a file that was read once and is whole."""
        self._mapped = mapped

    def rows(self) -> Iterator[Row]:
        """Gives the rows one by one, in the file's order.

        Raises:
            VoiceCallsError: A row has no `call_id`, or is no JSON object.
        """
        for raw in _documents.decode(self._mapped).entries or ():
            try:
                row = _rows.decode(raw)
            except msgspec.DecodeError:
                raise VoiceCallsError("Talkdesk's report holds a row that is no object.") from None
            call_id = row.get("call_id")
            if not call_id or not isinstance(call_id, str):
                fields = ", ".join(sorted(row)[:8])
                raise VoiceCallsError(
                    f"Talkdesk's report holds a row without call_id (its fields: {fields}, ...). "
                    f"The row of an `explore_calls` report looks like this; ask Talkdesk's support "
                    f"why the `calls` report has another shape than its documentation."
                )
            yield row


def read_answer(response: requests.Response) -> ReportFile | Job:
    """What a 200 holds: the report, or the job that makes it, told apart by the content.

    Raises:
        InvalidResponseError: The body is not JSON, or neither of the two.
        VoiceCallsError: It is a report that is not whole.
    """
    mapped = _keep(response)
    try:
        document = _documents.decode(mapped)
    except msgspec.DecodeError:
        raise InvalidResponseError("a body that is not the JSON of a job or a report") from None
    if document.entries is msgspec.UNSET:
        job = document.job or Job(document.status)
        if job.status is None:
            raise InvalidResponseError("JSON with neither `entries` nor a job's status")
        return job
    if document.entries is None:
        raise VoiceCallsError("Talkdesk's report has null for `entries`.")
    count = len(document.entries)
    if document.total is not None and document.total != count:
        raise VoiceCallsError(
            f"Talkdesk's report holds {count:,} rows and says that it should be "
            f"{document.total:,}. Run the tap again; if it stays so, ask Talkdesk's support."
        )
    return ReportFile(mapped)


def _keep(response: requests.Response) -> mmap.mmap:
    """The body of an answer, in a file that is gone once nobody reads it any more."""
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
            file.flush()
            if not file.tell():
                raise InvalidResponseError("an empty body")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except requests.RequestException:  # an OSError too, but not the disk's
        raise
    except OSError as error:
        raise VoiceCallsError(
            f"Talkdesk's report can't be kept in {tempfile.gettempdir()}: {error.strerror}. "
            f"Set TMPDIR to a folder that has room for it."
        ) from None

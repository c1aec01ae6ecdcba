"""The JSON that Zendesk returns rows in: an object with a list, and what it states of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_voicecalls.http.body import InvalidResponseError, read_body
from tap_voicecalls.http.clean_json import decode_cleaned
from tap_voicecalls.sync.conform import InvalidRowError

if TYPE_CHECKING:
    import requests

    from tap_voicecalls.sync.conform import Record, RecordConformer


class EnvelopeParser:
    """Parses the responses of one endpoint."""

    def __init__(self, name: str, fields: tuple[str, ...], conformer: RecordConformer) -> None:
        """Generate the type of the JSON.

        Args:
            name: The name of the list of rows.
            fields: The other fields, of any type; None where they are missing.
            conformer: Makes the records.
        """
        self._name = name
        self._conform = conformer.conform
        others = [(field, Any, None) for field in fields]
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct("Envelope", [(name, list[msgspec.Raw]), *others]), float_hook=str
        ).decode

    def parse(self, response: requests.Response) -> tuple[list[Record], Any]:
        """Return the records of a response's rows, and its other fields.

        Raises:
            InvalidResponseError: It has no list of rows, or a row has no valid id.
        """
        try:
            envelope: Any = decode_cleaned(self._decode, read_body(response))
        except msgspec.ValidationError:
            raise InvalidResponseError(f"JSON without the list `{self._name}`") from None
        except (msgspec.DecodeError, RecursionError):
            raise InvalidResponseError("a body that is not JSON") from None
        try:
            return [self._conform(row) for row in getattr(envelope, self._name)], envelope
        except InvalidRowError as error:
            raise InvalidResponseError(str(error)) from None

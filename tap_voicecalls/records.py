"""From a vendor's row to a record of its stream's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_voicecalls.times import as_utc, is_utc_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Row = dict[str, Any]

#: The column for whatever a vendor sends that the schema does not know.
EXTRA_FIELDS = "extra_fields"
#: The schema's mark on a column whose type no vendor document tells: a text, or any JSON as text.
ANY_JSON = "x-any-json"


class RecordShape:
    """What a record of one stream looks like, learned once from its schema."""

    def __init__(self, schema: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        """Learns the columns.

        Args:
            schema: The stream's JSON schema.
            warn: Takes a sentence about a value that does not fit its column.
        """
        columns: Mapping[str, Mapping[str, Any]] = schema["properties"]
        self._columns = tuple(columns)
        self._known = frozenset(columns) - {EXTRA_FIELDS}
        self._times = tuple(
            name for name, column in columns.items() if column.get("format") == "date-time"
        )
        self._not_text = tuple(
            name for name, column in columns.items() if "string" not in column["type"]
        )
        self._any_json = tuple(name for name, column in columns.items() if column.get(ANY_JSON))
        self._warn = warn
        self._warned: set[str] = set()

    def records(self, rows: Sequence[Row]) -> list[Row]:
        """Makes the records of rows, which they take the place of.

        Every column is there, null where the vendor sent nothing; times are UTC; an empty text is
        null where the column is not text; what the schema does not know is in `extra_fields`.
        """
        names: set[str] = set().union(*rows)
        if any(len(row) != len(names) for row in rows):
            # Nearly always all rows have the same fields, which are then looked at once.
            return [record for row in rows for record in self.records((row,))]
        missing = dict.fromkeys(name for name in self._columns if name not in names)
        unknown = names - self._known
        return [self._record(row, missing, unknown) for row in rows]

    def _record(self, record: Row, missing: Row, unknown: set[str]) -> Row:
        record.update(missing)
        if unknown:
            record[EXTRA_FIELDS] = {
                name: record.pop(name) for name in tuple(record) if name in unknown
            }
        for name in self._times:
            value = record[name]
            # Nearly every value is one of these two, and takes no call.
            if value is not None and not (type(value) is str and is_utc_seconds(value)):
                self._set_time(record, name, value)
        if "" in record.values():
            for name in self._not_text:
                if record[name] == "":
                    record[name] = None
        for name in self._any_json:
            if (value := record[name]) is not None and not isinstance(value, str):
                record[name] = msgspec.json.encode(value).decode()
        return record

    def _set_time(self, record: Row, name: str, value: object) -> None:
        if value == "":
            record[name] = None
            return
        try:
            record[name] = as_utc(value if isinstance(value, str) else repr(value))
        except ValueError:
            # A target would refuse the whole record for it: kept, but where anything fits.
            record[name] = None
            record[EXTRA_FIELDS] = {**(record[EXTRA_FIELDS] or {}), name: value}
            if name not in self._warned:
                self._warned.add(name)
                self._warn(
                    f"{name} holds values that are no times; they are kept in {EXTRA_FIELDS}."
                )

"""From a vendor's row to a record of its stream's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union, cast

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import asdict

from tap_voicecalls.timestamps import UTC_SECONDS, is_utc_seconds, normalize_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Row = dict[str, Any]


class ConformingRow(msgspec.Struct):
    """A row in which each column has a value that the record may have as it is.

    It was decoded with the type `RecordConformer.exact`, in less than half the time that any other row
    takes on its way to the target.
    """

    def get(self, name: str) -> Any:  # noqa: ANN401 - whatever the column holds
        """The value of a column; None where the vendor sent nothing, as with other rows."""
        return getattr(self, name, None)

    def fields(self) -> Row:
        """The columns that the vendor sent something for, as other rows have them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


AnyRow = Row | ConformingRow

#: The column for whatever a vendor sends that the schema does not know.
EXTRA_FIELDS = "extra_fields"
#: The schema's mark on a column whose type no vendor document tells: a text, or any JSON as text.
ANY_JSON = "x-any-json"

#: The types of values that are written as they were sent; rows with any other are conformed.
_TYPES: dict[str, Any] = {"integer": int, "boolean": bool, "string": str, "array": list[Any]}
_UTC_SECONDS = Annotated[str, msgspec.Meta(pattern=rf"^{UTC_SECONDS}\Z")]
_NOTHING = Annotated[str, msgspec.Meta(pattern="(?!)")]


class RecordConformer:
    """What a record of one stream looks like, learned once from its schema."""

    def __init__(self, schema: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        """Learns the columns.

        Args:
            schema: The stream's JSON schema.
            warn: Takes a sentence about a value that does not fit its column.
        """
        columns: Mapping[str, Mapping[str, Any]] = schema["properties"]
        exact = msgspec.defstruct(
            "Exact",
            [
                (name, _exact_type(name, column), None if "null" in column["type"] else NODEFAULT)
                for name, column in columns.items()
            ],
            bases=(ConformingRow,),
            forbid_unknown_fields=True,
            gc=False,
            kw_only=True,
        )
        #: What a row can be decoded with if it knows no other fields, nor values, than the schema.
        self.exact = cast("type[ConformingRow]", exact)
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

    def records(self, rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
        """Makes the records of rows, which they take the place of.

        Every column is there, null where the vendor sent nothing; times are UTC; an empty text is
        null where the column is not text; what the schema does not know is in `extra_fields`.
        """
        if rows and isinstance(rows[0], ConformingRow):  # and with it all the others
            return rows
        return self.conform(cast("Sequence[Row]", rows))

    def conform(self, rows: Sequence[Row]) -> list[Row]:
        """Makes the records of rows that were decoded without `exact`."""
        names: set[str] = set().union(*rows)
        if any(len(row) != len(names) for row in rows):
            # Nearly always all rows have the same fields, which are then looked at once.
            return [record for row in rows for record in self.conform((row,))]
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
            record[name] = normalize_utc(value if isinstance(value, str) else repr(value))
        except ValueError:
            # A target would refuse the whole record for it: kept, but where anything fits.
            record[name] = None
            record[EXTRA_FIELDS] = {**(record[EXTRA_FIELDS] or {}), name: value}
            if name not in self._warned:
                self._warned.add(name)
                self._warn(
                    f"{name} holds values that are no times; they are kept in {EXTRA_FIELDS}."
                )


def _exact_type(name: str, column: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as Python types its types
    if name == EXTRA_FIELDS:
        return _NOTHING
    types = [_TYPES[of_json] for of_json in column["type"] if of_json in _TYPES]
    if column.get("format") == "date-time":
        types = [_UTC_SECONDS]
    if "null" in column["type"]:
        types.append(None)
    return Union[tuple(types)]  # noqa: UP007 - of types that are known only here

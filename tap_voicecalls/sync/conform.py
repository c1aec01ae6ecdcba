"""Where a vendor's row becomes a record: every value fits its column, or is kept elsewhere.

A row arrives as JSON and is decoded straight into the record type that is generated from the
stream's schema, which checks every value on the way. A row with fields or blanks that the schema
doesn't know is decoded without types and converted; only a row with a value that doesn't fit its
column is conformed column by column.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Union, cast

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import asdict

from tap_voicecalls.http.body import InvalidResponseError, decode_json
from tap_voicecalls.timestamps import USUAL_TIMESTAMP, normalize_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Row = dict[str, Any]


class Record(msgspec.Struct):
    """A record of a stream, with an attribute for each column of the schema."""

    def get(self, name: str) -> Any:  # noqa: ANN401 - of the column's type
        """Return the value of a column."""
        return getattr(self, name)

    def to_dict(self) -> Row:
        """Return the record with all its columns, as the SDK handles it."""
        return asdict(self)


class InvalidRowError(Exception):
    """A row that can't become a record: it has no key, or is not a JSON object."""


#: The column for whatever a vendor sends that has no column of its own, or doesn't fit it.
EXTRA_FIELDS = "extra_fields"
#: The schema's mark on a column whose type no vendor document states: a string as it is, any other
#: JSON value as JSON text.
ANY_JSON = "x-any-json"
#: The schema's list of the fields that are known and left out on purpose.
LEFT_OUT = "x-left-out"

_INTEGERS = range(-(2**63), 2**63)
_Integer = Annotated[int, msgspec.Meta(ge=_INTEGERS[0], le=_INTEGERS[-1])]
#: Talkdesk sends an empty string where there is no timestamp; it becomes null after decoding, as a
#: timestamp with a blank gets its `T` and `Z`.
_Timestamp = Annotated[str, msgspec.Meta(pattern=rf"^{USUAL_TIMESTAMP}?\Z")]
_KeyTimestamp = Annotated[str, msgspec.Meta(pattern=rf"^{USUAL_TIMESTAMP}\Z")]
#: The least length of a timestamp in the form that records have.
_UTC_LENGTH = len("2026-01-01T00:00:00Z")
_Key = Annotated[str, msgspec.Meta(min_length=1)]
_Nothing = Annotated[str, msgspec.Meta(pattern="(?!)")]
#: The column types of the record type. A `Decimal` keeps a number exactly as it was sent.
_TYPES: dict[str, Any] = {
    "integer": _Integer,
    "number": Decimal,
    "boolean": bool,
    "string": str,
}
_ITEM_TYPES: dict[str, Any] = {"integer": _Integer, "string": str}

#: JSON that is nested deeper is kept in `extra_fields` as text: targets have limits.
_MAX_DEPTH = 32
#: The decimal exponents that a double-precision column holds.
_EXPONENTS = range(-300, 301)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_BOOLEANS = {"true": True, "false": False}
_UNFIT = object()


class RecordConformer:
    """Makes the records of one stream from its vendor's rows."""

    def __init__(
        self, schema: Mapping[str, Any], keys: Sequence[str], warn: Callable[[str], None]
    ) -> None:
        """Generate the record type.

        Args:
            schema: The stream's JSON schema.
            keys: The columns that every row must have a value for.
            warn: Gets a message for each column that a value doesn't fit, once.
        """
        columns: Mapping[str, Mapping[str, Any]] = schema["properties"]
        self._keys = tuple(keys)
        self._warn = warn
        self._warned: set[str] = set()
        self._left_out = frozenset(schema.get(LEFT_OUT, ()))
        self._keeps_extra_fields = EXTRA_FIELDS in columns
        #: The fields that were dropped, since neither a column nor `extra_fields` takes them.
        self.dropped: set[str] = set()
        self._converters = {
            name: _converter(column) for name, column in columns.items() if name != EXTRA_FIELDS
        }
        self._timestamps = tuple(
            name for name, column in columns.items() if column.get("format") == "date-time"
        )
        self._numbers = tuple(
            name for name, column in columns.items() if "number" in column["type"]
        )
        self._not_strings = tuple(
            name
            for name, column in columns.items()
            if column.get("format") == "date-time" or "string" not in column["type"]
        )
        self._type = msgspec.defstruct(
            "ConformingRecord",
            [
                (name, _column_type(name, column), NODEFAULT if name in keys else None)
                for name, column in columns.items()
            ],
            bases=(Record,),
            forbid_unknown_fields=True,
            gc=False,
            kw_only=True,
        )
        self._decode = msgspec.json.Decoder(self._type).decode

    def conform(self, row: bytes | msgspec.Raw) -> Record:
        """Return the record of a row.

        Every column is there, null where the vendor sent nothing. Timestamps are in UTC, an empty
        string is null where the column is not a string, and what has no column, or doesn't fit its
        column, is in `extra_fields`. A schema without that column takes nothing else: what has no
        column may be personal data.

        Args:
            row: The row's JSON.

        Raises:
            InvalidRowError: The row is not a JSON object, or has no valid key.
        """
        try:
            record = cast("Record", self._decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = self._conform_values(row)
        else:
            if not self._has_doubles(record):
                record = self._conform_values(row)
        for name in self._timestamps:
            value = getattr(record, name)
            if value is not None and len(value) < _UTC_LENGTH:
                setattr(record, name, f"{value[:10]}T{value[11:]}Z" if value else None)
        return record

    def _has_doubles(self, record: Record) -> bool:
        """Whether all numbers of a record are in the range of their columns."""
        return all(_is_double(record.get(name) or 0) for name in self._numbers)

    def _conform_values(self, row: bytes | msgspec.Raw) -> Record:
        try:
            values = decode_json(row)
        except InvalidResponseError as error:
            raise InvalidRowError(str(error)) from None
        if not isinstance(values, dict):
            raise InvalidRowError("a row that is not a JSON object")
        fields = tuple(values)
        extra = self._pop_extra(values)
        if "" in values.values():
            for name in self._not_strings:
                if values.get(name) == "":
                    del values[name]
        try:
            record = cast("Record", msgspec.convert(values, self._type))
        except msgspec.ValidationError:
            record = None
        if record is None or not self._has_doubles(record):
            record = self._conform_columns(values, extra)
        if missing := [key for key in self._keys if record.get(key) in {None, ""}]:
            sent = ", ".join(sorted(fields)[:8])
            raise InvalidRowError(f"a row without `{missing[0]}` (its fields: {sent[:300]})")
        if self._keeps_extra_fields:
            setattr(record, EXTRA_FIELDS, extra or None)
        return record

    def _pop_extra(self, values: Row) -> Row:
        """Remove and return the fields that have no column."""
        extra = {
            name: _portable(values.pop(name))
            for name in tuple(values)
            if name not in self._converters
        }
        for name in self._left_out & extra.keys():
            del extra[name]
        if not self._keeps_extra_fields:
            self.dropped |= extra.keys()
        return extra

    def _conform_columns(self, values: Row, extra: Row) -> Record:
        """Return the record of the values that fit; the others go to `extra`."""
        converted: Row = dict.fromkeys(self._keys)
        for name, value in values.items():
            result = None if value is None else self._converters[name](value)
            if result is _UNFIT:
                extra[name] = _portable(value)
                self._warn_once(name)
            else:
                converted[name] = result
        return cast("Record", self._type(**converted))

    def _warn_once(self, name: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            place = f"in {EXTRA_FIELDS}" if self._keeps_extra_fields else "left out"
            self._warn(f"{name} has values that don't fit its type; they are {place}.")


def _column_type(name: str, column: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a type
    if name == EXTRA_FIELDS or "object" in column["type"]:
        return _Nothing | None  # an object is converted: its numbers have to stay as they were sent
    if "array" in column["type"]:
        item = _ITEM_TYPES[column["items"]["type"][0]]
        return list[item | None] | None  # type: ignore[valid-type]
    types = [_TYPES[json_type] for json_type in column["type"] if json_type in _TYPES]
    is_nullable = "null" in column["type"]
    if column.get("format") == "date-time":
        types = [_Timestamp if is_nullable else _KeyTimestamp]
    if is_nullable:
        types.append(None)
    elif types == [str]:
        types = [_Key]
    return Union[tuple(types)]  # noqa: UP007 - of types that are known at run time only


# Conversions of single values. Each loses nothing; what can't be converted is `_UNFIT`.


def _converter(column: Mapping[str, Any]) -> Callable[[Any], Any]:
    if column.get("format") == "date-time":
        return _to_timestamp
    if column.get(ANY_JSON):
        return _to_json_text
    if "array" in column["type"]:
        return partial(_to_list, convert=_ITEM_CONVERTERS[column["items"]["type"][0]])
    (json_type,) = (json_type for json_type in column["type"] if json_type != "null")
    return {
        "integer": _to_integer,
        "number": _to_number,
        "boolean": _to_boolean,
        "string": _to_string,
        "object": _to_object,
    }[json_type]


def _to_timestamp(value: object) -> object:
    try:
        return normalize_utc(value) if isinstance(value, str) else _UNFIT
    except ValueError:
        return _UNFIT


def _to_json_text(value: object) -> object:
    return value if isinstance(value, str) else _encode(value).decode()


def _to_integer(value: object) -> object:
    number = _to_number(value)
    if isinstance(number, Decimal):
        number = int(number) if number == number.to_integral_value() else _UNFIT
    return _UNFIT if isinstance(number, int) and number not in _INTEGERS else number


def _to_number(value: object) -> object:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError:
            return _UNFIT
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return _UNFIT
    return value if _is_double(value) else _UNFIT


def _to_boolean(value: object) -> object:
    if isinstance(value, str):
        return _BOOLEANS.get(value.lower(), _UNFIT)
    return value if isinstance(value, bool) else _UNFIT


def _to_string(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | Decimal):
        return _encode(value).decode()
    return _UNFIT


def _to_object(value: object) -> object:
    return _portable(value) if isinstance(value, dict) else _UNFIT


def _to_list(value: object, convert: Callable[[Any], object]) -> object:
    if not isinstance(value, list):
        return _UNFIT
    items = [None if item is None else convert(item) for item in value]
    return _UNFIT if _UNFIT in items else items


_ITEM_CONVERTERS = {"integer": _to_integer, "string": _to_string}


def _is_double(value: int | Decimal) -> bool:
    """Whether a number is in the range of double precision, which every target has."""
    if isinstance(value, int):
        return -(10**300) < value < 10**300
    return value.is_finite() and (not value or value.adjusted() in _EXPONENTS)


def _portable(value: object, depth: int = 0) -> object:
    """Return a JSON value that every target can store, as close to the original as possible."""
    if isinstance(value, dict | list) and depth == _MAX_DEPTH:
        return _encode(value).decode()
    if isinstance(value, dict):
        return {name: _portable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_portable(item, depth + 1) for item in value]
    if isinstance(value, int | Decimal) and not _is_double(value):
        return str(value)
    return value

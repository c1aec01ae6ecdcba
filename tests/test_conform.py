"""Conforming a row: how what a vendor sends becomes a record of the stream's schema.

* A record has every column; unknown fields go to `extra_fields`, so nothing is dropped.
* Timestamps are RFC 3339 in UTC; a value that is not a timestamp goes to `extra_fields`.
* An empty string is null unless the column is a string.
* A value that doesn't fit its column is converted if nothing is lost; else it goes to
  `extra_fields`, and one warning names the column.
* Whatever a vendor sends, the record fits its own schema.
"""

from __future__ import annotations

import json
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.history import example as documented_rows
from tap_voicecalls import schemas
from tap_voicecalls.sync.conform import InvalidRowError, RecordConformer

if TYPE_CHECKING:
    from tap_voicecalls.sync.conform import Row

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "note": {"type": ["string", "null"]},
        "score": {"type": ["integer", "null"]},
        "answered": {"type": ["boolean", "null"]},
        "ratio": {"type": ["number", "null"]},
        "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "anything": {"type": ["string", "null"], "x-any-json": True},
        "extra_fields": {"type": ["object", "null"]},
    },
}


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def conformer(warnings: list[str]) -> RecordConformer:
    return RecordConformer(SCHEMA, ["id"], warnings.append)


def make_conformer_of_two() -> RecordConformer:
    """Return a conformer of a stream whose key is an integer and a timestamp."""
    key = {"at": {"type": ["string"], "format": "date-time"}}
    schema = SCHEMA | {"properties": SCHEMA["properties"] | key}
    return RecordConformer(schema, ["id", "at"], lambda _: None)


_to_json = msgspec.json.Encoder(decimal_format="number").encode


def conform(conformer: RecordConformer, row: Row) -> Row:
    """Return the record of a row."""
    return conformer.conform(_to_json(row)).to_dict()


def test_record_has_every_column(conformer: RecordConformer) -> None:
    assert conform(conformer, {"id": 1}) == dict.fromkeys(SCHEMA["properties"]) | {"id": 1}


def test_unknown_fields_go_to_extra_fields(conformer: RecordConformer) -> None:
    record = conform(conformer, {"id": 1, "new": [1], "newer": None})
    assert record["extra_fields"] == {"new": [1], "newer": None}
    assert "new" not in record


def test_vendor_field_named_extra_fields_is_kept(
    conformer: RecordConformer,
) -> None:
    assert conform(conformer, {"id": 1, "extra_fields": 7})["extra_fields"] == {"extra_fields": 7}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-04-23T10:22:26Z", "2026-04-23T10:22:26Z"),
        ("2026-04-23T12:22:26+02:00", "2026-04-23T10:22:26Z"),
        ("2026-04-23T10:22:26", "2026-04-23T10:22:26Z"),
        ("2026-04-23 10:22:26", "2026-04-23T10:22:26Z"),
        ("2026-04-23T10:22:26.120Z", "2026-04-23T10:22:26.12Z"),
        ("2026-04-23t10:22:26z", "2026-04-23T10:22:26Z"),
        ("", None),
        (None, None),
    ],
)
def test_timestamps_are_normalized_to_utc(
    conformer: RecordConformer, sent: str | None, expected: str | None
) -> None:
    assert conform(conformer, {"id": 1, "at": sent})["at"] == expected


@pytest.mark.parametrize(
    "sent",
    [
        "soon",
        1547635159,
        {"a": 1},
        "2026-99-99T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2027-02-29T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-02-30 10:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01T10:60:00Z",
        "0001-01-01T00:00:00+05:00",
    ],
)
def test_invalid_timestamp_goes_to_extra_fields(
    conformer: RecordConformer, warnings: list[str], sent: Any
) -> None:
    for _ in range(2):
        record = conform(conformer, {"id": 1, "at": sent, "new": 1})
        assert record["at"] is None
        assert record["extra_fields"] == {"at": sent, "new": 1}
    assert len(warnings) == 1
    assert warnings[0].startswith("at has values that don't fit its type")


def test_empty_string_is_null_unless_column_is_a_string(conformer: RecordConformer) -> None:
    record = conform(conformer, {"id": 1, "note": "", "score": "", "answered": ""})
    assert (record["note"], record["score"], record["answered"]) == ("", None, None)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("text", "text"),
        (None, None),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
    ],
)
def test_column_of_unknown_type_takes_any_json(
    conformer: RecordConformer, sent: Any, expected: str | None
) -> None:
    assert conform(conformer, {"id": 1, "anything": sent})["anything"] == expected


@pytest.mark.parametrize(
    ("column", "sent", "expected"),
    [
        ("score", "12", 12),
        ("score", Decimal("12.0"), 12),
        ("score", "-0012", -12),
        ("answered", "false", False),
        ("answered", "True", True),
        ("note", 5, "5"),
        ("note", Decimal("5.10"), "5.10"),
        ("note", True, "true"),
        ("ratio", 5, Decimal(5)),
        ("ratio", Decimal("12345678901234567.5"), Decimal("12345678901234567.5")),
        ("ratio", "1.5", Decimal("1.5")),
        ("tags", ["a", None], ["a", None]),
        ("tags", ["a", 1], ["a", "1"]),
    ],
)
def test_values_are_converted_where_nothing_is_lost(
    conformer: RecordConformer, warnings: list[str], column: str, sent: Any, expected: Any
) -> None:
    record = conform(conformer, {"id": 1, column: sent})
    assert record[column] == expected
    assert type(record[column]) is type(expected)
    assert record["extra_fields"] is None
    assert warnings == []


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("score", "a lot"),
        ("score", Decimal("12.5")),
        ("score", True),
        ("score", 2**63),
        ("score", [1]),
        ("answered", "yes"),
        ("answered", 1),
        ("note", {"a": 1}),
        ("note", ["a"]),
        ("ratio", "NaN"),
        ("ratio", False),
        ("tags", "a"),
        ("tags", [{"a": 1}]),
    ],
)
def test_values_that_do_not_fit_go_to_extra_fields(
    conformer: RecordConformer, warnings: list[str], column: str, sent: Any
) -> None:
    for _ in range(2):
        record = conform(conformer, {"id": 1, "note": "kept"} | {column: sent})
        assert record[column] is None
        assert record["extra_fields"] == {column: sent}
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{column} has values that don't fit its type")


@pytest.mark.parametrize("number", ["1e400", "-1e999999999", "1E99999999999999999999", "9" * 5000])
def test_numbers_that_targets_reject_are_kept_as_text(
    conformer: RecordConformer, number: str
) -> None:
    record = conformer.conform(f'{{"id": 1, "new": [{number}], "ratio": {number}}}'.encode())
    columns = record.to_dict()
    assert columns["ratio"] is None
    (new,) = columns["extra_fields"]["new"]
    for kept in (columns["extra_fields"]["ratio"], new):
        assert isinstance(kept, str)
        assert kept.lower().replace("+", "") == number.lower()


def test_deep_nesting_is_kept_as_text(conformer: RecordConformer) -> None:
    value: Any = "inside"
    for _ in range(100):
        value = [value]
    extra = conform(conformer, {"id": 1, "new": value})["extra_fields"]
    depth = 0
    kept = extra["new"]
    while isinstance(kept, list):
        kept, depth = kept[0], depth + 1
    assert depth < 40
    assert '"inside"' in kept


@pytest.mark.parametrize("key", [None, "", "x", 2**70, Decimal("1.5"), [1]])
def test_row_without_a_valid_key_is_an_error(conformer: RecordConformer, key: Any) -> None:
    with pytest.raises(InvalidRowError, match=r"a row without `id` \(its fields: id, note\)"):
        conform(conformer, {"id": key, "note": "a"})


@pytest.mark.parametrize("sent", ["2026-04-23 10:22:26", "2026-04-23T12:22:26+02:00"])
@pytest.mark.parametrize("note", ["a", 5, {"b": 1}], ids=["plain", "converted", "unfit"])
def test_key_may_have_several_columns_and_timestamps(sent: str, note: Any) -> None:
    record = conform(make_conformer_of_two(), {"id": 1, "at": sent, "note": note})
    assert (record["id"], record["at"]) == (1, "2026-04-23T10:22:26Z")


@pytest.mark.parametrize(
    "row",
    [
        *({"id": 1, "at": at} for at in (None, "", "soon", 5, "2026-02-30 10:00:00")),
        {"id": 1},
        {"id": 1, "at": "", "new": 1},
    ],
    ids=str,
)
def test_row_without_a_second_key_column_is_an_error(row: Row) -> None:
    with pytest.raises(InvalidRowError, match="a row without `at`"):
        conform(make_conformer_of_two(), row)


@pytest.mark.parametrize("row", [b"[]", b'"text"', b"12", b"null", b"{"])
def test_row_that_is_not_an_object_is_an_error(conformer: RecordConformer, row: bytes) -> None:
    with pytest.raises(InvalidRowError):
        conformer.conform(row)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(
        ["2026-04-23T10:22:26Z", "2026-04-23T12:22:26+02:00", "2026-04-23T10:22:26Z\n"]
    )
    | st.sampled_from(["2026-02-30T10:00:00Z", "12", "false", 2**63, -(2**63) - 1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(row=st.dictionaries(st.sampled_from([*SCHEMA["properties"], "new"]), json_values))
@example(row={"at": "2026-04-23T10:22:26Z\n"})
@example(row={"extra_fields": None})
def test_record_always_fits_its_schema_and_loses_nothing(row: Row) -> None:
    warnings: list[str] = []
    sent = json.loads(json.dumps(row | {"id": 7}))
    conformed = RecordConformer(SCHEMA, ["id"], warnings.append).conform(json.dumps(sent).encode())
    record = json.loads(_to_json(conformed))
    jsonschema.validate(
        record, SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    extra = record["extra_fields"] or {}
    for name, value in sent.items():
        if name in extra:
            assert record[name] is None if name in record and name != "extra_fields" else True
        elif value is not None and name != "extra_fields":
            assert record[name] is not None or value == ""


@pytest.mark.parametrize("stream", ["zendesk_calls", "zendesk_legs"])
def test_documented_zendesk_rows_conform_as_sent(stream: str) -> None:
    schema = msgspec.json.decode(resources.files(schemas).joinpath(f"{stream}.json").read_bytes())
    conformer = RecordConformer(schema, ["id"], pytest.fail)
    for row in documented_rows(stream):
        record = conform(conformer, row)
        assert record["extra_fields"] is None
        assert record.items() >= row.items()

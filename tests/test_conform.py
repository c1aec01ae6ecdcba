"""Conforming a row: how what a vendor sends becomes a record of the stream's schema.

* A record has every column; unknown fields go to `extra_fields`, so nothing is dropped.
* Timestamps are RFC 3339 in UTC; a value that is not a timestamp goes to `extra_fields`.
* An empty string is null unless the column is a string; other values stay as sent.
* A row that already conforms is decoded straight into the same record.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.history import example as documented_rows
from tap_voicecalls import schemas
from tap_voicecalls.sync.conform import RecordConformer

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
        "anything": {"type": ["string", "null"], "x-any-json": True},
        "extra_fields": {"type": ["object", "null"]},
    },
}


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def conformer(warnings: list[str]) -> RecordConformer:
    return RecordConformer(SCHEMA, warnings.append)


def conform(conformer: RecordConformer, row: Row) -> Row:
    """Return the record of a single row."""
    (record,) = conformer.conform([row])
    return record


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


def test_rows_may_have_different_fields(conformer: RecordConformer) -> None:
    rows: list[Row] = [
        {"id": 1},
        {"id": 2, "note": "", "new": 1},
        {"id": 3, "score": 5},
        {"id": 4, "newer": 2},
    ]
    separately = [conform(conformer, dict(row)) for row in rows]
    assert conformer.conform(rows) == separately
    assert [record["extra_fields"] for record in separately] == [
        None,
        {"new": 1},
        None,
        {"newer": 2},
    ]
    assert [record["score"] for record in separately] == [None, None, 5, None]


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


@pytest.mark.parametrize("sent", ["soon", 1547635159, "2026-99-99T10:00:00Z", {"a": 1}])
def test_invalid_timestamp_goes_to_extra_fields(
    conformer: RecordConformer, warnings: list[str], sent: Any
) -> None:
    for _ in range(2):
        record = conform(conformer, {"id": 1, "at": sent, "new": 1})
        assert record["at"] is None
        assert record["extra_fields"] == {"at": sent, "new": 1}
    assert len(warnings) == 1
    assert "at holds values that are no times" in warnings[0]


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


@pytest.mark.parametrize("sent", ["false", 0, 12345678901234567890, Decimal("1.10"), "12"])
def test_other_values_stay_as_sent(conformer: RecordConformer, sent: Any) -> None:
    record = conform(conformer, {"id": 1, "answered": sent, "score": sent})
    assert record["answered"] is sent
    assert record["score"] is sent


def decode_conforming(schema: dict[str, Any], row: Row) -> Row | None:
    """Decode a row straight into a record; None if the row does not conform to the schema."""
    with suppress(msgspec.ValidationError):
        decoded = msgspec.json.decode(
            msgspec.json.encode(row), type=RecordConformer(schema, pytest.fail).exact
        )
        record: Row = msgspec.json.decode(msgspec.json.encode(decoded))
        return record
    return None


#: Values that a vendor may send in any column.
JSON_VALUES = [None, "", "text", "12", 0, -1, 2**63, 1.5, True, [], [1.5, None], {"a": 1}]
TIMESTAMPS = ["2026-04-23T10:22:26Z", "2026-04-23T12:22:26+02:00", "2026-04-23T10:22:26Z\n"]


@given(
    row=st.dictionaries(
        st.sampled_from([*SCHEMA["properties"], "new"]), st.sampled_from(JSON_VALUES)
    )
)
@example(
    row={"id": 1, "at": TIMESTAMPS[0], "note": "", "score": 5, "answered": True, "anything": ""}
)
@example(row={"id": 1, "extra_fields": None})
@example(row={"id": 1, "at": TIMESTAMPS[1]})
@example(row={"id": 1, "at": TIMESTAMPS[2]})
def test_conforming_row_equals_its_conformed_record(row: Row) -> None:
    """The fast path, decoding straight into a record, agrees with `conform`."""
    decoded = decode_conforming(SCHEMA, row)
    (record,) = RecordConformer(SCHEMA, lambda _: None).conform([dict(row)])
    assert decoded is None or decoded == msgspec.json.decode(msgspec.json.encode(record))


@pytest.mark.parametrize("stream", ["zendesk_calls", "zendesk_legs"])
def test_documented_zendesk_rows_conform_as_sent(stream: str) -> None:
    schema = msgspec.json.decode(resources.files(schemas).joinpath(f"{stream}.json").read_bytes())
    for row in documented_rows(stream):
        record = decode_conforming(schema, row)
        assert record is not None
        assert record.items() >= row.items()

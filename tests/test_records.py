"""Everything that a vendor sends is written, in the columns' form."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.history import example as documented
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
def shape(warnings: list[str]) -> RecordConformer:
    return RecordConformer(SCHEMA, warnings.append)


def record_of(shape: RecordConformer, row: Row) -> Row:
    (record,) = shape.conform([row])
    return record


def test_a_record_has_every_column(shape: RecordConformer) -> None:
    assert record_of(shape, {"id": 1}) == dict.fromkeys(SCHEMA["properties"]) | {"id": 1}


def test_unknown_fields_are_kept_by_name(shape: RecordConformer) -> None:
    record = record_of(shape, {"id": 1, "new": [1], "newer": None})
    assert record["extra_fields"] == {"new": [1], "newer": None}
    assert "new" not in record


def test_a_field_of_the_vendor_that_is_called_extra_fields_is_kept_too(
    shape: RecordConformer,
) -> None:
    assert record_of(shape, {"id": 1, "extra_fields": 7})["extra_fields"] == {"extra_fields": 7}


def test_rows_need_not_have_the_same_fields(shape: RecordConformer) -> None:
    rows: list[Row] = [
        {"id": 1},
        {"id": 2, "note": "", "new": 1},
        {"id": 3, "score": 5},
        {"id": 4, "newer": 2},
    ]
    alone = [record_of(shape, dict(row)) for row in rows]
    assert shape.conform(rows) == alone
    assert [record["extra_fields"] for record in alone] == [None, {"new": 1}, None, {"newer": 2}]
    assert [record["score"] for record in alone] == [None, None, 5, None]


@pytest.mark.parametrize(
    ("sent", "written"),
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
def test_times_are_utc(shape: RecordConformer, sent: str | None, written: str | None) -> None:
    assert record_of(shape, {"id": 1, "at": sent})["at"] == written


@pytest.mark.parametrize("sent", ["soon", 1547635159, "2026-99-99T10:00:00Z", {"a": 1}])
def test_what_is_no_time_is_kept_where_anything_fits(
    shape: RecordConformer, warnings: list[str], sent: Any
) -> None:
    for _ in range(2):
        record = record_of(shape, {"id": 1, "at": sent, "new": 1})
        assert record["at"] is None
        assert record["extra_fields"] == {"at": sent, "new": 1}
    assert len(warnings) == 1
    assert "at holds values that are no times" in warnings[0]


def test_an_empty_text_is_null_where_the_column_is_no_text(shape: RecordConformer) -> None:
    record = record_of(shape, {"id": 1, "note": "", "score": "", "answered": ""})
    assert (record["note"], record["score"], record["answered"]) == ("", None, None)


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("text", "text"),
        (None, None),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
    ],
)
def test_a_column_of_unknown_type_takes_any_json(
    shape: RecordConformer, sent: Any, written: str | None
) -> None:
    assert record_of(shape, {"id": 1, "anything": sent})["anything"] == written


@pytest.mark.parametrize("sent", ["false", 0, 12345678901234567890, Decimal("1.10"), "12"])
def test_other_values_are_as_they_were_sent(shape: RecordConformer, sent: Any) -> None:
    record = record_of(shape, {"id": 1, "answered": sent, "score": sent})
    assert record["answered"] is sent
    assert record["score"] is sent


def exact(schema: dict[str, Any], row: Row) -> Row | None:
    """The record that a row is as it was decoded, if it is one."""
    with suppress(msgspec.ValidationError):
        decoded = msgspec.json.decode(
            msgspec.json.encode(row), type=RecordConformer(schema, pytest.fail).exact
        )
        written: Row = msgspec.json.decode(msgspec.json.encode(decoded))
        return written
    return None


#: What vendors may send, whatever the column.
ODD = [None, "", "text", "12", 0, -1, 2**63, 1.5, True, [], [1.5, None], {"a": 1}]
TIMES = ["2026-04-23T10:22:26Z", "2026-04-23T12:22:26+02:00", "2026-04-23T10:22:26Z\n"]


@given(row=st.dictionaries(st.sampled_from([*SCHEMA["properties"], "new"]), st.sampled_from(ODD)))
@example(row={"id": 1, "at": TIMES[0], "note": "", "score": 5, "answered": True, "anything": ""})
@example(row={"id": 1, "extra_fields": None})
@example(row={"id": 1, "at": TIMES[1]})
@example(row={"id": 1, "at": TIMES[2]})
def test_a_row_that_needs_nothing_done_is_the_record_that_would_be_made(row: Row) -> None:
    as_it_is = exact(SCHEMA, row)
    (made,) = RecordConformer(SCHEMA, lambda _: None).conform([dict(row)])
    assert as_it_is is None or as_it_is == msgspec.json.decode(msgspec.json.encode(made))


@pytest.mark.parametrize("stream", ["zendesk_calls", "zendesk_legs"])
def test_rows_as_zendesk_documents_them_need_nothing_done(stream: str) -> None:
    schema = msgspec.json.decode(resources.files(schemas).joinpath(f"{stream}.json").read_bytes())
    for row in documented(stream):
        record = exact(schema, row)
        assert record is not None
        assert record.items() >= row.items()

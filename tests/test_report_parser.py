"""Splitting a Talkdesk report into rows while it arrives."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_voicecalls.http.body import InvalidResponseError
from tap_voicecalls.talkdesk.report_parser import (
    MAX_ROW,
    IncompleteReportError,
    ReportParser,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 2**20
texts = st.text(st.sampled_from('},{"[]\\:entries\n \u00e9\U0001f600'), max_size=12)
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.dictionaries(texts | st.just("entries"), values, max_size=3)


def parse(chunks: Iterable[bytes]) -> tuple[list[Any], dict[str, Any]]:
    """Return the rows of a report, and the fields around them."""
    parser = ReportParser()
    rows = [json.loads(bytes(row)) for chunk in chunks for row in parser.feed(chunk)]
    rows += [json.loads(bytes(row)) for row in parser.finish()]
    assert parser.count == len(rows)
    return rows, parser.document()


def chunks_of(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def report(rows: str, *, total: int = 0) -> bytes:
    return f'{{"type": "calls", "entries": [{rows}], "total": {total}}}'.encode()


@given(
    st.lists(values, max_size=6),
    fields,
    fields,
    st.sampled_from((1, 2, 7, 64, MIB)),
    st.sampled_from((None, 2)),
)
@settings(max_examples=300, deadline=None)
def test_any_report_in_any_chunks_gives_its_rows(
    entries: list[Any], before: dict[str, Any], after: dict[str, Any], size: int, indent: int | None
) -> None:
    before.pop("entries", None)
    after.pop("entries", None)
    body = before | {"entries": entries} | after
    rows, document = parse(chunks_of(json.dumps(body, indent=indent).encode(), size))
    assert rows == entries
    assert json.loads(json.dumps(document, default=float)) == {**body, "entries": []}


def test_large_report_is_split_in_linear_time_and_constant_memory() -> None:
    row = json.dumps({"call_id": "x" * 900, "nested": {"a": [{"b": 1}, {}]}, "end": 1}) + ","
    batch = row.encode() * 1000
    parser = ReportParser()
    tracemalloc.start()
    try:
        parser.feed(b'{"entries": [')
        count = sum(len(parser.feed(batch)) for _ in range(60))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count > 59_000
    assert peak < 12 * MIB


@pytest.mark.parametrize(
    "text",
    [r"},{" * (MAX_ROW // 8), r"]}\"" * (MAX_ROW // 16), r"\\\"" * (MAX_ROW // 16)],
    ids=["ends of rows", "quotation marks", "backslashes"],
)
def test_text_full_of_json_takes_linear_time(text: str) -> None:
    body = report(f'{{"notes": "{text}"}}, {{"notes": ""}}')
    started = time.process_time()
    rows, _ = parse(chunks_of(body, 16 * 1024))
    assert rows[0] == json.loads(f'{{"notes": "{text}"}}')
    assert len(rows) == 2
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (report('{"a": 1}, {"a": NaN}'), "not JSON after row 1"),
        (report('{"a": 1},, {"a": 2}'), "not JSON after row 1"),
        (report('{"a": 1}, {"a": 1')[:-14], "it ends, or is not JSON, after row 1"),
        (report('{"a": 1}]}{["x"'), "not JSON after its rows"),
        (report('{"a": 1}') + b"x", "not JSON after its rows"),
        (report('{"a": 1}, {"a": "' + "x" * (MAX_ROW + MIB) + '"}'), "row 2 has more than 16 MiB"),
        (report('{"a": ' + "[" * 100_000), "not JSON"),
        (report("")[:-1] + b', "x": "' + b"x" * 2 * MIB + b'"}', "more than 1 MiB after its rows"),
    ],
    ids=["NaN", "comma", "cut off", "brackets", "rest", "large row", "deep", "large rest"],
)
def test_report_that_is_not_json_is_incomplete(body: bytes, message: str) -> None:
    with pytest.raises(IncompleteReportError, match=message):
        parse(chunks_of(body, 64 * 1024))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[1]", "not an object"),
        (b'{"x": "' + b"x" * 2 * MIB + b'"}', "more than 1 MiB"),
        (b'{"x": ' + b'{"entries": [' * 100_000, "more than 1 MiB"),
    ],
    ids=["empty", "HTML", "array", "large", "nested entries"],
)
def test_other_body_is_an_invalid_response(body: bytes, message: str) -> None:
    with pytest.raises(InvalidResponseError, match=message):
        parse(chunks_of(body, 64 * 1024))


def test_second_array_of_entries_is_visible() -> None:
    _, document = parse([b'{"entries": [{"a": 1}], "entries": [{"a": 2}]}'])
    assert document["entries"] == [{"a": 2}]

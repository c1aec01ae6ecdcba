"""What must hold whatever a vendor sends, measured from outside of the tap."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import pendulum
from jsonschema import Draft7Validator, FormatChecker

from sandbox.zendesk_lists import LISTS
from tap_voicecalls.schemas import read_schema
from tests.harness import KEYS, PRIMARY_KEYS, REPLICATION_KEYS, as_written
from tests.vendors import CALLS, LEGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.history import Row
    from sandbox.hostile import Journal, Lie
    from tests.harness import Output

_schema = cache(read_schema)


def is_report(stream: str) -> bool:
    """Whether a stream is a report of Talkdesk."""
    return stream.startswith("talkdesk_")


_LISTS = {f"zendesk_{name}": endpoint for name, endpoint in LISTS.items()}
#: The list of rows in a vendor's response, by stream.
ROWS = {
    **{stream: "entries" for stream in KEYS if is_report(stream)},
    "zendesk_calls": "calls",
    "zendesk_legs": "legs",
    **{stream: endpoint.name for stream, endpoint in _LISTS.items()},
}
_PATHS = {
    "zendesk_calls": CALLS,
    "zendesk_legs": LEGS,
    **{stream: endpoint.path for stream, endpoint in _LISTS.items()},
}
#: The roles of the users that are in the stream of agents.
_ROLES = {"agent", "admin"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Line separators and invisible characters that change how a log looks.
_CONTROL = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


# What the vendor said


@dataclass
class Evidence:
    """What a hostile vendor sent for one stream, next to the truth.

    Attributes:
        truth: The keys of the rows that the tap has to read.
        rows: Every version of each row, by key.
        exempt: Keys that the vendor replaced by others that are as good.
        is_conclusive: Whether the vendor contradicted itself wherever it lied: if not, no one can
            know that a row is missing.
        is_readable: Whether every response could be read by Python's JSON decoder.
        is_harmless: Whether the vendor sent nothing worse than odd values outside of the keys:
            those cost no row and no run.
    """

    truth: frozenset[Any]
    rows: dict[Any, list[Row]]
    exempt: set[Any] = field(default_factory=set)
    is_conclusive: bool = True
    is_readable: bool = True
    is_harmless: bool = True


def gather_evidence(
    journal: Journal, stream: str, rows: Iterable[Row], start: str, end: str
) -> Evidence:
    """Return what a vendor said about a stream.

    Args:
        journal: The distorted responses.
        stream: The stream.
        rows: All rows of the vendor.
        start: The earliest time that the tap has to read.
        end: The time up to which it has to read.
    """
    time, keys = REPLICATION_KEYS.get(stream), {_key(row, stream): row for row in rows}
    truth = frozenset(
        key
        for key, row in keys.items()
        if time is None or start <= (as_written(stream, row)[time] or "") <= end
    )
    evidence = Evidence(truth, {key: [row] for key, row in keys.items()})
    for lie in journal.lies:
        if lie.path.removesuffix(".json") not in set(_PATHS.values()) - {_PATHS.get(stream)}:
            _add_lie(lie, stream, evidence)
    return evidence


def _add_lie(lie: Lie, stream: str, evidence: Evidence) -> None:
    evidence.is_harmless &= _is_harmless(lie, stream)
    if not _is_whole(lie) or not lie.sent.status.startswith("2"):
        return
    try:
        body = _loads(lie.sent.body)
    except (ValueError, RecursionError):
        evidence.is_readable = False
        return
    regular = _regular(lie.regular.body)
    name = ROWS[stream]
    rows = body.get(name) if isinstance(body, dict) else None
    if isinstance(rows, list):
        before = regular.get(name)
        _add_rows(rows, before or [], stream, evidence)
        if is_report(stream):
            evidence.is_conclusive &= _report_is_conclusive(body, rows, before)
        elif stream in _LISTS:
            is_conclusive = _list_is_conclusive(body, regular, rows, before or [])
            evidence.is_conclusive &= is_conclusive
        else:
            evidence.is_conclusive &= _page_is_conclusive(body, regular, rows, before or [])


def _add_rows(rows: list[Any], before: list[Row], stream: str, evidence: Evidence) -> None:
    keys = [_key(row, stream) if _is_row(row) else None for row in rows]
    for row, key in zip(rows, keys, strict=True):
        if key is not None:
            evidence.rows.setdefault(key, []).append(row)
            if stream == "zendesk_agents" and row.get("role") not in _ROLES:
                evidence.exempt.add(key)  # not an agent, as far as Zendesk states
    if len(rows) == len(before):
        evidence.exempt |= {
            _key(old, stream)
            for old, key in zip(before, keys, strict=True)
            if key not in {None, _key(old, stream)}
        }


def _is_row(value: object) -> bool:
    return isinstance(value, dict)


def _report_is_conclusive(body: Row, rows: list[Any], before: list[Row] | None) -> bool:
    """Whether a report has as many rows as it should, or says that it does not."""
    total = body.get("total")
    is_short = before is None or len(rows) < len(before)
    return not is_short or (isinstance(total, int) and total != len(rows))


def _is_whole(lie: Lie) -> bool:
    return lie.sent.delivery == "whole" and lie.sent.raw is None


def _is_harmless(lie: Lie, stream: str) -> bool:
    """Whether a response differs from the regular one by values of rows alone."""
    name = ROWS[stream]
    if not _is_whole(lie) or replace(lie.sent, body=b"") != replace(lie.regular, body=b""):
        return False
    try:
        body = json.loads(lie.sent.body.decode("utf-8", "replace"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    regular = _regular(lie.regular.body)
    if not isinstance(body, dict) or name not in regular:
        return False
    rows, before = body.pop(name, None), regular.pop(name)
    return (
        body == regular
        and isinstance(rows, list)
        and len(rows) == len(before)
        and all(
            isinstance(row, dict) and all(row.get(key) == old[key] for key in PRIMARY_KEYS[stream])
            for row, old in zip(rows, before, strict=True)
        )
    )


def _page_is_conclusive(body: Row, regular: Row, rows: list[Any], before: list[Row]) -> bool:
    """Whether a page is as it should be, or contradicts itself."""
    times = [row.get("updated_at") if isinstance(row, dict) else None for row in rows]
    leads_on = before[-1:] != rows[-1:] and any(
        body.get(name) == regular.get(name) is not None for name in ("end_time", "next_page")
    )
    states_more = isinstance(body.get("count"), int) and body["count"] > len(rows)
    if len(rows) < len(before) and not leads_on and not states_more:
        return False
    is_time_changed = any(row["updated_at"] not in times for row in before) and len(rows) >= len(
        before
    )
    is_end_changed = body.get("end_time") != regular.get("end_time")
    return not (is_time_changed and is_end_changed)


def _list_is_conclusive(body: Row, regular: Row, rows: list[Any], before: list[Row]) -> bool:
    """Whether a page of a list is as it should be, or contradicts itself."""
    if "meta" not in regular:
        is_followed = body.get("next_page") == regular.get("next_page")
        is_whole = is_followed and len(rows) >= len(before)
        return is_whole or body.get("count") == regular.get("count")
    meta = body.get("meta")
    if not isinstance(meta, dict):
        return True
    is_end_changed = meta.get("has_more") is not regular["meta"]["has_more"] in {True}
    is_cursor_same = meta.get("after_cursor") == regular["meta"]["after_cursor"]
    return is_cursor_same and not is_end_changed and len(rows) >= len(before)


def _key(row: Row, stream: str) -> Any:
    """Return what the tap may make of a row's key, or None if it is none."""
    parts = tuple(_key_part(row.get(name), name, stream) for name in PRIMARY_KEYS[stream])
    return None if None in parts else parts


def _key_part(value: object, name: str, stream: str) -> Any:
    if not is_report(stream):
        return _integer_key(value)
    if not isinstance(value, str):
        return json.dumps(value, default=str) if isinstance(value, int | Decimal) else None
    is_timestamp = _schema(stream)["properties"][name].get("format") == "date-time"
    return _moment(value) if is_timestamp else clean(value) or None


def _integer_key(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
        is_integer = number == number.to_integral_value() and abs(number) <= 2**63
    except ArithmeticError:
        return None
    return int(number) if is_integer else None


def _loads(body: bytes) -> Any:
    return json.loads(
        body.decode("utf-8", "replace"),
        parse_float=_parse_float,
        parse_int=lambda text: int(text) if len(text) < 400 else text,
        parse_constant=_refuse,
    )


def _regular(body: bytes) -> Row:
    try:
        decoded = json.loads(body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _parse_float(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except ArithmeticError:
        return text


def _refuse(text: str) -> None:
    raise ValueError(text)


# Complete, and as it was sent


def check_succeeded(output: Output, stream: str, evidence: Evidence) -> None:
    """Assert that odd values alone did not fail the stream."""
    if evidence.is_harmless:
        assert stream not in output.failures, f"odd values fail: {output.failures[stream]}"


def check_complete(records: Iterable[Row], stream: str, evidence: Evidence) -> None:
    """Assert that every row is there, unless no one can know that it is missing."""
    if evidence.is_conclusive:
        written = {_key(record, stream) for record in records}
        missing = evidence.truth - written - evidence.exempt
        assert not missing, f"{stream}: {len(missing)} of {len(evidence.truth)} rows are missing"


def check_values(records: Iterable[Row], stream: str, evidence: Evidence) -> None:
    """Assert that each record has the values of a row that was sent."""
    if not evidence.is_readable:
        return
    for record in records:
        versions = evidence.rows.get(_key(record, stream), [])
        schema = _schema(stream)
        losses = [list(_losses(row, record, schema)) for row in versions]
        assert [] in losses, f"{stream}: {min(losses, key=len, default='no such row')}"


def _losses(row: Row, record: Row, schema: Row) -> Iterator[tuple[str, object, object]]:
    """Yield the fields of a row whose value is not in its record, although the stream takes it."""
    takes_all = "extra_fields" in schema["properties"]
    left_out = schema.get("x-left-out", ())
    extra = {clean(name) for name in record.get("extra_fields") or {}}
    for name, value in row.items():
        written = record.get(name) if name != "extra_fields" else None
        is_kept = _is_same(value, written) if written is not None else value in (None, "")
        is_taken = takes_all or _fits(value, schema["properties"].get(name))
        if not is_kept and is_taken and clean(name) not in extra and name not in left_out:
            yield name, value, written


def _fits(value: object, column: Row | None) -> bool:
    """Whether a value plainly has the type of a column."""
    if column is None or column.get("format") == "date-time":
        return False
    kinds = {"string": str, "integer": int, "boolean": bool}
    return type(value) is kinds[column["type"][0]] and (
        not isinstance(value, int) or abs(value) < 2**63
    )


def _is_same(sent: object, written: object) -> bool:
    """Whether a value was written as it was sent, or converted without a loss."""
    match sent, written:
        case list(), list():
            return len(sent) == len(written) and all(map(_is_same, sent, written))
        case str(), str():
            is_equal = sent == written or clean(sent) == clean(written)
            return is_equal or _moment(sent) == _moment(written) is not None
        case _, str():
            return _is_json_of(sent, written)
        case (bool(), _) | (_, bool()):
            return str(sent).strip().lower() == str(written).lower()
    try:
        return Decimal(str(sent).strip()) == Decimal(str(written))
    except ArithmeticError:
        return sent == written


def _is_json_of(value: object, text: str) -> bool:
    try:
        return bool(_loads(text.encode("utf-8", "replace")) == value)
    except (ValueError, RecursionError):
        return str(value) == text


def _moment(text: str) -> object:
    try:
        return pendulum.parse(text.strip().upper(), tz="UTC")
    except (ValueError, OverflowError):
        return None


def clean(text: str) -> str:
    """Return a string with what targets can't store replaced, and runs of replacements as one."""
    replaced = re.sub("[\0\ud800-\udfff]", _REPLACEMENT, text)
    return re.sub(f"{_REPLACEMENT}+", _REPLACEMENT, replaced)


# What targets take


def check_schemas(output: Output) -> None:
    """Assert that every record fits its SCHEMA message and can be stored anywhere."""
    schemas: dict[str, str] = {}
    for message in output.messages:
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = json.dumps(message["schema"])
        if message["type"] == "RECORD":
            _check_record(schemas[message["stream"]], json.dumps(message["record"]))


@lru_cache(10_000)  # most records are the same in all examples
def _check_record(schema: str, text: str) -> None:
    record = json.loads(text)
    assert [error.message for error in _validator(schema).iter_errors(record)] == []
    check_storable(record)


@lru_cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator(json.loads(schema), format_checker=FormatChecker())


def check_storable(value: object) -> None:
    """Assert that a value is one that every target can store."""
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()  # no lone surrogates
    elif isinstance(value, float):
        assert value - value == 0  # finite
    elif isinstance(value, int):
        assert abs(value) < 10**300
    elif isinstance(value, dict):
        for name, item in value.items():
            check_storable(name)
            check_storable(item)
    elif isinstance(value, list):
        for item in value:
            check_storable(item)


# What people see


def check_text(text: str, secrets: Iterable[str]) -> None:
    """Assert that a message is one printable line without secrets."""
    odd = {char for char in text if unicodedata.category(char) in _CONTROL}
    assert not odd, f"control characters in {text[:500]!r}"
    check_secrets(text, secrets)


def check_secrets(text: str, secrets: Iterable[str]) -> None:
    """Assert that a string holds no secret."""
    for secret in (*secrets, "X-Amz-Signature"):
        assert secret not in text, f"{secret} in {text[:500]!r}"

"""Names in `stream_maps` that do not exist.

The SDK ignores a stream or column that it doesn't find, and what was to be hashed or removed is
written in clear.
"""

from __future__ import annotations

import ast
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import CustomStreamMap

from tap_voicecalls.registry import STREAMS
from tap_voicecalls.schemas import read_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_ELSE = "__else__"
_FILTER = "__filter__"
_SOURCE = "__source__"
_OPTIONS = (_ELSE, _FILTER, _SOURCE, "__alias__", "__key_properties__")
#: Names of the whole record in an expression.
_RECORD = {"_", "record"}
#: What an expression can refer to in addition to columns and functions.
_NAMES = {*_RECORD, "config", "fake", "__stream_name__", "__original_stream_name__"}
#: How similar two names are of which one is a typo.
_TYPO = 0.9


def stream_map_errors(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error for each name in `stream_maps` that does not exist."""
    maps = settings.get("stream_maps")
    if not isinstance(maps, dict):
        return
    for name, stream_map in maps.items():
        if name.startswith("__"):
            if name != _ELSE:
                yield f"stream_maps: there is no option {name[:60]!r}.{suggestion(name, [_ELSE])}"
            continue
        is_copy = isinstance(stream_map, dict) and _SOURCE in stream_map
        source = str(stream_map[_SOURCE]) if is_copy else name
        streams = [stream for stream in STREAMS if fnmatch(stream, source)]
        if not streams:
            yield f"stream_maps: there is no stream {source[:60]!r}.{suggestion(source, STREAMS)}"
        elif isinstance(stream_map, dict):
            columns = {column for stream in streams for column in read_schema(stream)["properties"]}
            for column, value in stream_map.items():
                yield from _entry_errors(name, column, value, columns, columns - stream_map.keys())
        if is_copy and settings.get("batch_config"):
            yield f"stream_maps: {name} is a copy of {source}, which batch_config does not allow."


def _entry_errors(
    name: str, column: str, value: str | None, columns: set[str], unmapped: set[str]
) -> Iterator[str]:
    if column.startswith("__") and column != _FILTER:
        if column not in _OPTIONS:
            hint = suggestion(column, _OPTIONS)
            yield f"stream_maps: {name} has no option {column[:60]!r}.{hint}"
        return
    if value is None or value == "__NULL__":
        if column not in columns and column != _FILTER:
            yield _no_column(name, column, columns)
        return
    if get_close_matches(column, unmapped, cutoff=_TYPO) and column not in columns:
        # An expression may add a column, but not one that is an existing column with a typo.
        yield _no_column(name, column, unmapped)
    try:
        (expression,) = ast.parse(value).body
    except (SyntaxError, ValueError, RecursionError):
        yield f"stream_maps: {name}: {value[:60]!r} is not a valid expression."
        return
    known = columns | {"self"} if column in columns else columns
    for unknown in sorted(_columns_in(expression) - known):
        yield _no_column(name, unknown, columns)


def _no_column(name: str, column: str, columns: Collection[str]) -> str:
    return f"stream_maps: {name} has no column {column[:60]!r}.{suggestion(column, columns)}"


def _columns_in(expression: ast.AST) -> set[str]:
    """Return the columns that an expression refers to."""
    names: set[str] = set()
    assigned: set[str] = set()
    for node in ast.walk(expression):
        match node:
            case ast.Name(id=name, ctx=context):
                (names if isinstance(context, ast.Load) else assigned).add(name)
            case (
                ast.Subscript(value=ast.Name(id=record), slice=ast.Constant(value=str(key)))
                | ast.Call(
                    func=ast.Attribute(value=ast.Name(id=record), attr="get"),
                    args=[ast.Constant(value=str(key)), *_],
                )
            ) if record in _RECORD:
                names.add(key)
    return names - assigned - _NAMES - _functions()


@cache
def _functions() -> frozenset[str]:
    """Return the names of the functions that the SDK offers to expressions."""
    schema: dict[str, Any] = {"properties": {}}
    return frozenset(CustomStreamMap("", {}, {}, schema, (), {}, None).expr_evaluator.functions)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question that names the known name which is most similar, if there is one."""
    matches = get_close_matches(name, list(known), n=1)
    return f" Did you mean {matches[0]}?" if matches else ""

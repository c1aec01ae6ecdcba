"""Hypothesis strategies for the attacks of a hostile vendor."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from sandbox.hostile import (
    AddToField,
    ArrangeRows,
    Attack,
    Deliver,
    Distortion,
    DropField,
    DropHeader,
    Inflate,
    Path,
    RenameField,
    Replay,
    SendBytes,
    SetBody,
    SetField,
    SetHeader,
    SetStatus,
)
from sandbox.talkdesk import files_path, jobs_path
from sandbox.zendesk_lists import LISTS
from tap_voicecalls.schemas import read_schema
from tests.harness import PRIMARY_KEYS, REPLICATION_KEYS
from tests.hostile_values import BODIES, HEADERS, JOB_STATUSES, RAW, STATUSES, URLS, VALUES
from tests.vendors import CALLS, LEGS

# The paths of Talkdesk's reports.
JOBS = jobs_path("*")
_JOB_STATUS = f"{JOBS}/*"
_FILE = f"{files_path('*')}/*"
_PRESIGNED = "/*_0.json"
#: Names for a renamed field: new ones, and those of other fields.
_NAMES = ("other", "", "a\x00b", "extra_fields", "_sdc_batched_at", "id", "updated_at", "call_id")
_ODD_URLS = tuple(URLS.values())


_LONG = {
    repr(text): name
    for pool in (VALUES, BODIES, RAW, URLS)
    for name, text in pool.items()
    if len(text) > 60
}


def describe(attack: Attack) -> str:
    """Return an attack as code, with long texts by their names."""
    text = repr(attack)
    for long, name in _LONG.items():
        text = text.replace(long, f"<{name}>")
    return text


def _set_to(path: Path, values: st.SearchStrategy[bytes]) -> st.SearchStrategy[Distortion]:
    return values.map(lambda value: SetField(path, value))


_values = st.sampled_from(tuple(VALUES.values()))


def _change_field(path: Path) -> st.SearchStrategy[Distortion]:
    return st.one_of(
        _set_to(path, _values),
        st.just(DropField(path)),
        st.sampled_from(_NAMES).map(lambda name: RenameField(path, name)),
    )


def _change_row(rows: str, stream: str) -> st.SearchStrategy[Distortion]:
    """Change a field of a row, more often one that the tap needs."""
    important = st.sampled_from(
        (*PRIMARY_KEYS[stream], REPLICATION_KEYS.get(stream, "role"), "extra_fields")
    )
    names = st.one_of(st.sampled_from(tuple(read_schema(stream)["properties"])), important)
    field = st.tuples(st.just(rows), st.integers(0, 9), names).flatmap(_change_field)
    whole = st.tuples(st.just(rows), st.integers(0, 9)).flatmap(lambda path: _set_to(path, _values))
    return st.one_of(field, field, field, whole)


def _arrange(rows: str) -> st.SearchStrategy[Distortion]:
    return st.sampled_from(("first", "last", "twice", "reversed")).map(
        lambda arrangement: ArrangeRows((rows,), arrangement)  # type: ignore[arg-type]
    )


_json_urls = st.sampled_from(tuple(json.dumps(url).encode() for url in _ODD_URLS))
_transport: st.SearchStrategy[Distortion] = st.one_of(
    st.sampled_from(STATUSES).map(SetStatus),
    st.sampled_from(HEADERS).map(lambda header: SetHeader(*header)),
    st.sampled_from(_ODD_URLS).map(lambda url: SetHeader("Location", url)),
    st.just(DropHeader("Location")),
    st.just(DropHeader("Content-Type")),
    st.sampled_from(tuple(BODIES.values())).map(SetBody),
    st.sampled_from(tuple(RAW.values())).map(SendBytes),
    st.sampled_from(("break", "stall", "trickle")).map(Deliver),  # type: ignore[arg-type]
    st.sampled_from((1, 500)).map(Inflate),
    st.just(Replay()),
)


def _attacks(
    path: str, method: str | None, *changes: st.SearchStrategy[Distortion]
) -> st.SearchStrategy[Attack]:
    distortion = st.one_of(*changes, _transport)
    return st.builds(
        Attack,
        st.just(path),
        st.lists(distortion, min_size=1, max_size=3).map(tuple),
        method=st.just(method),
        times=st.sampled_from((1, 2, None)),
        after=st.sampled_from((0, 0, 0, 1, 1, 2, 3, 4)),
    )


def _token_attacks(path: str) -> st.SearchStrategy[Attack]:
    names = st.sampled_from(("access_token", "expires_in", "scope", "token_type"))
    return _attacks(path, "POST", names.flatmap(lambda name: _change_field((name,))))


def _page_attacks(path: str, rows: str, stream: str) -> st.SearchStrategy[Attack]:
    export = "http://{own}" + path
    next_pages = [
        f"{export}?start_time={start}"
        for start in ("0", "-1", "1795176000", "99999999999", "9" * 400, "abc", "", "1e9", "²")
    ] + [export, f"{export}.json?start_time=0", "http://{own}/oauth/tokens", path]
    own_urls = st.sampled_from([json.dumps(url).encode() for url in next_pages])
    shift = st.sampled_from((-(10**6), -7200, -120, -1, 1, 120, 7200, 10**6, 10**12, 2**63))
    envelope = st.sampled_from(("count", "end_time", "next_page", rows))
    return _attacks(
        path,
        "GET",
        _change_row(rows, stream),
        _arrange(rows),
        envelope.flatmap(lambda name: _change_field((name,))),
        shift.map(lambda seconds: AddToField(("end_time",), seconds)),
        _set_to(("next_page",), _json_urls),
        _set_to(("next_page",), own_urls),
        _set_to((rows,), st.sampled_from((b"[]", b"[[]]", b"[null]", b"{}"))),
    )


def _list_attacks(name: str) -> st.SearchStrategy[Attack]:
    endpoint = LISTS[name]
    rows, stream = endpoint.name, f"zendesk_{name}"
    paging: list[Path] = [("count",), ("next_page",), (rows,)]
    if endpoint.has_cursor:
        paging = [("meta",), ("meta", "has_more"), ("meta", "after_cursor"), ("links",), (rows,)]
    change_paging = st.sampled_from(paging).flatmap(_change_field)
    links = st.sampled_from((("next_page",), ("links", "next")))
    pages = "page=0", "page=1", "page=2", "page=999", "page=x", "per_page=1", "page[after]=MQ=="
    own_urls = [json.dumps(f"http://{{own}}{endpoint.path}?{page}").encode() for page in pages]
    return _attacks(
        endpoint.path,
        "GET",
        _change_row(rows, stream),
        _arrange(rows),
        *(change_paging, change_paging, change_paging),
        links.flatmap(lambda path: _set_to(path, _json_urls)),
        links.flatmap(lambda path: _set_to(path, st.sampled_from(own_urls))),
        st.sampled_from((-1, 1, 10**6)).map(lambda number: AddToField(("count",), number)),
        _set_to((rows,), st.sampled_from((b"[]", b"[[]]", b"[null]", b"{}"))),
    )


def _job_attacks(path: str, method: str) -> st.SearchStrategy[Attack]:
    fields = st.sampled_from((("job",), ("job", "id"), ("job", "status"), ("job", "timespan")))
    ids = st.sampled_from((b'"../../x"', b'"a b?c#d"', b"[1]", b'"."', b"7"))
    return _attacks(
        path,
        method,
        fields.flatmap(_change_field),
        _set_to(("job", "status"), st.sampled_from(JOB_STATUSES)),
        _set_to(("job", "status"), st.sampled_from(JOB_STATUSES)),
        _set_to(("job", "id"), ids),
    )


def _report_attacks(path: str, stream: str) -> st.SearchStrategy[Attack]:
    envelope = st.sampled_from(("entries", "total", "type", "version"))
    return _attacks(
        path,
        "GET",
        _change_row("entries", stream),
        _arrange("entries"),
        envelope.flatmap(lambda name: _change_field((name,))),
        st.sampled_from((-1, 1, 10**6)).map(lambda number: AddToField(("total",), number)),
    )


def _lists(*attacks: st.SearchStrategy[Attack]) -> st.SearchStrategy[list[Attack]]:
    return st.lists(st.one_of(*attacks), min_size=1, max_size=3)


zendesk_attacks = _lists(
    _token_attacks("/oauth/tokens"),
    _page_attacks(CALLS, "calls", "zendesk_calls"),
    _page_attacks(CALLS, "calls", "zendesk_calls"),
    _page_attacks(LEGS, "legs", "zendesk_legs"),
    *map(_list_attacks, LISTS),
)


def talkdesk_attacks(stream: str) -> st.SearchStrategy[list[Attack]]:
    """Return attacks on the jobs of one stream."""
    return _lists(
        _token_attacks("/oauth/token"),
        _job_attacks(JOBS, "POST"),
        _job_attacks(_JOB_STATUS, "GET"),
        _attacks(_FILE, "GET"),
        _report_attacks(_PRESIGNED, stream),
        _report_attacks(_PRESIGNED, stream),
    )


job_ends: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(("failed", "canceled", "deleted", "stuck")),
            "after": st.integers(0, 5),
            "times": st.sampled_from((1, 2, None)),
        }
    ),
    max_size=1,
)

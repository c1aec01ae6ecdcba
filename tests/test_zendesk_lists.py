"""Zendesk's lists are read completely, or the stream fails; no more is taken of them than needed.

* Pages: with a cursor or by `next_page`, to the end that Zendesk marks, whatever links contain.
* Rate limit: that of the account, not that of the exports.
* Personal data: only the columns of the schema, and no customers.
* A list that may not be read fails its own stream alone.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from sandbox.zendesk_lists import LISTS
from tap_voicecalls.zendesk.list_reader import MAX_EMPTY_PAGES
from tests.harness import KEYS, make_tap, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from sandbox.web import Request
    from tests.harness import FakeClock
    from tests.vendors import ZendeskAccount

    Edit = Callable[[dict[str, Any]], dict[str, Any]]

AGENTS, GROUPS, NUMBERS = (LISTS[name].path for name in ("agents", "groups", "phone_numbers"))
PATHS = {f"zendesk_{name}": endpoint.path for name, endpoint in LISTS.items()}
WITH_CURSOR = {endpoint.path for endpoint in LISTS.values() if endpoint.has_cursor}
every_list = pytest.mark.parametrize("stream", PATHS)


def list_requests(zendesk: ZendeskAccount) -> list[Request]:
    return [request for request in zendesk.requests if request.path in PATHS.values()]


def with_meta(**meta: Any) -> Edit:
    """Change `meta`; None removes a field."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        changed = body["meta"] | meta
        body["meta"] = {name: value for name, value in changed.items() if value is not None}
        return body

    return edit


def without(*names: str) -> Edit:
    return lambda body: {name: value for name, value in body.items() if name not in names}


# Pages


@every_list
@pytest.mark.parametrize("rows", [1, 99, 100, 101, 250])
def test_every_row_of_a_list_is_written(
    start_zendesk: Callable[..., ZendeskAccount], stream: str, rows: int
) -> None:
    zendesk = start_zendesk(page_size=1000)
    zendesk.put_list_rows(stream, rows)
    output = zendesk.sync(stream)
    assert output.failures == {}
    assert output.ids == list(range(1, rows + 1))
    assert len(list_requests(zendesk)) == -(-rows // 100)


def test_lists_are_requested_as_documented(zendesk: ZendeskAccount) -> None:
    zendesk.sync(all_streams=True)
    first = {request.path: request for request in reversed(list_requests(zendesk))}
    assert {path: first[path].query for path in (AGENTS, GROUPS, NUMBERS)} == {
        AGENTS: {"role[]": "agent", "page[size]": "100"},  # and another `role[]`
        GROUPS: {"exclude_deleted": "false", "page[size]": "100"},
        NUMBERS: {},
    }
    for request in list_requests(zendesk):
        assert "per_page" not in request.query
        assert ("page[size]" in request.query) == (request.path in WITH_CURSOR)


def test_both_roles_are_requested_on_every_page(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_agents", 15)
    zendesk.server.lists["agents"][15]["role"] = "admin"
    assert zendesk.sync("zendesk_agents").ids == list(range(1, 16))
    assert len(list_requests(zendesk)) == 2


def test_deleted_groups_are_written(zendesk: ZendeskAccount) -> None:
    groups = zendesk.sync("zendesk_groups").latest
    assert {row["deleted"] for row in groups.values()} == {True, False}


def test_page_without_has_more_is_not_the_end(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    zendesk.add_faults(Fault.edit(GROUPS, with_meta(has_more=None), times=None))
    assert zendesk.sync("zendesk_groups").ids == list(range(1, 26))


def test_links_are_followed_without_a_cursor(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    zendesk.add_faults(Fault.edit(GROUPS, with_meta(after_cursor=None), times=None))
    assert zendesk.sync("zendesk_groups").ids == list(range(1, 26))


@pytest.mark.parametrize("stream", ["zendesk_agents", "zendesk_groups"])
def test_cursor_page_without_meta_is_an_error(zendesk: ZendeskAccount, stream: str) -> None:
    zendesk.put_list_rows(stream, 25)
    zendesk.add_faults(Fault.edit(PATHS[stream], without("meta"), after=1, times=None))
    assert "without `meta`" in zendesk.sync(stream).failure


def test_phone_numbers_with_a_cursor_are_read_by_it(zendesk: ZendeskAccount) -> None:
    pages = iter(
        [
            {"phone_numbers": [{"id": 1}], "meta": {"has_more": True, "after_cursor": "x"}},
            {"phone_numbers": [{"id": 2}], "meta": {"has_more": False}},
        ]
    )
    zendesk.add_faults(Fault.edit(NUMBERS, lambda _: next(pages), times=2))
    output = zendesk.sync("zendesk_phone_numbers")
    assert (output.failures, output.ids) == ({}, [1, 2])
    assert list_requests(zendesk)[1].query == {"page[after]": "x"}


def test_page_that_does_not_lead_on_is_an_error(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    edit = with_meta(after_cursor=None)
    zendesk.add_faults(Fault.edit(GROUPS, lambda body: edit(body) | {"links": {}}, times=None))
    assert "does not lead to it" in zendesk.sync("zendesk_groups").failure


@pytest.mark.parametrize("cursor", ["MQ==", "MTA="])
def test_cursor_that_leads_back_is_an_error(zendesk: ZendeskAccount, cursor: str) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    zendesk.add_faults(Fault.edit(GROUPS, with_meta(after_cursor=cursor), after=1, times=None))
    assert "pagination of groups loops" in zendesk.sync("zendesk_groups").failure


def test_page_that_is_repeated_is_an_error(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    first: dict[str, Any] = {}

    def remember(body: dict[str, Any]) -> dict[str, Any]:
        first.update(body)
        return body

    zendesk.add_faults(
        Fault.edit(GROUPS, remember),
        Fault.edit(GROUPS, lambda body: body | {"groups": first["groups"]}),
    )
    assert "pagination of groups loops" in zendesk.sync("zendesk_groups").failure


def test_next_page_that_leads_back_is_an_error(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_phone_numbers", 25)
    back = f"{zendesk.url}{NUMBERS}?page=2"
    zendesk.add_faults(Fault.edit(NUMBERS, lambda body: body | {"next_page": back}, after=1))
    assert "pagination of phone_numbers loops" in zendesk.sync("zendesk_phone_numbers").failure


def test_empty_page_that_leads_on_is_not_the_end(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    empty = {"groups": [], "meta": {"has_more": True, "after_cursor": "OQ=="}}  # after 9
    zendesk.add_faults(Fault.edit(GROUPS, lambda _: empty, after=1))
    output = zendesk.sync("zendesk_groups")
    assert output.failures == {}
    assert set(output.ids) == set(range(1, 26))


def test_endless_empty_pages_are_an_error(zendesk: ZendeskAccount) -> None:
    cursors = count(1)

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        cursor = b64encode(str(next(cursors)).encode()).decode()
        return body | {"groups": [], "meta": {"has_more": True, "after_cursor": cursor}}

    zendesk.add_faults(Fault.edit(GROUPS, edit, times=None))
    assert "pagination of groups loops" in zendesk.sync("zendesk_groups").failure
    assert len(list_requests(zendesk)) == MAX_EMPTY_PAGES + 1


def test_empty_page_that_leads_to_itself_is_an_error(zendesk: ZendeskAccount) -> None:
    page = {"groups": [], "meta": {"has_more": True, "after_cursor": "MQ=="}}
    zendesk.add_faults(Fault.edit(GROUPS, lambda _: page, times=None))
    assert "pagination of groups loops" in zendesk.sync("zendesk_groups").failure
    assert len(list_requests(zendesk)) == 2


@pytest.mark.parametrize("after", [0, 1])
def test_cut_off_phone_numbers_are_an_error(zendesk: ZendeskAccount, after: int) -> None:
    zendesk.put_list_rows("zendesk_phone_numbers", 15)
    zendesk.add_faults(
        Fault.edit(
            NUMBERS,
            lambda body: body | {"phone_numbers": body["phone_numbers"][1:], "next_page": None},
            after=after,
        )
    )
    failure = zendesk.sync("zendesk_phone_numbers").failure
    assert failure.startswith(f"Zendesk states 15 phone_numbers and returned {14 if after else 9}")


def test_phone_numbers_without_an_envelope_are_read(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_phone_numbers", 3)
    names = "count", "next_page", "previous_page"
    zendesk.add_faults(Fault.edit(NUMBERS, without(*names)))
    assert zendesk.sync("zendesk_phone_numbers").ids == [1, 2, 3]


@every_list
def test_list_without_its_array_is_an_error(zendesk: ZendeskAccount, stream: str) -> None:
    name = PATHS[stream].rpartition("/")[2]
    zendesk.add_faults(Fault.edit(PATHS[stream], without(name), times=None))
    assert f"JSON without the list `{name}`" in zendesk.sync(stream).failure


@every_list
def test_links_elsewhere_are_not_followed(
    zendesk: ZendeskAccount, start_sandbox: Callable[..., Sandbox], stream: str
) -> None:
    """Only the query of a link counts, so that no other host gets a request."""
    foreign = start_sandbox(calls=0)
    zendesk.put_list_rows(stream, 25)

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(without("meta")(body)).replace(zendesk.url, foreign.zendesk.url)
        meta = {name: value for name, value in body.get("meta", {}).items() if name == "has_more"}
        changed: dict[str, Any] = json.loads(text)
        return changed | ({"meta": meta} if meta else {})

    zendesk.add_faults(Fault.edit(PATHS[stream], edit, times=None))
    output = zendesk.sync(stream)
    assert (output.failures, output.ids) == ({}, list(range(1, 26)))
    assert foreign.requests == []


@pytest.mark.parametrize("link", ["http://[", "\\\\x", 7, ["x"], "http://a b/?page=2"])
def test_link_that_is_no_url_is_an_error(zendesk: ZendeskAccount, link: object) -> None:
    zendesk.add_faults(Fault.edit(NUMBERS, lambda body: body | {"next_page": link}, times=None))
    assert "a link that is not a valid URL" in zendesk.sync("zendesk_phone_numbers").failure


def test_row_on_two_pages_is_counted(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    zendesk.put_list_rows("zendesk_phone_numbers", 15)

    def add_row(body: dict[str, Any]) -> dict[str, Any]:
        rows = zendesk.server.lists["phone_numbers"]
        rows[0] = rows[1] | {"id": 0, "name": "new"}
        rows[10] |= {"name": "renamed"}
        return body

    zendesk.add_faults(Fault.edit(NUMBERS, add_row))
    with caplog.at_level(logging.INFO):
        output = zendesk.sync("zendesk_phone_numbers")
    # The new one was on a page that had been read: the list is not complete.
    assert "states 16 phone_numbers and returned 15" in output.failure
    assert output.latest[10]["name"] == "renamed"
    assert "zendesk_phone_numbers: 1 row returned twice" in caplog.text


def test_list_without_rows_is_a_warning(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    zendesk.put_list_rows("zendesk_groups", 0)
    output = zendesk.sync("zendesk_groups")
    assert (output.failures, output.records) == ({}, [])
    assert "zendesk_groups: there are no rows, which is unusual" in caplog.text


def test_progress_of_a_slow_list_is_logged(
    zendesk: ZendeskAccount, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    zendesk.put_list_rows("zendesk_groups", 45)
    slow = Fault.late(GROUPS, lambda: clock.advance(seconds=3), times=None)
    zendesk.add_faults(slow)
    with caplog.at_level(logging.INFO):
        zendesk.sync("zendesk_groups")
    lines = [it.getMessage() for it in caplog.records if "so far" in it.getMessage()]
    assert lines == [
        "zendesk_groups: 20 rows so far, 2 requests.",
        "zendesk_groups: 40 rows so far, 4 requests.",
    ]


# Rate limit


def test_lists_do_not_use_the_budget_of_the_exports(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    for stream in PATHS:
        zendesk.put_list_rows(stream, 150)
    assert zendesk.sync(all_streams=True).failures == {}
    assert len(list_requests(zendesk)) == 15 * len(PATHS)
    assert clock.sleeps == []


def test_rate_limit_of_the_account_is_not_exceeded(
    zendesk: ZendeskAccount, clock: FakeClock
) -> None:
    zendesk.server.list_requests_per_minute = 2
    zendesk.put_list_rows("zendesk_groups", 45)
    assert zendesk.sync("zendesk_groups").ids == list(range(1, 46))
    assert {request.status for request in zendesk.requests} == {200}
    assert clock.sleeps == [60, 60]


def test_retry_after_of_a_list_is_honored(zendesk: ZendeskAccount, clock: FakeClock) -> None:
    zendesk.add_faults(Fault.status(GROUPS, 429, headers={"Retry-After": "17"}))
    assert zendesk.sync("zendesk_groups").failures == {}
    assert clock.sleeps == [17]


@pytest.mark.parametrize("reset", ["", "soon", "-5", "1e9", "nan", "٣", "9" * 400])
def test_odd_rate_limit_headers_are_bounded(
    zendesk: ZendeskAccount, clock: FakeClock, reset: str
) -> None:
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": reset}
    zendesk.add_faults(Fault.edit(GROUPS, lambda body: body, headers=headers))
    assert zendesk.sync("zendesk_groups").failures == {}
    assert sum(clock.sleeps) <= 600


# Personal data


def test_customers_are_left_out_if_the_filter_is_ignored(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    agents = zendesk.server.rows["agents"]
    customers = zendesk.server.lists["agents"].keys() - agents.keys()
    everyone = list(zendesk.server.lists["agents"].values())
    page = {"users": everyone, "meta": {"has_more": False}}
    zendesk.add_faults(Fault.edit(AGENTS, lambda _: page))
    with caplog.at_level(logging.DEBUG):
        output = zendesk.sync("zendesk_agents")
    assert set(output.ids) == agents.keys()
    assert f"left out {len(customers)} rows that Zendesk returned unrequested" in caplog.text
    written = f"{output.run.messages} {caplog.text}"
    for customer in customers:
        assert zendesk.server.lists["agents"][customer]["name"] not in written


def test_only_declared_fields_of_agents_are_written(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture
) -> None:
    columns = zendesk.sync("zendesk_agents").records[0].keys()
    for row in zendesk.server.lists["agents"].values():
        row |= {name: f"S3CR3T {name}" for name in row if name not in {*columns, "id", "role"}}
        row |= {"new_field": "S3CR3T new", "passport\n\x1b[31m": "S3CR3T"}
    with caplog.at_level(logging.DEBUG):
        output = zendesk.sync("zendesk_agents")
    assert "S3CR3T" not in f"{output.run.messages} {caplog.text}"
    assert "left out 2 fields that the schema does not define: new_field, pass" in caplog.text
    assert "\x1b" not in caplog.text


def test_deselected_email_is_not_written(zendesk: ZendeskAccount, clock: FakeClock) -> None:
    catalog = make_tap(clock, zendesk.config()).catalog_dict
    for entry in catalog["streams"]:
        for it in entry["metadata"]:
            if it["breadcrumb"] == ["properties", "email"]:
                it["metadata"]["selected"] = False
    output = sync(zendesk.config(), clock=clock, catalog=catalog, only="zendesk_agents")
    assert output.records("zendesk_agents")
    assert "@example.com" not in json.dumps(output.messages)


def test_targets_see_no_private_keyword(zendesk: ZendeskAccount) -> None:
    messages = zendesk.sync(all_streams=True).run.messages
    assert '"x-' not in json.dumps([it for it in messages if it["type"] == "SCHEMA"])


@pytest.mark.parametrize("stream", ["zendesk_agents", "zendesk_groups"])
def test_odd_value_costs_only_itself(
    zendesk: ZendeskAccount, caplog: pytest.LogCaptureFixture, stream: str
) -> None:
    zendesk.put_list_rows(stream, 3)
    zendesk.server.lists[stream.removeprefix("zendesk_")][2]["name"] = {"odd": "secret"}
    output = zendesk.sync(stream)
    assert output.failures == {}
    assert [row["name"] is None for row in output.records] == [False, True, False]
    assert "name has values that don't fit its type; they are left out" in caplog.text
    assert "secret" not in f"{output.run.messages} {caplog.text}"


def test_token_of_a_phone_number_is_never_written(zendesk: ZendeskAccount) -> None:
    numbers = zendesk.server.lists["phone_numbers"]
    next(iter(numbers.values()))["new_field"] = {"a": [1.50]}
    output = zendesk.sync("zendesk_phone_numbers")
    written = json.dumps(output.run.messages)
    assert all(row["token"] not in written for row in numbers.values())
    assert [row["extra_fields"] for row in output.records if row["extra_fields"]] == [
        {"new_field": {"a": [1.5]}}
    ]


def test_nested_values_of_phone_numbers_keep_their_types(zendesk: ZendeskAccount) -> None:
    row = zendesk.server.lists["phone_numbers"][360000065432]
    row["group_ids"] = [2**62, "17", None]
    output = zendesk.sync("zendesk_phone_numbers")
    record = output.latest[360000065432]
    assert record["group_ids"] == [2**62, 17, None]
    for name in ("capabilities", "default_greeting_ids", "nickname", "greeting_ids"):
        assert record[name] == row[name]


# Errors


@pytest.mark.parametrize("status", [403, 404])
def test_phone_numbers_without_talk_fail_only_their_own_stream(
    zendesk: ZendeskAccount, status: int
) -> None:
    zendesk.add_faults(Fault.status(NUMBERS, status, times=None))
    output = zendesk.sync(all_streams=True)
    assert list(output.failures) == ["zendesk_phone_numbers"]
    failure = output.failures["zendesk_phone_numbers"]
    assert failure.startswith(f"Zendesk returned {status} ")
    assert "Talk is not part of the account's plan; the role of the user" in failure
    assert "the scope `read`" in failure
    for stream in PATHS.keys() - output.failures:
        assert output.run.records(stream)


def test_agents_that_may_not_be_read_fail_with_a_hint(zendesk: ZendeskAccount) -> None:
    zendesk.add_faults(Fault.status(AGENTS, 403, times=None))
    failure = zendesk.sync("zendesk_agents").failure
    assert "neither an agent nor an admin" in failure
    assert "Talk" not in failure


def test_error_on_the_second_page_fails_the_stream(zendesk: ZendeskAccount) -> None:
    zendesk.put_list_rows("zendesk_groups", 25)
    zendesk.add_faults(Fault.status(GROUPS, 500, after=1, times=None))
    output = zendesk.sync("zendesk_groups")
    assert output.ids == list(range(1, 11))
    assert "Zendesk returned 500" in output.failure


def test_exports_are_read_if_every_list_fails(zendesk: ZendeskAccount) -> None:
    zendesk.add_faults(*(Fault.status(path, 403, times=None) for path in PATHS.values()))
    calls, legs = zendesk.add_calls(days_ago=[1, 2]), zendesk.add_legs(hours_ago=[1, 2])
    output = zendesk.sync(all_streams=True)
    assert output.failures.keys() == PATHS.keys()
    assert output.run.latest("zendesk_calls").keys() == set(calls)
    assert output.run.latest("zendesk_legs").keys() == set(legs)


def test_lists_are_in_the_registry() -> None:
    assert PATHS.keys() <= KEYS.keys()

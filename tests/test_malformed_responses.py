"""Malformed responses: no response of a vendor causes an internal error.

Hypothesis generates responses with any status, body and `Location` header, for every endpoint.
None of them is reported as an internal error of the tap.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from sandbox.talkdesk import FILES, JOBS
from sandbox.zendesk import PATH
from tests.harness import NOW, FakeClock, sync, timestamp

PATHS = ("/oauth/token", "/oauth/tokens", f"{PATH}/calls", JOBS, f"{JOBS}/*", f"{FILES}/*")
FIELDS = (
    *("calls", "count", "end_time", "next_page", "job", "id", "status", "entries", "total"),
    *("access_token", "expires_in", "scope", "error", "updated_at", "call_id", "end_at"),
)
URLS = ("http://[::1", "http://127.0.0.1:port/", "//", "?", f"{JOBS}/1")

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("", "text", "done", "2026-99-99T10:00:00Z", timestamp(NOW), *URLS)),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
    ),
    max_leaves=12,
)
malformed_responses = st.builds(
    Fault.status,
    st.sampled_from(PATHS),
    st.sampled_from((200, 200, 200, 201, 202, 204, 302, 303, 304)),
    body=st.dictionaries(st.sampled_from(FIELDS), values, max_size=8) | st.text(max_size=3),
    headers=st.just({}) | st.builds(lambda url: {"Location": url}, st.sampled_from(URLS)),
    times=st.sampled_from((1, None)),
)


@given(st.lists(malformed_responses, min_size=1, max_size=4))
@example([Fault.status("/oauth/tokens", 200, body={"access_token": "t", "expires_in": [1]})])
@example([Fault.status(f"{PATH}/calls", 200, body={"calls": [], "next_page": URLS[1]})])
@example([Fault.status(f"{PATH}/calls", 302, headers={"Location": URLS[0]}, times=None)])
@example([Fault.status(f"{JOBS}/*", 303, headers={"Location": URLS[0]}, times=None)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_malformed_response_is_never_an_internal_error(faults: list[Fault]) -> None:
    clock = FakeClock()
    with Sandbox(clock=clock.time, calls=5, days=3, page_size=3) as sandbox:
        sandbox.faults.add(*faults)
        overrides = {
            "start_date": timestamp(NOW - timedelta(days=5)),
            "talkdesk_job_timeout_seconds": 100,
        }
        output = sync(sandbox.config | overrides, clock=clock)
    assert [error for error in output.failures.values() if "internal error" in error] == []

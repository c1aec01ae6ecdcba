"""Request slots in PostgreSQL.

All times are those of the server: the clocks of the machines that run the tap differ.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tap_voicecalls.zendesk.shared_slots import TIMEOUT

if TYPE_CHECKING:
    from tap_voicecalls.zendesk.request_slots import Quota

# Each of these is sent as one message, which is one transaction: a run that hangs in the middle
# can't keep the lock. The settings are not connection parameters, which PgBouncer refuses.
_LOCK = """
    -- The default of a database may be stricter: then the statements below would not see what
    -- others have done while this one waited.
    set transaction isolation level read committed;
    set local statement_timeout = %(timeout)s;
    select pg_advisory_xact_lock(hashtext('tap_voicecalls_request_slots'));
"""
_CREATE = f"""{_LOCK}
    create unlogged table if not exists tap_voicecalls_request_slots (
        account text,
        slot text,
        expires_at timestamptz not null,
        primary key (account, slot)
    )
"""
# What expires later than any lease was written before the server's clock was set back.
_ACQUIRE = f"""{_LOCK}
    delete from tap_voicecalls_request_slots
    where expires_at <= clock_timestamp() or expires_at > clock_timestamp() + %(lease)s;

    with blocking as (
        select expires_at
        from tap_voicecalls_request_slots
        where account = %(account)s
        order by expires_at desc
        limit 1 offset %(requests)s - 1
    ), acquired as (
        insert into tap_voicecalls_request_slots
        select %(account)s, %(slot)s, clock_timestamp() + %(lease)s
        where not exists (select from blocking)
    )
    select coalesce(
        (select greatest(extract(epoch from expires_at - clock_timestamp()), 0.001) from blocking),
        0
    )::float8
"""  # noqa: S608 - it holds no input
_RELEASE = """
    insert into tap_voicecalls_request_slots
    values (%(account)s, %(slot)s, clock_timestamp() + %(period)s)
    on conflict (account, slot) do update set expires_at = excluded.expires_at
"""


class PostgresSlots:
    """The slots of an account in a table, with a connection for each statement.

    Requests are seconds apart, so a connection that stays open would be found closed too often.
    """

    def __init__(self, url: str, quota: Quota) -> None:
        """Prepare the slots; nothing is sent yet."""
        self._url = url
        self._parameters = {
            "account": quota.account,
            "requests": quota.requests,
            "period": timedelta(seconds=quota.period),
            "lease": timedelta(seconds=quota.lease),
            "timeout": f"{TIMEOUT:g}s",
        }

    def acquire(self, slot: str) -> float:
        """Take a slot; see `RequestSlots`."""
        (wait,) = self._execute(_ACQUIRE, slot)
        return float(wait)

    def release(self, slot: str) -> None:
        """Let a slot's last period begin."""
        self._execute(_RELEASE, slot)

    def _execute(self, statements: str, slot: str) -> tuple[Any, ...]:
        """Return the row of the last statement, if it has one."""
        with psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=int(TIMEOUT),
            application_name="tap-voicecalls",
            cursor_factory=psycopg.ClientCursor,  # the others send one statement at a time
        ) as connection:
            parameters = self._parameters | {"slot": slot}
            try:
                cursor = connection.execute(statements, parameters)
            except psycopg.errors.UndefinedTable:
                connection.execute(_CREATE, parameters)
                cursor = connection.execute(statements, parameters)
            while cursor.nextset():
                pass
            return (cursor.fetchone() or ()) if cursor.description else ()


def check_url(url: str) -> None:
    """Check the form of a URL.

    Raises:
        ValueError: It is malformed.
    """
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ValueError from None


make_slots = PostgresSlots

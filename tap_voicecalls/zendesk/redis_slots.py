"""Request slots in Redis, version 5 or later, or Valkey.

All times are those of the server: the clocks of the machines that run the tap differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from tap_voicecalls.zendesk.shared_slots import TIMEOUT

if TYPE_CHECKING:
    from tap_voicecalls.zendesk.request_slots import Quota

_NOW = """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
# What expires later than any lease was written before the server's clock was set back.
_ACQUIRE = f"""{_NOW}
    local slots, slot, requests, lease = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
    redis.call('ZREMRANGEBYSCORE', slots, now + lease + 1, '+inf')
    local blocking = redis.call('ZREVRANGE', slots, requests - 1, requests - 1, 'WITHSCORES')
    if blocking[2] then
        return blocking[2] - now
    end
    redis.call('ZADD', slots, now + lease, slot)
    redis.call('PEXPIRE', slots, lease)
    return 0
"""
_RELEASE = f"""{_NOW}
    local slots, slot, period, lease = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
    redis.call('ZADD', slots, now + period, slot)
    redis.call('PEXPIRE', slots, lease)
"""


class RedisSlots:
    """The slots of an account in a sorted set, with a connection for each script.

    Requests are seconds apart, so a connection that stays open would be found closed too often.
    """

    def __init__(self, url: str, quota: Quota) -> None:
        """Prepare the slots; nothing is sent yet."""
        self._url = url
        self._quota = quota
        self._key = f"tap_voicecalls_request_slots:{quota.account}"

    def acquire(self, slot: str) -> float:
        """Take a slot; see `RequestSlots`."""
        return self._run(_ACQUIRE, slot, self._quota.requests) / 1000

    def release(self, slot: str) -> None:
        """Let a slot's last period begin."""
        self._run(_RELEASE, slot, _milliseconds(self._quota.period))

    def _run(self, script: str, slot: str, argument: int) -> int:
        """Return the result of a script, or 0 if it has none."""
        with Redis.from_url(
            self._url,
            socket_connect_timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        ) as server:
            lease = _milliseconds(self._quota.lease)
            return int(server.eval(script, 1, self._key, slot, argument, lease) or 0)


def check_url(url: str) -> None:
    """Check the form of a URL.

    Raises:
        ValueError: It is malformed.
    """
    parse_url(url)  # type: ignore[no-untyped-call]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


make_slots = RedisSlots

"""Request slots that runs on any machines share, in a store that may fail."""

from __future__ import annotations

import importlib
import random
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from tap_voicecalls.errors import ConfigError
from tap_voicecalls.http.error_messages import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    from tap_voicecalls.clock import Clock
    from tap_voicecalls.zendesk.request_slots import Quota, RequestSlots

T = TypeVar("T")

#: The store has to respond within so many (real) seconds. A request needs it twice: at ten requests
#: per minute, a slow store takes no longer than the quota.
TIMEOUT = 3.0
#: After a failure the store is left alone for so many seconds: not every request may wait for it.
RETRY_AFTER = 300.0
#: Up to so many seconds are added to a wait, at random. Runs wait for the same slot; without, the
#: one that is closest to the store would always take it.
SPREAD = 0.2
_NAME = "zendesk_quota_url"
#: Each kind of store by the scheme of its URL; an extra and a module have the name.
_KINDS = {
    **dict.fromkeys(("postgresql", "postgres"), "postgres"),
    **dict.fromkeys(("redis", "rediss"), "redis"),
}


@dataclass(frozen=True)
class QuotaStore:
    """Where the slots are.

    Attributes:
        url: The URL, with the password.
        slots: Makes the slots of a quota at a URL; nothing is sent yet.
    """

    url: str
    slots: Callable[[str, Quota], RequestSlots]

    def redact(self, error: Exception) -> str:
        """Return the first line of an error, without the URL and its password."""
        password = self.url.partition("://")[2].rpartition("@")[0].partition(":")[2]
        secrets = [text for text in (self.url, password, unquote(password)) if text]
        return redact(str(error).strip().partition("\n")[0].rstrip("."), secrets)


def read_quota_store(config: Mapping[str, Any]) -> QuotaStore | None:
    """Return the store from the settings, or None if it is not set.

    Raises:
        ConfigError: The URL is malformed, or the driver is not installed.
    """
    if _NAME not in config:
        return None
    url = str(config[_NAME])
    kind = _KINDS.get(url.partition("://")[0])
    if kind is None:
        raise ConfigError(f"{_NAME} must be a URL that begins with postgresql:// or redis://.")
    try:
        module = importlib.import_module(f"tap_voicecalls.zendesk.{kind}_slots")
    except ImportError:
        raise ConfigError(
            f"{_NAME} needs a driver that is not installed: "
            f"install the extra with pip install 'tap-voicecalls[{kind}]'."
        ) from None
    try:
        urlsplit(url)
        module.check_url(url)
    except ValueError:
        raise ConfigError(
            f"{_NAME} is malformed: write it as {kind}://user:password@host:port/database, "
            f"with special characters in the password percent-encoded."
        ) from None
    return QuotaStore(url, module.make_slots)


class SharedSlots:
    """The slots in a store, as long as it works. Without it, every request has its slot."""

    def __init__(self, store: QuotaStore, quota: Quota, clock: Clock, logger: Logger) -> None:
        """Make the slots; nothing is sent to the store yet."""
        self._store = store
        self._slots = store.slots(store.url, quota)
        self._quota = quota
        self._clock = clock
        self._logger = logger
        self._retry_at: float | None = None
        self._has_warned = False

    def acquire(self, slot: str) -> float:
        """Take a slot; see `RequestSlots`."""
        wait = self._call(lambda: self._slots.acquire(slot)) or 0.0
        # The wait is longer than a period only if the slot's request has not ended yet.
        return wait and min(wait, self._quota.period) + random.uniform(0, SPREAD)  # noqa: S311

    def release(self, slot: str) -> None:
        """Let a slot's last period begin."""
        self._call(lambda: self._slots.release(slot))

    def _call(self, function: Callable[[], T]) -> T | None:
        """Return what a function of the store returns, or None if the store does not work."""
        if self._retry_at is not None and self._clock.monotonic() < self._retry_at:
            return None
        self._retry_at = None
        try:
            return _with_timeout(function)
        except Exception as error:  # noqa: BLE001 - no failure of the store may end the run
            self._retry_at = self._clock.monotonic() + RETRY_AFTER
            if not self._has_warned:
                self._has_warned = True
                self._logger.warning(
                    "Zendesk: the request budget can't be shared through %s (%s). Until it can, "
                    "this run counts only its own requests: where other runs use up the quota, it "
                    "waits after a 429. Check %s and its server.",
                    *(_NAME, self._store.redact(error), _NAME),
                )
            return None


def _with_timeout(function: Callable[[], T]) -> T:
    """Return what a function returns, within `TIMEOUT` seconds.

    The drivers' own timeouts apply to single steps. They don't cover the lookup of the host, and a
    PostgreSQL server that accepts a query and then hangs.

    Raises:
        TimeoutError: It did not return. Its thread continues, at most until the process ends.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    thread = threading.Thread(target=run, name=_NAME, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    if thread.is_alive():
        raise TimeoutError(f"no response within {TIMEOUT:g} seconds")
    return future.result()

"""What the streams of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_voicecalls.config import read_date_range
from tap_voicecalls.http.reachability import Reachability

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

    from tap_voicecalls.clock import Clock
    from tap_voicecalls.timestamps import DateRange


@dataclass
class RunContext:
    """One run of the tap, as streams and accounts see it.

    Attributes:
        config: The settings.
        clock: The clock for waits and deadlines.
        user_agent: The `User-Agent` header of every request.
        logger: The tap's logger.
        hosts: Which hosts could be reached.
        failures: The message of each stream that has failed, by the stream's name.
    """

    config: Mapping[str, Any]
    clock: Clock
    user_agent: str
    logger: Logger
    hosts: Reachability = field(default_factory=Reachability)
    failures: dict[str, str] = field(default_factory=dict)

    @cached_property
    def date_range(self) -> DateRange:
        """The range of time to read."""
        return read_date_range(self.config)

    def report_failure(self, stream: str, message: str) -> None:
        """Record a stream's failure, which fails the run once the other streams are synced."""
        self.failures[stream] = message
        self.logger.warning("%s failed: %s", stream, message)

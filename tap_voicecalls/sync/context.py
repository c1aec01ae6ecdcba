"""What the streams of one run share."""

from __future__ import annotations

import logging
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

    def log(
        self, stream: str, message: str, *args: object, level: int = logging.INFO, **fields: object
    ) -> None:
        """Log a message about a stream, which begins with the stream's name.

        Not with the stream's own logger: that has the name too, but only some formats show it.

        Args:
            stream: The stream's name.
            message: The message, with placeholders.
            args: What fills in the placeholders.
            level: The log level.
            fields: More fields of the structured log.
        """
        named = f"{stream}: {message}"
        self.logger.log(level, named, *args, extra={"stream_name": stream, **fields})

    def report_failure(self, stream: str, message: str) -> None:
        """Record a stream's failure, which fails the run once the other streams are synced."""
        self.failures[stream] = message
        fields = {"stream_name": stream}
        self.logger.warning("%s failed: %s", stream, message, extra=fields)

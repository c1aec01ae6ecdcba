"""A log handler for the tap as a program: it makes a race in the log happen each time."""

from __future__ import annotations

import logging
import threading


class WaitingHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic only for mypy
    """After an error, it waits until another thread has logged something."""

    def __init__(self) -> None:
        super().__init__()
        self._another_thread = threading.Event()

    def handle(self, record: logging.LogRecord) -> bool:
        handled = super().handle(record)
        if record.threadName != threading.main_thread().name:
            self._another_thread.set()
        elif record.levelno == logging.ERROR:
            self._another_thread.clear()
            self._another_thread.wait(60)
        return bool(handled)

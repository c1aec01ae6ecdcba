"""Runs a command in a process of its own, and tells what that took."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TAP = str(Path(sys.executable).with_name("tap-voicecalls"))

#: What Python is run with everywhere: its output buffered, its modules compiled once.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
}
#: Seconds between two looks at a process's memory.
_LOOK_EVERY = 0.05
_PRIVATE = re.compile(r"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        cpu: Seconds of CPU, user and system, of the whole process from start to end.
        wall: Seconds by the clock on the wall.
        private: The most private memory seen, in MB (PSS less what files back); 0 if not looked at.
        rows: How many lines of the output are records.
    """

    cpu: float
    wall: float
    private: float
    rows: int


def run(command: Sequence[str], *, watch_memory: bool = False) -> Run:
    """Runs a command with its output going to a file.

    Args:
        command: The program and its arguments.
        watch_memory: Whether to look at its memory, which takes a little of its speed.

    Raises:
        RuntimeError: It failed; the last of what it said is told.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        began, private = time.monotonic(), 0.0
        process = subprocess.Popen(command, stdout=output, stderr=said, env=_ENVIRONMENT)  # noqa: S603 - ours
        while watch_memory and not os.waitid(
            os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            private = max(private, _private_memory(process.pid))
            time.sleep(_LOOK_EVERY)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            told = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
        output.seek(0)
        rows = sum(b'"type":"RECORD"' in line for line in output)
    return Run(usage.ru_utime + usage.ru_stime, wall, private, rows)


def run_in_turn(
    commands: Sequence[Sequence[str]], runs: int, *, watch_memory: bool = False
) -> list[Run]:
    """Runs commands one after the other, several times around: what the machine does hits all.

    Args:
        commands: The commands.
        runs: How many times around.
        watch_memory: Whether to look at their memory.

    Returns:
        The medians of each command.
    """
    rounds = [
        [run(command, watch_memory=watch_memory) for command in commands] for _ in range(runs)
    ]
    return [_median(ran) for ran in zip(*rounds, strict=True)]


def check_rows(what: str, ran: Run, rows: int) -> None:
    """Makes sure that a run wrote the rows it was to write, or its cost means nothing.

    Raises:
        RuntimeError: It wrote more than a hundredth more or less than these.
    """
    if abs(ran.rows - rows) > rows / 100:
        raise RuntimeError(f"{what} wrote {ran.rows:,} rows instead of {rows:,}.")


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        cpu=median(ran.cpu for ran in runs),
        wall=median(ran.wall for ran in runs),
        private=median(ran.private for ran in runs),
        rows=min(ran.rows for ran in runs),
    )


def _private_memory(pid: int) -> float:
    """MB of a process that no file backs; Linux alone tells."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # it has just ended
        return 0.0
    found = _PRIVATE.search(text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0

"""Run commands as separate processes and measure their CPU time, wall time and memory."""

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

#: Without the variables that slow Python down: unbuffered output and no bytecode cache.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
}
#: Seconds between two samples of the memory of a process.
_SAMPLE_INTERVAL = 0.05
_PSS_ANON = re.compile(r"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """The measurements of one run.

    Attributes:
        cpu: CPU time of the process, user and system, in seconds.
        wall: Wall time in seconds.
        peak_memory: Peak private memory in MB (anonymous PSS); 0 if not sampled.
        records: The number of RECORD messages in the output.
    """

    cpu: float
    wall: float
    peak_memory: float
    records: int


def run(command: Sequence[str], *, watch_memory: bool = False) -> Run:
    """Run a command and measure it. Its output goes to a file.

    Args:
        command: The program and its arguments.
        watch_memory: Whether to sample its memory, which slows it down a little.

    Raises:
        RuntimeError: The command failed; the message ends with its log.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        started_at, peak_memory = time.monotonic(), 0.0
        process = subprocess.Popen(command, stdout=output, stderr=log, env=_ENVIRONMENT)  # noqa: S603
        while watch_memory and not os.waitid(
            os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            peak_memory = max(peak_memory, _private_memory(process.pid))
            time.sleep(_SAMPLE_INTERVAL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(
                f"{' '.join(command)} failed with exit code {process.returncode}:\n{tail}"
            )
        output.seek(0)
        records = sum(b'"type":"RECORD"' in line for line in output)
    return Run(usage.ru_utime + usage.ru_stime, wall, peak_memory, records)


def peak_memory_while_blocked(command: Sequence[str], seconds: float) -> float:
    """Run a command whose output is never read, and kill it.

    Args:
        command: The program and its arguments.
        seconds: How long it runs.

    Returns:
        Its peak private memory in MB (anonymous PSS).

    Raises:
        RuntimeError: It ended by itself, so it was not blocked.
    """
    peak_memory, end = 0.0, time.monotonic() + seconds
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_ENVIRONMENT
    ) as process:
        while time.monotonic() < end and process.poll() is None:
            peak_memory = max(peak_memory, _private_memory(process.pid))
            time.sleep(_SAMPLE_INTERVAL)
        process.kill()
    if process.returncode >= 0:
        raise RuntimeError(f"{' '.join(command)} was not blocked by its output.")
    return peak_memory


def run_alternately(
    commands: Sequence[Sequence[str]], rounds: int, *, watch_memory: bool = False
) -> list[Run]:
    """Run each command once per round, so that other load on the machine affects all of them.

    Args:
        commands: The commands.
        rounds: The number of rounds.
        watch_memory: Whether to sample their memory.

    Returns:
        The medians of each command.
    """
    runs = [
        [run(command, watch_memory=watch_memory) for command in commands] for _ in range(rounds)
    ]
    return [_median(runs_of_command) for runs_of_command in zip(*runs, strict=True)]


def check_records(name: str, result: Run, expected: int) -> None:
    """Check that a run wrote the expected records, within 1 %.

    Args:
        name: The subject of the error message.
        result: The run.
        expected: The number of records.

    Raises:
        RuntimeError: It wrote too many or too few records, so its cost means nothing.
    """
    if abs(result.records - expected) > expected / 100:
        raise RuntimeError(f"{name} wrote {result.records:,} records instead of {expected:,}.")


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        cpu=median(each.cpu for each in runs),
        wall=median(each.wall for each in runs),
        peak_memory=median(each.peak_memory for each in runs),
        records=min(each.records for each in runs),
    )


def _private_memory(pid: int) -> float:
    """Return the memory of a process that no file backs, in MB. Linux only."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # the process has just exited
        return 0.0
    found = _PSS_ANON.search(text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0

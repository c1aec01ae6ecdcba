"""The tap as a program: start it, read it, send it signals."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox import Sandbox

TAP = (sys.executable, "-m", "tap_voicecalls")
#: Seconds that a tap may take to end after a signal: five, and as many for a busy machine.
WAIT = 10


def settings(sandbox: Sandbox, **overrides: Any) -> dict[str, Any]:
    """Return the settings for the sandbox, with a start date three weeks ago."""
    start = datetime.now(timezone.utc) - timedelta(days=21)
    recent = {"start_date": start.isoformat(), "zendesk_requests_per_minute": 1000}
    return sandbox.config | recent | overrides


def write(folder: Path, name: str, content: object) -> str:
    """Write a string, or an object as JSON, to a file and return its path."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tap to its end."""
    return subprocess.run(  # noqa: S603 - our own tap
        [*TAP, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


class Tap(subprocess.Popen[str]):
    """A tap that is running, with all its output."""

    stdout: IO[str]
    stderr: IO[str]


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Tap]:
    """Start the tap; kill it at the end if it is still running."""
    with Tap(
        [*TAP, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as tap:
        try:
            yield tap
        finally:
            tap.kill()


def end(tap: Tap, signum: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Send a signal to the tap and wait for its end."""
    tap.send_signal(signum)
    stdout, stderr = tap.communicate(timeout=WAIT)
    return subprocess.CompletedProcess(tap.args, tap.returncode, stdout, stderr)


def messages(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def last_line(process: subprocess.CompletedProcess[str]) -> str:
    return process.stderr.splitlines()[-1]

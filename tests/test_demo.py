"""The demo shows what each run brought, fails if one fails, and leaves nothing running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from demo.__main__ import check, run
from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def started_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that keeps its files in a folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        yield demo


def running(folder: Path) -> list[psutil.Process]:
    """What was started by the demo that keeps its files in a folder, and the demo itself."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("TMPDIR") == str(folder)
    ]


def is_loading(folder: Path) -> bool:
    """Whether Meltano has got as far as to start the target."""
    return any(
        "/bin/target-postgres" in " ".join(process.info["cmdline"]) for process in running(folder)
    )


@pytest.mark.meltano
def test_it_shows_what_each_run_brought_and_the_calls_of_a_week(tmp_path: Path) -> None:
    with started_demo(tmp_path) as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    runs = re.findall(r"(?:talkdesk|zendesk)_(?:calls|legs) +(\d+) +(\d+)", output)
    assert len(runs) == 6
    assert all(rows == brought for rows, brought in runs[:3])
    assert all(0 < int(brought) < int(rows) / 2 for rows, brought in runs[3:])
    assert len(re.findall(r"^ +\d{4}-\d\d-\d\d +\d+ +\d+$", output, re.MULTILINE)) == 7
    assert not list(tmp_path.glob("voicecalls-*"))


@pytest.mark.meltano
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(tmp_path: Path, signum: signal.Signals) -> None:
    with started_demo(tmp_path) as demo:
        while demo.poll() is None and not is_loading(tmp_path):
            time.sleep(0.1)
        demo.send_signal(signum)
        output, _ = demo.communicate()
    assert demo.returncode == 128 + signum, output
    assert "Traceback" not in output
    _, left = psutil.wait_procs(running(tmp_path), timeout=2)
    assert not left
    assert not list(tmp_path.glob("voicecalls-*"))


@pytest.mark.meltano
def test_a_run_that_fails_ends_it_with_the_reason(tmp_path: Path) -> None:
    with Sandbox(calls=5) as sandbox, database() as postgres:
        for path in ("/oauth/token", "/oauth/tokens"):
            sandbox.faults.add(Fault.status(path, 401, times=None, body={"error": "no"}))
        with pytest.raises(SystemExit, match=r"(?s)zendesk_client.*ended with exit code 1"):
            run(Meltano(sandbox, postgres, tmp_path), "both vendors refuse")


def test_rows_that_did_not_come_end_it() -> None:
    sandbox = Sandbox(calls=5)
    changed = {"talkdesk_calls": 1, "zendesk_calls": 1, "zendesk_legs": 1}
    with pytest.raises(SystemExit, match="talkdesk_calls has 5 rows, but the vendor has 6"):
        check([("talkdesk_calls", 5, 1)], sandbox, changed)


@pytest.mark.parametrize("brought", [0, 6])
def test_a_second_run_that_brings_nothing_or_everything_ends_it(brought: int) -> None:
    sandbox = Sandbox(calls=5)
    changed = {"talkdesk_calls": 1, "zendesk_calls": 1, "zendesk_legs": 1}
    with pytest.raises(SystemExit, match=f"second run brought {brought} rows of talkdesk_calls"):
        check([("talkdesk_calls", 6, brought)], sandbox, changed)

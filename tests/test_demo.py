"""The demo prints what each run loaded, reports failures, and cleans up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import pytest

from demo.__main__ import check_counts, run_pipeline
from demo.database import database
from demo.meltano import PROJECT, Meltano
from sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder; `tmp_path` is too long for a Unix socket in parallel runs."""
    with TemporaryDirectory(prefix="demo-") as path:
        yield Path(path)


@contextmanager
def start_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with a temporary folder of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        yield demo


def demo_processes(folder: Path) -> list[psutil.Process]:
    """Return the running processes of the demo with a temporary folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("TMPDIR") == str(folder)
    ]


def is_target_running(folder: Path) -> bool:
    """Return whether Meltano has started the target."""
    return any(
        "/bin/target-postgres" in " ".join(process.info["cmdline"])
        for process in demo_processes(folder)
    )


@pytest.mark.meltano
def test_demo_prints_counts_of_each_run_and_calls_per_day(folder: Path) -> None:
    with start_demo(folder) as demo:
        output, _ = demo.communicate()
    assert demo.returncode == 0, output
    runs = re.findall(r"(?:talkdesk|zendesk)_(?:calls|legs) +(\d+) +(\d+)", output)
    assert len(runs) == 6
    assert all(rows == loaded for rows, loaded in runs[:3])
    assert all(0 < int(loaded) < int(rows) / 2 for rows, loaded in runs[3:])
    assert len(re.findall(r"^ +\d{4}-\d\d-\d\d +\d+ +\d+$", output, re.MULTILINE)) == 7
    assert not list(folder.glob("voicecalls-*"))


@pytest.mark.meltano
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing_behind(folder: Path, signum: signal.Signals) -> None:
    with start_demo(folder) as demo:
        while demo.poll() is None and not is_target_running(folder):
            time.sleep(0.1)
        demo.send_signal(signum)
        output, _ = demo.communicate()
    assert demo.returncode == 128 + signum, output
    assert "Traceback" not in output
    _, alive = psutil.wait_procs(demo_processes(folder), timeout=2)
    assert not alive
    assert not list(folder.glob("voicecalls-*"))


@pytest.mark.meltano
def test_failed_run_ends_demo_with_reason(tmp_path: Path) -> None:
    with Sandbox(calls=5) as sandbox, database() as postgres:
        for path in ("/oauth/token", "/oauth/tokens"):
            sandbox.faults.add(Fault.status(path, 401, times=None, body={"error": "no"}))
        with pytest.raises(SystemExit, match=r"(?s)zendesk_client.*failed with exit code 1"):
            run_pipeline(
                Meltano(sandbox, postgres, tmp_path), "both vendors reject the credentials"
            )


def test_missing_rows_end_demo() -> None:
    sandbox = Sandbox(calls=5)
    changed = {"talkdesk_calls": 1, "zendesk_calls": 1, "zendesk_legs": 1}
    with pytest.raises(SystemExit, match="talkdesk_calls has 5 rows, but the vendor has 6"):
        check_counts([("talkdesk_calls", 5, 1)], sandbox, changed)


@pytest.mark.parametrize("loaded", [0, 6])
def test_second_run_that_is_not_incremental_ends_demo(loaded: int) -> None:
    sandbox = Sandbox(calls=5)
    changed = {"talkdesk_calls": 1, "zendesk_calls": 1, "zendesk_legs": 1}
    with pytest.raises(SystemExit, match=f"second run loaded {loaded} of 6 rows of talkdesk_calls"):
        check_counts([("talkdesk_calls", 6, loaded)], sandbox, changed)

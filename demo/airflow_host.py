"""Hosts for Airflow's workers: network namespaces, or just folders where that is not allowed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from demo.forwarder import forward
from demo.meltano import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self


def can_isolate() -> bool:
    """Return whether this machine allows namespaces and overlay mounts."""
    probe = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "true"]
    return (
        shutil.which("ip") is not None
        and os.geteuid() == 0
        and subprocess.run(probe, check=False, capture_output=True).returncode == 0  # noqa: S603
    )


class Host:
    """A host with one Edge worker.

    Isolated, it has its own processes, host name, loopback, and copy of the project folder.
    Otherwise, it has its own home and temporary folder.

    Attributes:
        name: Its name, also in Airflow.
        isolated: Whether it is isolated.
        log: The file with the output of the worker.
    """

    def __init__(
        self, name: str, folder: Path, *, ports: Mapping[int, int | Path], isolated: bool
    ) -> None:
        """Prepare a host.

        Args:
            name: Its name, unique on this machine.
            folder: Its folder.
            ports: The ports of its loopback and where they lead to, if it is isolated.
            isolated: Whether to isolate it.
        """
        self.name = name
        self.isolated = isolated
        self.log = folder / "worker.log"
        self._folder = folder
        self._ports = dict(ports)
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Create the host, without a worker."""
        for name in ("home", "temporary", "upper", "work"):
            (self._folder / name).mkdir(parents=True)
        if self.isolated:
            _ip("netns", "add", self.name)
            self._stack.callback(_ip, "netns", "delete", self.name)
            _ip("-n", self.name, "link", "set", "lo", "up")
            self._stack.enter_context(forward(self._ports, namespace=self.name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill everything that runs on the host, and remove it."""
        self.kill()
        self._stack.close()

    def start_worker(self, airflow: Path, environment: Mapping[str, str]) -> None:
        """Start the worker."""
        command = [str(airflow), *["edge", "worker", "-q", "default", "-c", "2", "-H"], self.name]
        if self.isolated:
            layers = f"lowerdir={PROJECT},upperdir={self._folder}/upper,workdir={self._folder}/work"
            script = (
                'hostname "$1" && mount -t overlay -o "$2" overlay "$3" && shift 3 && exec "$@"'
            )
            command = [
                *("ip", "netns", "exec", self.name),
                *("unshare", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
                *("sh", "-c", script, "sh", self.name, layers, str(PROJECT), *command),
            ]
        own = {
            "AIRFLOW_HOME": f"{self._folder}/home",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{self._folder}/logs",
            "TMPDIR": f"{self._folder}/temporary",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - Airflow
                command,
                cwd=self._folder,
                env={**environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def processes(self) -> list[int]:
        """Return the IDs of the processes on the host."""
        marker = f"TMPDIR={self._folder}/temporary\0".encode()
        running = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (entry / "environ").read_bytes() + b"\0":
                    running.append(int(entry.name))
            except OSError:
                continue  # it has ended
        return running

    def kill(self) -> None:
        """Kill all processes of the host, as if its power failed."""
        # Until none is left: they may start others meanwhile.
        while running := [pid for pid in self.processes() if not _is_zombie(pid)]:
            for pid in running:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if self._process is not None:
                self._process.wait()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)  # noqa: S603, S607

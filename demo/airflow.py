"""Apache Airflow on this machine: its server processes, and the client of its REST API."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psycopg

from demo.forwarder import HOST, forward
from demo.meltano import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from demo.database import Database

COMMAND = PROJECT / ".airflow/bin/airflow"
FINISHED = frozenset({"success", "failed"})
#: After so many seconds without a heartbeat a task counts as lost. Less kills healthy tasks on a
#: busy machine; Airflow's default is 300.
HEARTBEAT_TIMEOUT = 20


class Airflow:
    """Airflow's API server, scheduler and DAG processor, with the Edge executor.

    Attributes:
        url: The address of the user interface.
        port: Its port.
        database_port: A port that leads to the database.
        environment: The environment variables of all of Airflow's processes.
    """

    def __init__(self, database: Database, folder: Path, *, accounts: Path) -> None:
        """Prepare Airflow.

        Args:
            database: The server for its metadata.
            folder: The folder for its logs.
            accounts: The file with the accounts.
        """
        self.port, self.database_port = free_port(), free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.logs = folder / "logs"
        self._database = database
        self._folder = folder
        self._token = ""
        self._stack = ExitStack()
        settings = {
            "CORE__DAGS_FOLDER": str(PROJECT / "airflow/dags"),
            "CORE__EXECUTOR": "airflow.providers.edge3.executors.EdgeExecutor",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "API__BASE_URL": self.url,
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DATABASE__SQL_ALCHEMY_CONN": (
                f"postgresql+psycopg2://postgres:@{HOST}:{self.database_port}/airflow"
            ),
            "EDGE__API_ENABLED": "True",
            "EDGE__API_URL": f"{self.url}/edge_worker/v1/rpcapi",
            "EDGE__HEARTBEAT_INTERVAL": "2",
            "EDGE__JOB_POLL_INTERVAL": "1",
            "LOGGING__BASE_LOG_FOLDER": str(self.logs),
            "SCHEDULER__PARSING_PRE_IMPORT_MODULES": "True",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            "AIRFLOW_HOME": str(folder / "home"),
            "HOME": str(folder),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
            "VOICECALLS_ACCOUNTS": str(accounts),
            "VOICECALLS_RETRY_SECONDS": "5",
        }

    def __enter__(self) -> Self:
        """Start Airflow, and wait until it is healthy."""
        (self._folder / "home").mkdir(parents=True)
        with psycopg.connect(self._database.conninfo, autocommit=True) as connection:
            connection.execute("create database airflow")
        socket_file = next(Path(self._database.socket_dir).glob(".s.PGSQL.*[0-9]"))
        with ExitStack() as stack:
            stack.enter_context(forward({self.database_port: socket_file}))
            self._run("db", "migrate")
            for command in (
                ("api-server", "--host", HOST, "--port", str(self.port)),
                ("scheduler",),
                ("dag-processor",),
            ):
                stack.callback(_stop, self._start(*command))
            self._wait_until_healthy()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop Airflow."""
        self._stack.close()

    def request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON
        """Send a request to the REST API and return the JSON of the response."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310 - loopback
        with urlopen(request, timeout=60) as response:  # noqa: S310 - loopback
            return json.loads(response.read() or b"null")

    def add_pool(self, name: str) -> None:
        """Add a pool with one slot."""
        self.request("POST", "/api/v2/pools", {"name": name, "slots": 1})

    def add_connection(self, name: str, kind: str, *, extra: object = None, **values: Any) -> None:
        """Add a connection."""
        body = {"connection_id": name, "conn_type": kind, **values}
        self.request("POST", "/api/v2/connections", body | {"extra": json.dumps(extra or {})})

    def trigger(self, dag: str, **params: object) -> str:
        """Start a run of a DAG, as soon as Airflow knows it, and return the run's ID."""
        wait_until(lambda: self._knows(dag))
        self.request("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
        body = {"logical_date": None, "conf": params}
        return str(self.request("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def first_run(self, dag: str) -> str:
        """Start the schedule of a DAG, and return the ID of its first run."""
        wait_until(lambda: self._knows(dag))
        self.request("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
        path = f"/api/v2/dags/{dag}/dagRuns"
        wait_until(lambda: bool(self.request("GET", path)["dag_runs"]))
        return str(self.request("GET", path)["dag_runs"][0]["dag_run_id"])

    def state(self, dag: str, run: str) -> str:
        """Return the state of a run."""
        return str(self.request("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances?limit=100"
        return list(self.request("GET", path)["task_instances"])

    def log(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the log of the last try of a task."""
        path = (
            "/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs/{try_number}"
        )
        query = "?full_content=true&map_index={map_index}"
        return list(self.request("GET", (path + query).format_map(task))["content"])

    def error(self, task: dict[str, Any]) -> str:
        """Return the message at the end of the log of a task that failed."""
        errors = [line["error_detail"] for line in self.log(task) if line.get("error_detail")]
        return str(errors[-1][-1]["exc_value"]) if errors else ""

    def _knows(self, dag: str) -> bool:
        try:
            self.request("GET", f"/api/v2/dags/{dag}")
        except URLError:
            return False
        return True

    def _wait_until_healthy(self) -> None:
        def is_healthy() -> bool:
            try:
                health = self.request("GET", "/api/v2/monitor/health")
            except (URLError, ConnectionError):
                return False
            return all(
                health[each]["status"] == "healthy"
                for each in ("metadatabase", "scheduler", "dag_processor")
            )

        wait_until(is_healthy)
        self._token = self.request("GET", "/auth/token")["access_token"]

    def _run(self, *arguments: str) -> None:
        run = subprocess.run(  # noqa: S603 - Airflow
            [COMMAND, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{run.stdout}{run.stderr}")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{arguments[0]}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - Airflow
                [COMMAND, *arguments],
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come true.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.5)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started; its state is in the database."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""The operators that run Meltano: for any command, and to load the calls of an account.

Everything secret is in Airflow connections. It is read while a task runs and passed to Meltano in
environment variables, so it is in no template, XCom or log.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voicecalls_accounts import Account

#: Each host has a copy of the project, by default around this file, in which `make` was run.
PROJECT = Path(os.environ.get("VOICECALLS_PROJECT", Path(__file__).resolve().parents[2]))
#: The setting with an account's name at the vendor.
_ACCOUNT_SETTINGS = {"zendesk": "zendesk_subdomain", "talkdesk": "talkdesk_account"}
#: Options of all tasks. The pause gives a vendor or a host that has a problem time to recover.
TASK_OPTIONS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=int(os.environ.get("VOICECALLS_RETRY_SECONDS", "120"))),
    "execution_timeout": timedelta(hours=6),
}


class MeltanoOperator(BaseOperator):
    """Runs Meltano in the project folder of the worker's host."""

    def __init__(self, *, arguments: list[str], **options: Any) -> None:
        """Prepare a run.

        Args:
            arguments: Meltano's arguments.
            options: The options of any task.
        """
        super().__init__(**options)
        self.arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Mapping[str, Any]) -> None:  # noqa: ARG002 - of the base class
        """Run Meltano.

        Raises:
            AirflowException: It failed; the message is the tap's.
        """
        self.run_meltano(self.arguments, self.warehouse_environment())

    def run_meltano(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        """Run Meltano with additional environment variables, and log its output.

        Raises:
            AirflowException: It failed; the message is the tap's.
        """
        meltano = PROJECT / ".venv/bin/meltano"
        if not meltano.exists():
            raise AirflowException(
                f"The host {socket.gethostname()} has no {meltano}. Clone the project there and "
                f"run make .meltano/installed in it, or set VOICECALLS_PROJECT to its folder."
            )
        # The settings of the vendors come from connections alone; Airflow's own secrets stay here.
        private = ("AIRFLOW_", "TAP_VOICECALLS_", "TARGET_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(private)}
        with (
            _system_folder() as folder,
            subprocess.Popen(  # noqa: S603 - the project's Meltano
                [meltano, "--log-format=json", f"--env-file={os.devnull}", *arguments],
                cwd=PROJECT,
                env=inherited | {"MELTANO_SYS_DIR_ROOT": folder, "NO_COLOR": "1"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as self._process,
        ):
            try:
                error = self._log_output(self._process)
            except BaseException:
                self.on_kill()  # a timeout: the tap and the target would outlive this task
                raise
        if self._process.returncode:
            raise AirflowException(
                error or f"meltano exited with {self._process.returncode}: see its messages above."
            )

    def on_kill(self) -> None:
        """Stop Meltano, the tap and the target."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def _log_output(self, process: subprocess.Popen[str]) -> str:
        """Log each line, and return the last error: the tap's, or else Meltano's."""
        tap_error = meltano_error = ""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            try:
                record = json.loads(line)
                message, name = record["event"], record.get("name", "meltano")
            except (ValueError, TypeError, KeyError):
                record, message, name = {}, line.rstrip(), "meltano"
            self.log.info("%s | %s", name, message)
            if record.get("level") == "error":
                tap_error = message if name.startswith("tap-") else tap_error
                meltano_error = record.get("err") or message
        return tap_error or meltano_error

    def warehouse_environment(self) -> dict[str, str]:
        """Return the settings of target-postgres, dbt, and Meltano's database."""
        warehouse = get_connection("voicecalls_warehouse")
        parts = {
            "HOST": warehouse.host,
            "PORT": str(warehouse.port or 5432),
            "USER": warehouse.login,
            "PASSWORD": warehouse.password,
            "DATABASE": warehouse.schema,
        }
        return {f"TARGET_POSTGRES_{name}": value for name, value in parts.items() if value} | {
            "DBT_POSTGRES_PORT": parts["PORT"],  # the others default to those of the target
            "MELTANO_DATABASE_URI": _postgres_url("postgresql+psycopg"),
        }


class LoadOperator(MeltanoOperator):
    """Loads the calls of one account, with a state that any host continues."""

    template_fields = ("part",)

    def __init__(
        self,
        *,
        account: Account,
        part: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Prepare a run.

        Args:
            account: The account.
            part: `start` and `end` of a part of a backfill; by default the hourly job.
            options: The options of any task.
        """
        super().__init__(arguments=[], **options)
        self.account = account
        self.part = part

    def execute(self, context: Mapping[str, Any]) -> None:
        """Load the account's calls.

        Raises:
            AirflowException: It failed; the message is the tap's.
        """
        part = self.part or {"start": str(self.account.start_date)}
        environment = self.warehouse_environment() | self._tap_environment(part)
        state = self.account.name
        if self.part is not None:
            state = f"{state}_{part['start']}_{part['end']}"
        arguments = ["run", f"--state-id-suffix={state}"]
        if context["ti"].try_number > 1:
            # A run that was killed keeps Meltano's lock for five minutes. Airflow retries only what
            # has ended: a worker that can't reach the server stops its tasks long before that.
            arguments.append("--force")
        self.run_meltano([*arguments, "tap-voicecalls", "target-postgres"], environment)

    def _tap_environment(self, part: Mapping[str, str]) -> dict[str, str]:
        vendor = self.account.vendor
        connection = get_connection(self.account.connection)
        settings = {
            "start_date": part["start"],
            "end_date": part.get("end"),
            _ACCOUNT_SETTINGS[vendor]: connection.host,
            f"{vendor}_client_id": connection.login,
            f"{vendor}_client_secret": connection.password,
            **connection.extra_dejson,
        }
        if vendor == "zendesk":
            settings.setdefault("zendesk_quota_url", _postgres_url("postgresql"))
        return {
            **{f"TAP_VOICECALLS_{k.upper()}": str(v) for k, v in settings.items() if v},
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": self.account.schema,
        }


def has_models() -> bool:
    """Return whether the project has the dbt models."""
    project = PROJECT / "meltano.yml"
    return project.exists() and "name: dbt-postgres" in project.read_text()


def get_connection(name: str) -> Connection:
    """Return a connection.

    Raises:
        AirflowFailException: It is missing, which another try would not change.
    """
    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        raise AirflowFailException(
            f"The Airflow connection {name} is missing: add it as described in docs/airflow.md."
        ) from None


def _postgres_url(scheme: str) -> str:
    """Return the URL of the database with Meltano's state and the shared quota."""
    state = get_connection("voicecalls_state")
    user = ":".join(quote(text, safe="") for text in (state.login, state.password) if text)
    options = f"?{urlencode(state.extra_dejson)}" if state.extra_dejson else ""
    return f"{scheme}://{user}@{state.host}:{state.port or 5432}/{state.schema}{options}"


@contextmanager
def _system_folder() -> Iterator[str]:
    """Create a replacement for `.meltano`: tasks that run at the same time need one each."""
    with TemporaryDirectory(prefix="voicecalls-") as folder:
        for plugins in ("extractors", "loaders", "utilities"):
            Path(folder, plugins).symlink_to(PROJECT / ".meltano" / plugins)
        yield folder

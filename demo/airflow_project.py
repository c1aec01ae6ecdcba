"""The project on Airflow: the accounts, pools and connections for the sandbox, and the hosts."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from demo.airflow import COMMAND, Airflow
from demo.airflow_host import Host
from demo.forwarder import HOST
from demo.meltano import Meltano

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from demo.database import Database
    from sandbox.server import Sandbox

#: The password of the connections to PostgreSQL, which the embedded server does not check.
PASSWORD = "warehouse-password-51c7"  # noqa: S105 - fake
ACCOUNTS = {"zendesk": "subdomain", "talkdesk": "account"}


@contextmanager
def start_airflow(
    sandbox: Sandbox, database: Database, folder: Path, *, start_date: datetime, isolated: bool
) -> Iterator[tuple[Airflow, dict[str, Host]]]:
    """Start Airflow with the sandbox's accounts, and two hosts with a worker each.

    Args:
        sandbox: The vendors.
        database: The server for Airflow's metadata, Meltano's state, the quota and the tables.
        folder: The folder for logs and the hosts' files.
        start_date: The start date of the hourly job.
        isolated: Whether to isolate the hosts.
    """
    # Meltano creates its tables, and the target the schema: two first runs at the same time would
    # hinder each other.
    meltano = Meltano(sandbox, database, folder)
    meltano("state", "list", MELTANO_DATABASE_URI=database.sqlalchemy_url).check_returncode()
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("create schema tap_voicecalls")
    accounts = folder / "accounts.yml"
    lines = (
        f"- {{name: {vendor}_acme, vendor: {vendor}, schema: tap_voicecalls, "
        f"start_date: {start_date:%Y-%m-%d}}}\n"
        for vendor in ACCOUNTS
    )
    accounts.write_text("".join(lines))
    with ExitStack() as stack:
        airflow = stack.enter_context(Airflow(database, folder / "server", accounts=accounts))
        _add_connections(airflow, sandbox)
        urls = (
            airflow.url,
            sandbox.zendesk.url,
            sandbox.talkdesk.api_url,
            sandbox.talkdesk.token_url,
            sandbox.talkdesk.files.url,
        )
        ports = [airflow.database_port, *(urlsplit(url).port or 0 for url in urls)]
        hosts = {
            name: stack.enter_context(
                Host(name, folder / name, ports={port: port for port in ports}, isolated=isolated)
            )
            for name in ("voicecalls-a", "voicecalls-b")
        }
        for host in hosts.values():
            host.start_worker(COMMAND, airflow.environment)
        yield airflow, hosts


def _add_connections(airflow: Airflow, sandbox: Sandbox) -> None:
    settings = sandbox.config
    for vendor, account in ACCOUNTS.items():
        urls = (name for name in settings if name.startswith(vendor) and name.endswith("_url"))
        airflow.add_pool(f"voicecalls_{vendor}_acme")
        airflow.add_connection(
            f"voicecalls_{vendor}_acme",
            "generic",
            host=settings[f"{vendor}_{account}"],
            login=settings[f"{vendor}_client_id"],
            password=settings[f"{vendor}_client_secret"],
            extra={name: settings[name] for name in urls},
        )
    for name in ("state", "warehouse"):
        airflow.add_connection(
            f"voicecalls_{name}",
            "postgres",
            host=HOST,
            port=airflow.database_port,
            login="postgres",
            password=PASSWORD,
            schema="postgres",
        )

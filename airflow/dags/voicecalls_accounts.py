"""The accounts, and the parts of a backfill."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import yaml

_DEFAULT = Path(__file__).resolve().parents[1] / "accounts.yml"
ACCOUNTS = Path(os.environ.get("VOICECALLS_ACCOUNTS", _DEFAULT))


@dataclass(frozen=True)
class Account:
    """An account at a vendor.

    Attributes:
        name: Its name in Airflow.
        vendor: `zendesk` or `talkdesk`.
        schema: The schema in PostgreSQL.
        start_date: Where the hourly job starts and backfills end.
    """

    name: str
    vendor: str
    schema: str
    start_date: date

    @property
    def connection(self) -> str:
        """The ID of its connection, and the name of its pool."""
        return f"voicecalls_{self.name}"


def read_accounts() -> list[Account]:
    """Return the accounts in `accounts.yml`."""
    return [Account(**entry) for entry in yaml.safe_load(ACCOUNTS.read_text())]


def split(start: date, end: date, days: int) -> list[dict[str, str]]:
    """Return the parts of a range of dates, the newest first."""
    starts = [start + timedelta(days) * index for index in range(-((start - end) // days).days)]
    return [
        {"start": str(first), "end": str(min(first + timedelta(days), end))}
        for first in reversed(starts)
    ]

"""The queries and the samples of the pages in docs/metrics.

`python -m tests.metric_pages` updates the samples.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from demo.meltano import PROJECT
from tests.dbt_builds import MARTS, build
from tests.warehouse import postgresql_warehouse

if TYPE_CHECKING:
    from sandbox.history import Row
    from tests.warehouse import Warehouse

METRICS = PROJECT / "docs" / "metrics"
PAGES = sorted(path.name for path in METRICS.glob("*.md") if path.name != "README.md")

#: A schema with the marts of one account.
SCHEMA = "sample"


def query(page: str) -> str:
    """Return the query of a page."""
    return _block(page, "sql")


def sample(page: str) -> str:
    """Return the sample of a page: the query's rows."""
    return _block(page, "text")


def create_sample_marts(warehouse: Warehouse) -> None:
    """Copy the marts of the account `us` to another schema."""
    warehouse.execute(f"create schema {SCHEMA}")
    for mart in MARTS:
        us = f"select * from voicecalls.{mart} where source_relation = 'us'"  # noqa: S608
        warehouse.execute(f"create table {SCHEMA}.{mart} as {us}")


def run_query(warehouse: Warehouse, page: str) -> list[Row]:
    """Run the query of a page in the schema of `create_sample_marts`."""
    return warehouse.execute(query(page).replace("voicecalls.", f"{SCHEMA}."))


def format_rows(rows: list[Row]) -> str:
    """Return rows as an aligned table."""
    lines = [[*rows[0]], *([_format(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        " | ".join(
            cell.rjust(width) if isinstance(value, (int, float, Decimal)) else cell.ljust(width)
            for cell, width, value in zip(line, widths, rows[0].values(), strict=True)
        ).rstrip()
        for line in lines
    ]
    aligned.insert(1, "-+-".join("-" * width for width in widths))
    return "".join(f"{line}\n" for line in aligned)


def _format(value: object) -> str:
    """Return a value as text; averages and percentages have a decimal place."""
    if isinstance(value, (float, Decimal)) and value != int(value):
        return f"{value:.1f}"
    return "" if value is None else str(value)


def _block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (METRICS / page).read_text(), re.DOTALL)
    assert found is not None, page
    return found[1]


def main() -> None:
    """Update the samples of all pages."""
    with (
        TemporaryDirectory() as folder,
        postgresql_warehouse(Path(folder)) as warehouse,
    ):
        build(warehouse)
        create_sample_marts(warehouse)
        for page in PAGES:
            rows = format_rows(run_query(warehouse, page))
            path = METRICS / page
            before, start, _ = path.read_text().partition("```text\n")
            path.write_text(f"{before}{start}{rows}```\n")


if __name__ == "__main__":
    main()

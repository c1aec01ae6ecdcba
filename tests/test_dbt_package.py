"""The dbt package with tables that lack something, its errors, its freshness and its contracts."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.meltano import PROJECT
from tests.dbt_builds import ACCOUNTS, MARTS, copy_tables, source
from tests.dbt_commands import PACKAGE, start_dbt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt_builds import Builds

pytestmark = pytest.mark.dbt

TIME_COLUMNS = ("started_at", "ended_at")
CALLS = ", ".join(("call_id", *TIME_COLUMNS, "customer_number", "talk_seconds"))


def test_deselected_columns_are_null_and_timestamps_are_converted_to_utc(builds: Builds) -> None:
    """Also, models don't prevent changes of the tables that they read, as views would."""
    warehouse, schema = builds.warehouse, "other_columns"
    query = f"select {CALLS} from voicecalls.int_voicecalls__talkdesk_calls"  # noqa: S608
    only_calls = ("run", "--select", "+int_voicecalls__talkdesk_calls")
    copy_tables(warehouse, ["talkdesk_calls"], schema)
    variables: dict[str, Any] = {"voicecalls_sources": [{"schema": schema}]}

    assert warehouse.dbt(*only_calls, **variables).success
    before = {row["call_id"]: row for row in warehouse.execute(query)}
    assert any(row["customer_number"] for row in before.values())
    table = f"alter table {schema}.talkdesk_calls"
    warehouse.execute(f"{table} drop column contact_phone_number")
    for column in ("start_at", "end_at"):
        converted = f"timestamptz using {column} at time zone 'UTC'"
        warehouse.execute(f"{table} alter column {column} type {converted}")
    assert warehouse.dbt(*only_calls, **variables).success
    after = {row["call_id"]: row for row in warehouse.execute(query)}
    assert after == {key: row | {"customer_number": None} for key, row in before.items()}


def test_schema_without_calls_is_an_error_that_names_it(builds: Builds) -> None:
    variables: dict[str, Any] = {"voicecalls_sources": [{"schema": "no_such_schema"}]}
    result = builds.warehouse.dbt("build", **variables)
    assert not result.success
    assert {node["status"] for node in result.nodes.values()} == {"error", "skipped"}
    (message,) = {
        str(node["message"]).splitlines()[1].strip()
        for node in result.nodes.values()
        if node["status"] == "error"
    }
    assert re.fullmatch(
        r"voicecalls: the schema \w+\.no_such_schema contains neither talkdesk_calls nor "
        r"zendesk_calls\. Run tap-voicecalls first, or set the var voicecalls_sources to the "
        r"schema that its target loads into\.",
        message,
    )


def test_unknown_way_to_count_abandoned_calls_is_an_error(builds: Builds) -> None:
    result = builds.warehouse.dbt("compile", voicecalls_service_level_abandoned="neutral")
    assert not result.success
    assert "voicecalls_service_level_abandoned is neutral. It must be ignored or" in (
        result.error or str(result.failures)
    )


def test_freshness_is_that_of_the_account_loaded_longest_ago(builds: Builds) -> None:
    """By the column of the target or, without one, by the replication key."""
    warehouse = builds.warehouse
    result = warehouse.dbt("source", "freshness", **source(*ACCOUNTS))
    written = json.loads((warehouse.folder / "target" / "sources.json").read_text())
    loaded_at = {
        name.rpartition(".")[2]: datetime.fromisoformat(it["max_loaded_at"]).replace(tzinfo=None)
        for it in written["results"]
        for name in [it["unique_id"]]
    }
    column = "_sdc_extracted_at" if warehouse.name == "postgres" else "end_at"
    newest = [
        warehouse.execute(f"select max({column}) as newest from {schema}.talkdesk_calls")  # noqa: S608
        for schema in (ACCOUNTS["us"], ACCOUNTS["talkdesk"])
    ]
    assert loaded_at["talkdesk_calls"] == min(rows[0]["newest"] for rows in newest)
    assert newest[0] != newest[1]
    statuses = {name.rpartition(".")[2]: node["status"] for name, node in result.nodes.items()}
    assert statuses["talkdesk_calls"] == "error"
    is_known = warehouse.name == "postgres"
    assert statuses["zendesk_groups"] == ("error" if is_known else "pass")
    assert statuses["talkdesk_user_status"] == "error"


def test_table_that_is_not_loaded_is_not_stale(builds: Builds) -> None:
    result = builds.warehouse.dbt("source", "freshness", **source("talkdesk"))
    statuses = {name.rpartition(".")[2]: node["status"] for name, node in result.nodes.items()}
    assert statuses.pop("talkdesk_calls") == "error"
    assert {*statuses.values()} == {"pass"}


def test_freshly_loaded_tables_pass(builds: Builds) -> None:
    warehouse, schema = builds.warehouse, "fresh"
    copy_tables(warehouse, ["zendesk_calls"], schema)
    column = "_sdc_extracted_at" if warehouse.name == "postgres" else "updated_at"
    now = "now() at time zone 'UTC'"
    warehouse.execute(f"update {schema}.zendesk_calls set {column} = {now}")  # noqa: S608
    variables: dict[str, Any] = {"voicecalls_sources": [{"schema": schema}]}
    assert warehouse.dbt("source", "freshness", **variables).success


@pytest.mark.parametrize("mart", MARTS)
def test_columns_of_a_mart_have_types_and_descriptions_with_units(
    postgres_builds: Builds, mart: str
) -> None:
    manifest = json.loads((postgres_builds.warehouse.folder / "target/manifest.json").read_text())
    model = manifest["nodes"][f"model.voicecalls.{mart}"]
    assert model["config"]["contract"]["enforced"]
    assert model["description"]
    for name, column in model["columns"].items():
        description = column["description"]
        assert column["data_type"], name
        assert description.endswith("."), name
        if name.endswith("_seconds"):
            assert "in seconds" in description, name
        if column["data_type"] == "double precision" and not name.endswith("_seconds"):
            assert "from 0 to 1" in description, name
        if column["data_type"] == "timestamp":
            assert "in UTC" in description, name
        if name.endswith(("_calls", "_contacts")):
            assert description.startswith("Number of"), name


def test_users_can_build_models_on_the_marts(builds: Builds) -> None:
    hours = builds.warehouse.rows("calls_per_hour")
    assert sum(row["calls"] for row in hours) == len(builds.marts["all"]["voicecalls__calls"])


def test_package_can_be_installed_from_git(tmp_path: Path) -> None:
    """As in the README, but from this repository's last commit."""
    readme = (PACKAGE / "README.md").read_text()
    packages = yaml.safe_load(readme.partition("```yaml\n")[2].partition("```")[0])
    (package,) = packages["packages"]
    package |= {"git": str(PROJECT), "revision": "HEAD"}
    consumer = tmp_path / "consumer"
    consumer.mkdir()
    (consumer / "packages.yml").write_text(yaml.safe_dump(packages))
    project = {"name": "consumer", "profile": "voicecalls", "vars": source("talkdesk")}
    (consumer / "dbt_project.yml").write_text(yaml.safe_dump(project))
    environment = {"DBT_PROJECT_DIR": str(consumer), "DBT_TARGET": "duckdb"}
    with start_dbt(tmp_path, environment) as dbt:
        assert dbt("parse").success
    manifest = json.loads((tmp_path / "target/manifest.json").read_text())
    assert {f"model.voicecalls.{mart}" for mart in MARTS} <= manifest["nodes"].keys()
    assert manifest["unit_tests"] == {}  # they are not for users
    calls = manifest["sources"]["source.voicecalls.voicecalls.talkdesk_calls"]
    assert calls["schema"] == ACCOUNTS["talkdesk"]
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    # Otherwise, a test would fail if a user selects some of the models.
    assert [test["name"] for test in tests if len(test["depends_on"]["nodes"]) != 1] == []


def test_readme_lists_every_variable_with_its_default() -> None:
    project = yaml.safe_load((PACKAGE / "dbt_project.yml").read_text())
    readme = (PACKAGE / "README.md").read_text()
    listed = dict(re.findall(r"^\| `(voicecalls_\w+)` \| `(.*?)` \|", readme, re.MULTILINE))
    assert {name: yaml.safe_load(value) for name, value in listed.items()} == project["vars"]

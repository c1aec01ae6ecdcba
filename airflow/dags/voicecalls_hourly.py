"""The hourly job: load what is new or changed in each account, then build the dbt models."""

from datetime import datetime, timezone

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TriggerRule
from voicecalls_accounts import read_accounts
from voicecalls_tasks import TASK_OPTIONS, LoadOperator, MeltanoOperator, has_models

with DAG(
    "voicecalls_hourly",
    description=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args=TASK_OPTIONS,
    max_active_runs=1,
    tags=["voicecalls"],
) as dag:
    # Before the parts of a backfill, which wait for the same pools.
    loads = [
        LoadOperator(
            task_id=f"load_{account.name}",
            account=account,
            pool=account.connection,
            priority_weight=10,
        )
        for account in read_accounts()
    ]
    # A run fails if one account does, and the models still get the others' calls.
    loads >> EmptyOperator(task_id="all_loaded")
    if has_models():
        loads >> MeltanoOperator(
            task_id="build_models",
            arguments=["invoke", "dbt-postgres:build"],
            trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        )

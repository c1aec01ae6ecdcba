"""A backfill in parts: each is a task with a state of its own, which any host continues."""

from datetime import date

from airflow.sdk import DAG, Param, get_current_context, task
from voicecalls_accounts import read_accounts, split
from voicecalls_tasks import TASK_OPTIONS, LoadOperator


@task
def plan(name: str) -> list[dict[str, str]]:
    """Return the parts of an account, the newest first."""
    params = get_current_context()["params"]
    account = next(account for account in read_accounts() if account.name == name)
    if account.vendor not in params["vendors"]:
        return []
    end = date.fromisoformat(params["to"]) if params["to"] else account.start_date
    return split(date.fromisoformat(params["from"]), end, params["part_days"])


with DAG(
    "voicecalls_backfill",
    description=__doc__,
    schedule=None,
    max_active_runs=1,
    default_args=TASK_OPTIONS,
    tags=["voicecalls"],
    params={
        "from": Param(type="string", format="date", description="First day to load"),
        "to": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Day after the last one; by default the account's start_date",
        ),
        "part_days": Param(30, type="integer", minimum=1, description="Length of a part in days"),
        "vendors": Param(
            ["zendesk", "talkdesk"],
            type="array",
            items={"enum": ["zendesk", "talkdesk"]},
            description="Vendors to load",
        ),
    },
) as dag:
    for account in read_accounts():
        LoadOperator.partial(
            task_id=f"load_{account.name}",
            account=account,
            pool=account.connection,
            map_index_template="{{ task.part['start'] }}",
        ).expand(part=plan.override(task_id=f"plan_{account.name}")(account.name))

"""The same pipeline in dlt, as its documentation recommends: rows from both vendors, merged by key.

Run it with a Python that has `dlt[postgres]`: `python dlt_pipeline.py CONFIG FOLDER STREAM...`. It
uses nothing of this project. Lists become JSON columns (`max_table_nesting=0`), as in Singer
targets, which costs dlt less than its default of one more table for each list.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt  # type: ignore[import-not-found] # in an environment of its own
from dlt.sources.helpers import requests  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

Rows = list[dict[str, Any]]


def main(config: dict[str, Any], folder: str, streams: list[str]) -> None:
    """Extract, normalize and load what is new since the last run in a folder."""
    pipeline = dlt.pipeline(
        "voicecalls",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(config["database_url"]),
        dataset_name="dlt_voicecalls",
    )
    pipeline.run([_resource(stream, config) for stream in streams]).raise_on_failed_jobs()


def _resource(stream: str, config: dict[str, Any]) -> Any:  # noqa: ANN401 - dlt's types
    vendor, _, kind = stream.partition("_")
    read, key = {"zendesk": (_read_zendesk, "id"), "talkdesk": (_read_talkdesk, "call_id")}[vendor]
    return dlt.resource(
        read, name=stream, primary_key=key, write_disposition="merge", max_table_nesting=0
    )(config, kind)


def _read_zendesk(
    config: dict[str, Any],
    kind: str,
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental("updated_at"),  # noqa: B008
) -> Iterator[Rows]:
    """Yield the pages of an export, from the newest row of the last run on."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {config['zendesk_access_token']}"
    start = _to_epoch(updated_at.last_value or config["start_date"])
    path = f"/api/v2/channels/voice/stats/incremental/{kind}"
    url, next_url = None, f"{config['zendesk_url']}{path}?start_time={start}"
    while next_url != url:
        url = next_url
        page = session.get(url).json()
        yield page[kind]
        next_url = page["next_page"] or url


def _read_talkdesk(
    config: dict[str, Any],
    kind: str,
    end_at: dlt.sources.incremental[str] = dlt.sources.incremental("end_at"),  # noqa: B008
) -> Iterator[Rows]:
    """Yield the rows of one report, from the newest row of the last run to `end_date`."""
    token = requests.post(
        config["talkdesk_token_url"],
        auth=(config["talkdesk_client_id"], config["talkdesk_client_secret"]),
        data={"grant_type": "client_credentials"},
    ).json()["access_token"]
    reports = f"{config['talkdesk_api_url']}/data/reports/{kind}"
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    timespan = {"from": end_at.last_value or config["start_date"], "to": config["end_date"]}
    job = session.post(
        f"{reports}/jobs", json={"format": "json", "timezone": "UTC", "timespan": timespan}
    ).json()["job"]
    while (
        session.get(f"{reports}/jobs/{job['id']}", allow_redirects=False).status_code
        != HTTPStatus.SEE_OTHER
    ):
        time.sleep(0.1)
    file = session.get(f"{reports}/files/{job['id']}", allow_redirects=False)
    yield requests.get(file.headers["Location"]).json()["entries"]


def _to_epoch(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3:])

"""The floor of a Talkdesk report: get a token, run a job, decode the file, encode each row.

Run it as `python -m benchmarks.talkdesk_floor CONFIG`. It writes RECORD messages to stdout. Unlike
the tap, it holds the whole report in memory.
"""

from __future__ import annotations

import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import requests

_REPORTS = "/data/reports/calls"


def main(config: dict[str, Any]) -> None:
    """Run one report from `start_date` to `end_date` and write its rows."""
    encoder = msgspec.json.Encoder()
    write = sys.stdout.buffer.write
    for row in msgspec.json.decode(_fetch_report(config))["entries"]:
        message = {"type": "RECORD", "stream": "talkdesk_calls", "record": row}
        write(encoder.encode(message) + b"\n")


def _fetch_report(config: dict[str, Any]) -> bytes:
    token = requests.post(
        config["talkdesk_token_url"],
        auth=(config["talkdesk_client_id"], config["talkdesk_client_secret"]),
        data={"grant_type": "client_credentials"},
        timeout=60,
    ).json()["access_token"]
    url = config["talkdesk_api_url"]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        job_id = session.post(
            f"{url}{_REPORTS}/jobs",
            json={
                "format": "json",
                "timezone": "UTC",
                "timespan": {"from": config["start_date"], "to": config["end_date"]},
            },
            timeout=60,
        ).json()["job"]["id"]
        while True:
            job = session.get(f"{url}{_REPORTS}/jobs/{job_id}", allow_redirects=False, timeout=60)
            if job.status_code == HTTPStatus.SEE_OTHER:
                break
            time.sleep(0.1)
        file = session.get(f"{url}{_REPORTS}/files/{job_id}", allow_redirects=False, timeout=60)
    return requests.get(file.headers["Location"], timeout=60).content


if __name__ == "__main__":
    main(msgspec.json.decode(Path(sys.argv[1]).read_bytes()))

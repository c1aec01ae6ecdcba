"""The least that one report of Talkdesk's takes: token, job, file, decode, encode each row.

Runs as `python -m benchmarks.talkdesk_floor CONFIG` and writes RECORD lines to stdout. It holds
the whole report in memory, which the tap may not.
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
    """Has one report made, from `start_date` to `end_date`."""
    encoder = msgspec.json.Encoder()
    write = sys.stdout.buffer.write
    for row in msgspec.json.decode(_report(config))["entries"]:
        message = {"type": "RECORD", "stream": "talkdesk_calls", "record": row}
        write(encoder.encode(message) + b"\n")


def _report(config: dict[str, Any]) -> bytes:
    token = requests.post(
        config["talkdesk_token_url"],
        auth=(config["talkdesk_client_id"], config["talkdesk_client_secret"]),
        data={"grant_type": "client_credentials"},
        timeout=60,
    ).json()["access_token"]
    url = config["talkdesk_api_url"]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        job = session.post(
            f"{url}{_REPORTS}/jobs",
            json={
                "format": "json",
                "timezone": "UTC",
                "timespan": {"from": config["start_date"], "to": config["end_date"]},
            },
            timeout=60,
        ).json()["job"]["id"]
        while True:
            asked = session.get(f"{url}{_REPORTS}/jobs/{job}", allow_redirects=False, timeout=60)
            if asked.status_code == HTTPStatus.SEE_OTHER:
                break
            time.sleep(0.1)
        found = session.get(f"{url}{_REPORTS}/files/{job}", allow_redirects=False, timeout=60)
    return requests.get(found.headers["Location"], timeout=60).content


if __name__ == "__main__":
    main(msgspec.json.decode(Path(sys.argv[1]).read_bytes()))

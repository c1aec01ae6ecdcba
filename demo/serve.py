"""Serve both fake vendors and a PostgreSQL until interrupted: `make sandbox`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from demo.database import database
from sandbox.server import Sandbox
from sandbox.web import CONTROL_PREFIX


def main() -> None:
    """Start the servers and print the tap settings for them."""
    parser = argparse.ArgumentParser(prog="python -m demo.serve", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the call history")
    parser.add_argument("--calls", type=int, default=500, help="number of calls of each vendor")
    parser.add_argument("--days", type=float, default=30, help="length of the call history")
    parser.add_argument("--page-size", type=int, default=100, help="rows per Zendesk page")
    parser.add_argument("--port", type=int, default=8650, help="first of four consecutive ports")
    parser.add_argument("--database", type=Path, help="also start PostgreSQL with this data folder")
    options = vars(parser.parse_args())
    data_folder: Path | None = options.pop("database")
    interrupted = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: interrupted.set())
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(**options))
        urls = {
            "Zendesk": sandbox.zendesk.url,
            "Talkdesk API": sandbox.talkdesk.api_url,
            "Talkdesk tokens": sandbox.talkdesk.token_url,
            "Talkdesk files": sandbox.talkdesk.files_url,
            "Control API": sandbox.zendesk.url + CONTROL_PREFIX,
        }
        for name, url in urls.items():
            print(f"{name:<18} {url}", file=sys.stderr)  # noqa: T201 - stdout is for the settings
        print(json.dumps(sandbox.config, indent=2), flush=True)  # noqa: T201 - program output
        if data_folder is not None:
            data_folder.parent.mkdir(parents=True, exist_ok=True)
            url = stack.enter_context(database(data_folder)).sqlalchemy_url
            print(f"export TARGET_POSTGRES_SQLALCHEMY_URL='{url}'", flush=True)  # noqa: T201
        interrupted.wait()


if __name__ == "__main__":
    main()

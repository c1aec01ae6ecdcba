"""Runs the sandbox until it is interrupted: `python -m sandbox`."""

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
from sandbox.web import CONTROL


def main() -> None:
    """Starts both vendors and tells the settings that lead to them."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same history")
    parser.add_argument("--calls", type=int, default=500, help="calls of each vendor")
    parser.add_argument("--days", type=float, default=30, help="how far they reach back")
    parser.add_argument("--page-size", type=int, default=100, help="rows of a Zendesk page")
    parser.add_argument("--port", type=int, default=8650, help="the first of four ports")
    parser.add_argument("--database", type=Path, help="start PostgreSQL too, in this folder")
    options = vars(parser.parse_args())
    folder: Path | None = options.pop("database")
    over = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: over.set())
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(**options))
        places = {
            "Zendesk": sandbox.zendesk.url,
            "Talkdesk": sandbox.talkdesk.api_url,
            "Talkdesk's tokens": sandbox.talkdesk.token_url,
            "Talkdesk's files": sandbox.talkdesk.files_url,
            "Control": sandbox.zendesk.url + CONTROL,
        }
        for name, url in places.items():
            print(f"{name:<18} {url}", file=sys.stderr)  # noqa: T201 - beside its output
        print(json.dumps(sandbox.config, indent=2), flush=True)  # noqa: T201 - its output
        if folder is not None:
            folder.parent.mkdir(parents=True, exist_ok=True)
            url = stack.enter_context(database(folder)).sqlalchemy_url
            print(f"export TARGET_POSTGRES_SQLALCHEMY_URL='{url}'", flush=True)  # noqa: T201
        over.wait()


if __name__ == "__main__":
    main()

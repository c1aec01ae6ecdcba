"""Runs dbt commands in one process, because dbt takes longer to start than to build the models.

Reads the arguments of a command from each line of stdin, as a JSON array, and writes a line of JSON
with the result to stdout. dbt's own output goes to stderr. It runs in dbt's virtual environment.
"""

from __future__ import annotations

import json
import os
import sys

from dbt.cli.main import dbtRunner


def main() -> None:
    """Run commands until stdin ends."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    runner = dbtRunner()
    for line in sys.stdin:
        done = runner.invoke(json.loads(line))
        nodes = getattr(done.result, "results", None) or []
        result = {
            "success": done.success,
            "error": done.exception and str(done.exception),
            "nodes": {
                node.node.unique_id: {"status": str(node.status), "message": node.message}
                for node in nodes
            },
        }
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()

"""The floor of Zendesk's export: fetch a page, decode it, encode each row.

Run it as `python -m benchmarks.zendesk_floor URL TOKEN`. It writes RECORD messages to stdout.
"""

from __future__ import annotations

import sys

import msgspec
import requests


def main(url: str | None, token: str) -> None:
    """Write the rows of all pages, starting at a URL, until `next_page` repeats."""
    encoder = msgspec.json.Encoder()
    decoder = msgspec.json.Decoder()
    write = sys.stdout.buffer.write
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        while url is not None:
            page = decoder.decode(session.get(url, timeout=60).content)
            for row in page["calls"]:
                message = {"type": "RECORD", "stream": "zendesk_calls", "record": row}
                write(encoder.encode(message) + b"\n")
            url = page["next_page"] if page["next_page"] != url else None


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Forwards TCP ports, into a network namespace too, where loopback leads nowhere else."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
_CLONE_NEWNET = 0x40000000


@contextmanager
def forward(targets: dict[int, int | Path], *, namespace: str | None = None) -> Iterator[None]:
    """Forward ports of loopback, each to a port of this machine or to a Unix socket.

    Args:
        targets: The target of each port.
        namespace: The network namespace of the ports; by default that of this process.
    """
    # A socket stays in the namespace that its thread was in. The thread is used for nothing else.
    with ThreadPoolExecutor(1) as listener:
        sockets = list(listener.map(partial(_listen, namespace), targets))
    started: Future[asyncio.AbstractEventLoop] = Future()
    stopped = asyncio.Event()

    async def serve() -> None:
        for listening, target in zip(sockets, targets.values(), strict=True):
            await asyncio.start_server(partial(_forward, target), sock=listening)
        started.set_result(asyncio.get_running_loop())
        await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="forwarder", daemon=True)
    thread.start()
    try:
        yield
    finally:
        started.result().call_soon_threadsafe(stopped.set)
        thread.join()


def _listen(namespace: str | None, port: int) -> socket.socket:
    if namespace is not None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", namespace).open() as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((HOST, port))
    listening.settimeout(0)  # asyncio requires it
    return listening


async def _forward(
    target: int | Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        there = (
            await asyncio.open_connection(HOST, target)
            if isinstance(target, int)
            else await asyncio.open_unix_connection(target)
        )
    except OSError:
        writer.close()
        return
    with suppress(asyncio.CancelledError):  # at the end; asyncio would log it
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

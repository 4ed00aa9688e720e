"""A server that accepts and never answers, for what must not wait where others wait with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keywheel
from keywheel._keywheel import Registry
from support.installation import Installation


@contextmanager
def hanging(installation: Installation, ring: str) -> Iterator[tuple[keywheel.Ring, socket.socket]]:
    """The ring as a consumer ``web`` has it after its server was replaced by one that says nothing.

    Also gives the socket on which that one listens.
    """
    installation.stop()
    path = installation.url.partition(":")[2]
    Path(path).unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        registry = Registry()
        registry.configure(
            url=installation.url,
            token_file=installation.token_file("web"),
            first_use_timeout=60.0,
        )
        yield registry.ring(ring), listener
    registry.shutdown()


async def holds_up_nobody(work: Awaitable[object], listener: socket.socket) -> None:
    """The event loop goes on while ``work`` waits for the server, which then goes away."""
    task = asyncio.ensure_future(work)
    accepting = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
    # If the loop were held up, this would come to its turn when the work has given up.
    await asyncio.wait([task, accepting], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    connection, _ = accepting.result()
    listener.close()
    connection.close()
    await asyncio.wait([task])

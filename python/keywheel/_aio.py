"""Waiting for a ring in an event loop. No thread of a pool is held while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from keywheel._keywheel import Ring, Snapshot


class _Bell:
    """Wakes a coroutine from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self, _: Snapshot) -> None:
        """Called in the thread that tells of changes; the loop may have ended meanwhile."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout: float) -> None:
        """Returns when it rings, and after so many seconds anyhow."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout)
        self._rung.clear()


# A ring that is shut down rings no bell. So often, in seconds, is looked whether it was.
_LOOK = 1.0


async def _next(
    ring: Ring, bell: _Bell, after: Snapshot | None, timeout: float | None = None
) -> Snapshot | None:
    """What is held once it is something else than ``after``; raises once the ring is shut down."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while True:
        # A change before the subscription rings no bell.
        found = ring.wait_for_change(after, 0)
        left = _LOOK if deadline is None else min(_LOOK, deadline - loop.time())
        if found is not None or left <= 0:
            return found
        await bell.wait(left)


async def wait_for_change(
    ring: Ring, after: Snapshot | None = None, timeout: float | None = None
) -> Snapshot | None:
    """What is held once it is something else than ``after``; ``None`` when that took too long."""
    bell = _Bell()
    with ring.on_change(bell.ring):
        return await _next(ring, bell, after, timeout)


async def changed(ring: Ring) -> AsyncIterator[Snapshot]:
    """Each snapshot that follows the present one; several changes in a row may come as one."""
    bell = _Bell()
    with ring.on_change(bell.ring):
        last = ring.wait_for_change(None, 0)
        while True:
            last = await _next(ring, bell, last)
            if last is not None:
                yield last

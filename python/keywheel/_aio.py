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

    async def wait(self, timeout: float | None) -> bool:
        """Whether it rang in time."""
        try:
            await asyncio.wait_for(self._rung.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        self._rung.clear()
        return True


async def wait_for_change(
    ring: Ring, after: Snapshot | None = None, timeout: float | None = None
) -> Snapshot | None:
    """What is held once it is something else than ``after``; ``None`` when that took too long."""
    bell = _Bell()
    with ring.on_change(bell.ring):
        # A change before the subscription rings no bell.
        found = ring.wait_for_change(after, 0)
        if found is None and await bell.wait(timeout):
            found = ring.wait_for_change(after, 0)
        return found


async def changed(ring: Ring) -> AsyncIterator[Snapshot]:
    """Each snapshot that follows the present one; several changes in a row may come as one."""
    bell = _Bell()
    with ring.on_change(bell.ring):
        last = ring.wait_for_change(None, 0)
        while True:
            found = ring.wait_for_change(last, 0)
            if found is None:
                await bell.wait(None)
            else:
                last = found
                yield found

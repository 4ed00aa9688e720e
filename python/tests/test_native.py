"""What the native half offers besides guards and tokens: reading, waiting and listening."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from support.installation import PATIENCE, Installation, eventually, outlasting, secret_ring

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

Install = Callable[[str], Installation]


@pytest.fixture
def turned() -> TestRing:
    return TestRing("web")


def primary(ring: keywheel.Ring) -> str:
    version = ring.snapshot().primary
    assert version is not None
    assert version.secret is not None
    return version.secret.reveal()


def test_a_secret_that_is_read_is_always_the_primary(turned: TestRing) -> None:
    ring = turned.ring
    for _ in range(50):
        assert ring.secret().reveal() == primary(ring)
        turned.rotate()
    turned.rollback()
    assert ring.secret().reveal() == primary(ring)


def test_a_rotation_does_not_wait_for_an_idle_reader(install: Install) -> None:
    installation = install(outlasting(secret_ring("web")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    ring = registry.ring("web")
    first = ring.secret().reveal()
    # Nobody reads any more; the guard that was kept is let go of without that.
    installation.rotate("web")
    eventually(
        "the old one is retired",
        lambda: len(ring.snapshot().accepted) == 1 and ring.snapshot().version == 2,
    )
    assert ring.secret().reveal() != first
    assert registry.shutdown()


def test_a_listener_is_told_of_each_change(turned: TestRing) -> None:
    told: list[int | None] = []
    with turned.ring.on_change(lambda snapshot: told.append(snapshot.version)):
        for number in range(2, 6):
            turned.rotate()
            eventually(f"it is told of version {number}", lambda n=number: told[-1:] == [n])
    turned.rotate()
    with turned.ring.on_change(lambda snapshot: told.append(-1)) as other:
        other.close()
        turned.rotate()
    assert told[-1] == 5


def test_what_a_listener_raises_ends_nothing(
    turned: TestRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hook: raised.append(hook.exc_value))
    arrived = threading.Event()

    def fail(_: keywheel.Snapshot) -> None:
        raise RuntimeError("of the listener")

    with turned.ring.on_change(fail), turned.ring.on_change(lambda _: arrived.set()):
        for count in (1, 2):
            turned.rotate()
            assert arrived.wait(60)
            arrived.clear()
            eventually("it was raised", lambda n=count: len(raised) >= n)
    assert {str(error) for error in raised} == {"of the listener"}


def test_the_thread_ends_with_its_last_listener(turned: TestRing) -> None:
    def threads() -> set[str]:
        found = set()
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/comm") as comm:
                    if comm.read().strip() == "keywheel-notify":
                        found.add(task)
            except OSError:
                continue
        return found

    # A thread of the test before may still be on its way out.
    before = threads()
    one, two = turned.ring.on_change(print), turned.ring.on_change(print)
    eventually("one thread runs", lambda: len(threads() - before) == 1)
    own = threads() - before
    one.close()
    two.close()
    two.close()
    eventually("it has ended", lambda: not own & threads())


def test_waiting_for_a_change(turned: TestRing) -> None:
    ring = turned.ring
    first = ring.wait_for_change()
    assert first is not None
    assert ring.wait_for_change(first, 0.01) is None
    turned.rotate()
    second = ring.wait_for_change(first)
    assert second is not None
    assert second.version == 2
    waiter = threading.Thread(target=lambda: found.append(ring.wait_for_change(second, 60)))
    found: list[keywheel.Snapshot | None] = []
    waiter.start()
    turned.rotate()
    waiter.join(60)
    # What was published comes before what protects, and either is a change.
    assert [snapshot.revision > second.revision for snapshot in found if snapshot] == [True]
    with pytest.raises(ValueError, match="seconds"):
        ring.wait_for_change(second, -1)


async def test_waiting_in_an_event_loop(turned: TestRing) -> None:
    ring = turned.ring
    first = await ring.wait_for_change_async()
    assert first is not None
    assert await ring.wait_for_change_async(first, 0.01) is None
    task = asyncio.ensure_future(ring.wait_for_change_async(first))
    await asyncio.sleep(0)
    turned.rotate()
    second = await task
    assert second is not None

    cancelled = asyncio.ensure_future(ring.wait_for_change_async(ring.snapshot()))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_who_waits_is_told_of_a_shutdown(install: Install) -> None:
    installation = install(outlasting(secret_ring("web")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    ring = registry.ring("web")
    first = ring.snapshot()
    waiting = [
        asyncio.ensure_future(ring.wait_for_change_async(first)),
        asyncio.ensure_future(ring.wait_for_change_async(first, 80)),
        asyncio.ensure_future(ring.changed().__anext__()),
    ]
    await asyncio.sleep(0)
    assert registry.shutdown()
    ended, _ = await asyncio.wait(waiting, timeout=60)
    assert ended == set(waiting)
    assert [type(task.exception()) for task in waiting] == [keywheel.UnavailableError] * 3


async def test_the_snapshots_to_come(turned: TestRing) -> None:
    seen: list[int | None] = []
    began = asyncio.Event()

    async def follow() -> None:
        changes = turned.ring.changed()
        coming = asyncio.ensure_future(changes.__anext__())
        await asyncio.sleep(0)
        began.set()
        while True:
            snapshot = await coming
            seen.append(snapshot.version)
            if snapshot.version == 4:
                return
            coming = asyncio.ensure_future(changes.__anext__())

    following = asyncio.ensure_future(follow())
    await began.wait()
    for _ in range(3):
        turned.rotate()
        await asyncio.sleep(0)
    await asyncio.wait_for(following, 60)
    assert seen[-1] == 4
    assert seen == sorted(seen, key=lambda number: number or 0)


def test_the_end_of_the_interpreter_waits_for_no_listener(install: Install) -> None:
    installation = install(outlasting(secret_ring("web")))
    installation.token("web", "web")
    script = (
        "import keywheel\n"
        "ring = keywheel.ring('web')\n"
        "kept = [ring.on_change(print) for _ in range(3)]\n"
        "from keywheel.testing import TestRing\n"
        "turned = TestRing('t')\n"
        "turned.ring.on_change(lambda _: None)\n"
        "turned.rotate()\n"
        "ring.snapshot()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **installation.environment("web")},
        timeout=PATIENCE,
        capture_output=True,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_forked_child_goes_on_listening(turned: TestRing) -> None:
    read, write = os.pipe()
    with turned.ring.on_change(lambda s: os.write(write, f"{os.getpid()}:{s.version};".encode())):
        child = os.fork()
        if child == 0:
            turned.rotate()
            turned.ring.wait_for_change(None, PATIENCE)
            threading.Event().wait(PATIENCE)
            os._exit(1)
        told = b""
        while f"{child}:2;".encode() not in told:
            chunk = os.read(read, 100)
            assert chunk
            told += chunk
        os.kill(child, 9)
        os.waitpid(child, 0)
    os.close(read)
    os.close(write)

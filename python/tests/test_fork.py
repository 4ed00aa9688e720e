"""Forked, spawned and restarted processes: each is live, and none is another one."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable

import pytest
from support.installation import PATIENCE, Installation, eventually, secret_ring, signing_ring

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

Install = Callable[[str], Installation]
FULL = os.environ.get("KEYWHEEL_SCALE") == "full"
# A fork with threads is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(work: Callable[[], bytes]) -> tuple[int, int]:
    """Forks; the child writes what ``work`` gives into the pipe whose end is returned."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    status = 1
    try:
        os.write(write, work())
        status = 0
    except BaseException:
        # The parent only sees that it failed.
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def answer(child: int, read: int) -> bytes:
    """What the child wrote. One that hangs is ended, and is a failure."""
    with os.fdopen(read, "rb", 0) as pipe:
        ready, _, _ = select.select([pipe], [], [], PATIENCE)
        written = pipe.read() if ready else b""
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert ready, "the child hangs"
    assert status == 0
    return written


def connect(installation: Installation, *rings: str, **more: str) -> Registry:
    """What a process of the consumer ``web`` has."""
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"), **more)
    for name in rings:
        registry.ring(name)
    return registry


def test_forks_during_reloads_under_threads_never_hang() -> None:
    turned = TestRing("web", algorithm="HS256")
    ring = turned.ring
    ended = threading.Event()
    failed: list[BaseException] = []
    heard: list[object] = []

    def use() -> bytes:
        with ring.guard() as guard:
            version = guard.version
        token = keywheel.jwt.encode({"sub": "alice"}, ring)
        assert keywheel.jwt.decode(token, ring)["sub"] == "alice"
        assert ring.secret().reveal_bytes()
        assert version <= (ring.snapshot().version or 0)
        return b"live"

    def again_and_again(work: Callable[[], object]) -> None:
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            failed.append(error)

    def reload() -> None:
        turned.rotate()
        if turned.ring.snapshot().version % 8 == 0:  # type: ignore[operator]
            turned.retire()

    def read() -> None:
        ring.snapshot()
        ring.secret()
        with ring.guard():
            pass

    def listen() -> None:
        heard = threading.Event()
        with ring.on_change(lambda _: heard.set()):
            # Its thread begins, calls and ends while others fork.
            while not heard.wait(0.1) and not ended.is_set():
                pass

    works: list[Callable[[], object]] = [read, read, read, reload, listen]
    threads = [threading.Thread(target=again_and_again, args=(work,)) for work in works]
    # The threads leave the interpreter to each other sooner, so that this one gets its turn.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    for thread in threads:
        thread.start()
    try:
        with turned.ring.on_change(lambda snapshot: heard.append(snapshot.version)):
            for _ in range(1_000 if FULL else 200):
                assert answer(*in_child(use)) == b"live"
            eventually("it hears of changes", lambda: heard)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert failed == []


CHANGED_AT_THE_END = """
import threading
from keywheel.testing import TestRing

turned = TestRing("web")
called = threading.Event()

def work(snapshot):
    called.set()
    while {goes_on}:
        pass
    sum(range(100_000))

turned.ring.on_change(work)
turned.rotate()
called.wait()
"""


@pytest.mark.parametrize("goes_on", ["False", "threading.main_thread().is_alive()"])
def test_a_process_ends_well_while_a_callback_runs(goes_on: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHANGED_AT_THE_END.format(goes_on=goes_on)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_child_that_listens_hears_of_its_own_changes() -> None:
    turned = TestRing("web")
    heard: list[int | None] = []

    def hear() -> bytes:
        turned.rotate()
        eventually("the child hears", lambda: turned.ring.snapshot().version in heard)
        return b"heard"

    with turned.ring.on_change(lambda snapshot: heard.append(snapshot.version)):
        for _ in range(5):
            assert answer(*in_child(hear)) == b"heard"
        assert hear() == b"heard"


def test_each_child_and_grandchild_is_live_under_its_own_name(install: Install) -> None:
    installation = install(secret_ring("web"))
    installation.token("web", "web")
    registry = connect(installation, "web")
    ring = registry.ring("web")
    ring.snapshot()

    def identity() -> bytes:
        ring.snapshot()
        eventually("it is proved", lambda: ring.health()["proved"])
        return str(ring.health()["instance"]).encode()

    def with_grandchild() -> bytes:
        own = identity()
        return own + b" " + answer(*in_child(identity))

    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            ring.snapshot()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        installation.rotate("web")
        names = [identity().decode()]
        # Each child and grandchild registers, loads and proves. The time grows with their number
        # and no faster: 1,000 take minutes, most of them waiting for a turn on a busy machine.
        for _ in range(200 if FULL else 20):
            names.extend(answer(*in_child(with_grandchild)).decode().split())
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert "None" not in names
    assert len(set(names)) == len(names)
    assert registry.shutdown()


def test_children_draw_different_names_for_their_tokens() -> None:
    ring = TestRing("access", algorithm="HS256").ring
    keywheel.jwt.encode({}, ring)

    def draw() -> bytes:
        token = keywheel.jwt.encode({}, ring)
        return str(keywheel.jwt.decode(token, ring)["jti"]).encode()

    drawn = [draw() for _ in range(10)]
    drawn += [answer(*in_child(draw)) for _ in range(1_000)]
    assert len(set(drawn)) == len(drawn)


def fingerprint(ring: keywheel.Ring, into: multiprocessing.SimpleQueue[object]) -> None:
    """What another process holds of a ring that was sent to it by name."""
    into.put((ring.snapshot().version, ring.health()["instance"]))
    keywheel.shutdown()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_ring_goes_to_another_process_by_its_name(
    install: Install, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    installation = install(secret_ring("web"))
    installation.token("web", "web")
    for name, value in installation.environment("web").items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    # Nothing of it is used in this process.
    ring = keywheel.ring("web")
    process = context.Process(target=fingerprint, args=(ring, queue))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0
    version, instance = queue.get()
    assert (version, instance is None) == (1, False)


def test_a_new_process_starts_while_the_server_is_down(
    install: Install, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lasting = secret_ring("web").replace('offline_max = "2s"', 'offline_max = "10m"')
    installation = install(lasting)
    installation.token("web", "web")
    cache = str(tmp_path_factory.mktemp("cache"))
    os.chmod(cache, 0o700)
    registry = connect(installation, "web", host_cache=cache)
    ring = registry.ring("web")
    ring.snapshot()
    eventually("it is proved", lambda: ring.health()["proved"])
    # Beside it stands what is being written.
    eventually("it is cached", lambda: any(file.endswith(".kwcache") for file in os.listdir(cache)))
    installation.stop()
    script = (
        "import keywheel\n"
        "ring = keywheel.ring('web')\n"
        "health = (ring.snapshot(), ring.health())[1]\n"
        "with ring.guard() as guard:\n"
        "    print(guard.version, health['from_cache'], health['stale'], health['proved'])\n"
    )
    environment = {**os.environ, **installation.environment("web"), "KEYWHEEL_HOST_CACHE": cache}
    started = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (started.stdout, started.returncode) == ("1 True True False\n", 0), started.stderr
    registry.shutdown()


def test_an_outage_shows_and_ends_what_the_policy_says(install: Install) -> None:
    strict = signing_ring("strict", lifetime="10m", more='revocations_stale_after = "5s"\n')
    installation = install(strict + signing_ring("lax", lifetime="10m"))
    installation.token("web", "strict", "lax")
    registry = connect(installation, "strict", "lax")
    strict_ring, lax_ring = registry.ring("strict"), registry.ring("lax")
    tokens = [keywheel.jwt.encode({"sub": "alice"}, ring) for ring in (strict_ring, lax_ring)]
    assert not strict_ring.health()["stale"]
    assert not strict_ring.is_revoked({"jti": "a"})
    installation.stop()
    eventually("it says that it is stale", lambda: lax_ring.health()["stale"])
    eventually("it may protect no more", lambda: lax_ring.health()["offline"])
    for protect in (lax_ring.secret, lambda: keywheel.jwt.encode({}, lax_ring)):
        with pytest.raises(keywheel.ProtectError):
            protect()
    assert keywheel.jwt.decode(tokens[1], lax_ring)["sub"] == "alice"
    assert not lax_ring.is_revoked({"jti": "a"})
    eventually("what is revoked is not known", lambda: strict_ring.health()["revocations_stale"])
    with pytest.raises(keywheel.RevocationsStaleError):
        strict_ring.is_revoked({"jti": "a"})
    with pytest.raises(keywheel.exceptions.StaleRevocationsError):
        keywheel.jwt.decode(tokens[0], strict_ring)
    installation.start()
    eventually("it is in contact again", lambda: not lax_ring.health()["stale"])
    eventually(
        "what is revoked is known again", lambda: not strict_ring.health()["revocations_stale"]
    )
    assert keywheel.jwt.decode(tokens[0], strict_ring)["sub"] == "alice"
    registry.shutdown()

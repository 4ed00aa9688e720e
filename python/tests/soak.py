"""Many rotations in one process: whatever a keyset brings must leave with it.

``python tests/soak.py`` goes through 10,000 on a ring that is turned by hand, and with
``KEYWHEEL_BIN`` through 1,000 on a real server, and prints how the memory of the process grows
after the first quarter. A test does the same with few.

Whoever turns the rings of the server does so in a process of its own: the answers of the server
name every version that there ever was, and so does the memory of whoever reads them.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

SAMPLES = 40
#: How many rings of a server are turned at the same time.
RINGS = 5


@dataclass
class Growth:
    """How the memory of the process grew after its warm-up."""

    rotations: int
    first_kib: int
    last_kib: int
    #: The slope of the line through the samples.
    kib_per_thousand: float
    #: Threads and open files at the end beyond those after the warm-up.
    threads: int
    files: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.rotations} rotations in {self.seconds:.0f} s: {self.first_kib} KiB after the "
            f"warm-up, {self.last_kib} KiB at the end, {self.kib_per_thousand:+.1f} KiB per 1,000 "
            f"rotations, {self.threads:+d} threads, {self.files:+d} files"
        )


def resident_kib() -> int:
    """The memory of this process that is resident."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_024


def counts() -> tuple[int, int]:
    """How many threads and open files this process has."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def slope(samples: list[tuple[int, int]]) -> float:
    """The slope of the line of least squares."""
    middle_x = sum(x for x, _ in samples) / len(samples)
    middle_y = sum(y for _, y in samples) / len(samples)
    above = sum((x - middle_x) * (y - middle_y) for x, y in samples)
    return above / sum((x - middle_x) ** 2 for x, _ in samples)


def follow(step: Callable[[int], None], steps: int, rotations: int = 1) -> Growth:
    """Takes ``step`` so often, each so many rotations, and looks at the memory meanwhile."""
    began = time.monotonic()
    warm = steps // 4
    every = max(1, (steps - warm) // SAMPLES)
    samples: list[tuple[int, int]] = []
    before = counts()
    for number in range(steps):
        step(number)
        if number == warm:
            before = counts()
        if number >= warm and (number - warm) % every == 0:
            samples.append((number * rotations, resident_kib()))
    samples.append((steps * rotations, resident_kib()))
    after = counts()
    return Growth(
        rotations=steps * rotations,
        first_kib=samples[0][1],
        last_kib=samples[-1][1],
        kib_per_thousand=slope(samples) * 1_000,
        threads=after[0] - before[0],
        files=after[1] - before[1],
        seconds=time.monotonic() - began,
    )


def use(ring: keywheel.Ring, older: str | None) -> str:
    """What a request does: accepts what is older, and makes something new."""
    if older is not None:
        assert keywheel.jwt.decode(older, ring, audience="soak")["sub"] == "alice"
    ring.secret()
    with ring.guard() as guard:
        assert guard.version == ring.snapshot().version
    assert not ring.is_revoked({"jti": "nobody's"})
    return keywheel.jwt.encode({"sub": "alice", "aud": "soak"}, ring)


def by_hand(rotations: int, algorithm: str = "HS256") -> Growth:
    """Rotations of a ring that is turned by hand."""
    turned = TestRing("soak", algorithm=algorithm)
    told: list[int | None] = [None]
    last: list[str | None] = [None]

    def step(number: int) -> None:
        turned.rotate()
        last[0] = use(turned.ring, last[0])
        if number % 100 == 50:
            turned.rollback()
            last[0] = use(turned.ring, last[0])
        turned.retire()
        if number % 100 == 50:
            return
        use(turned.ring, last[0])

    def hear(snapshot: keywheel.Snapshot) -> None:
        told[0] = snapshot.version

    with turned.ring.on_change(hear):
        return follow(step, rotations)


def on_a_server(rotations: int) -> Growth:
    """Rotations of the rings of a real server, as fast as its rules permit."""
    from support.installation import installed, outlasting, signing_ring

    names = [f"soak-{number}" for number in range(min(RINGS, rotations))]
    # A busy machine must not look like an outage.
    text = outlasting("".join(signing_ring(name, lifetime="1s") for name in names))
    with installed(text) as installation:
        registry = Registry()
        file = installation.token("web", *names)
        registry.configure(url=installation.url, token_file=file)
        rings = [registry.ring(name) for name in names]
        for ring in rings:
            ring.snapshot()
        command = [sys.executable, __file__, "--turn", str(installation.folder)]
        turning = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert turning.stdin is not None
        assert turning.stdout is not None

        def step(_: int) -> None:
            before = [ring.snapshot().version or 0 for ring in rings]
            for ring in rings:
                use(ring, None)
            print(*names, file=turning.stdin, flush=True)
            assert turning.stdout is not None
            assert turning.stdout.readline() == "at rest\n"
            for ring, version in zip(rings, before):
                assert (ring.snapshot().version or 0) > version
                use(ring, None)

        growth = follow(step, rotations // len(names), len(names))
        turning.stdin.close()
        turning.stdout.close()
        assert turning.wait() == 0
        assert registry.shutdown()
        return growth


def turn(folder: Path) -> None:
    """Turns the rings that each line names, and says when they are at rest."""
    from support.installation import Installation, eventually

    installation = Installation.of(folder)

    def is_at_rest(name: str) -> bool:
        stage: str = installation.ring(name)["stage"]
        return stage == "rest"

    for line in sys.stdin:
        for name in line.split():
            installation.rotate(name)
        for name in line.split():
            eventually("it is at rest", lambda name=name: is_at_rest(name))  # type: ignore[misc]
        print("at rest", flush=True)


def main() -> None:
    """Goes through everything at full size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=10_000)
    parser.add_argument("--server-rotations", type=int, default=1_000)
    parser.add_argument("--turn", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.turn is not None:
        turn(given.turn)
        return
    print("By hand:", by_hand(given.rotations), flush=True)
    if "KEYWHEEL_BIN" in os.environ:
        print("On a server:", on_a_server(given.server_rotations), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()

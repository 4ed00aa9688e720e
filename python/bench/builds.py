"""One package in several builds: the same few calls, each build in a process of its own.

Each process measures what it was asked for and prints it as JSON; the builds take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

AUDIENCE, ISSUER = "orders", "https://issuer.example"


def work() -> dict[str, Callable[[], Any]]:
    """What is measured, each 200 calls."""
    import keywheel
    from keywheel.testing import TestRing

    turned = TestRing("bench", algorithm="HS256")
    turned.rotate()
    turned.rotate()
    ring, now = turned.ring, int(time.time())
    claims = [
        {
            "iss": ISSUER,
            "sub": f"user-{number}",
            "aud": AUDIENCE,
            "exp": now + 3_600,
            "iat": now,
            "jti": f"{number:032x}",
            "scope": "read write",
        }
        for number in range(200)
    ]
    tokens = [keywheel.jwt.encode(one, ring) for one in claims]
    decode, encode, snapshot = keywheel.jwt.decode, keywheel.jwt.encode, ring.snapshot
    verifier = keywheel.jwt.Verifier(ring, audience=AUDIENCE, issuer=ISSUER).decode
    audience, issuer = AUDIENCE, ISSUER

    def decoding() -> None:
        for token in tokens:
            decode(token, ring, audience=audience, issuer=issuer)

    def verifying() -> None:
        for token in tokens:
            verifier(token)

    def encoding() -> None:
        for one in claims:
            encode(one, ring)

    def reading() -> None:
        for _ in claims:
            snapshot()

    return {
        "decode HS256": decoding,
        "`Verifier`": verifying,
        "encode HS256": encoding,
        "`snapshot()`": reading,
    }


def measure(parts: int) -> dict[str, float]:
    """Nanoseconds of each call: the least of some parts, because others only add to it."""
    taken = {}
    for name, calls in work().items():
        calls()
        each = []
        for _ in range(parts):
            began = time.process_time_ns()
            for _ in range(20):
                calls()
            each.append((time.process_time_ns() - began) / 20 / 200)
        taken[name] = min(each)
    return taken


def section(folders: dict[str, str], rounds: int) -> None:
    """Prints a table of the builds in these folders."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in folders}
    for _ in range(rounds):
        for name, folder in folders.items():
            environment = {**os.environ, "PYTHONPATH": folder}
            command = [sys.executable, __file__]
            answer = subprocess.run(command, capture_output=True, env=environment, check=True)
            taken[name].append(json.loads(answer.stdout))
    first = next(iter(folders))
    names = list(taken[first][0])
    print("\n**The builds of the wheel**, HS256, nothing revoked, CPU ns (times the first):\n")
    print("| | " + " | ".join(names) + " |")
    print("|---|" + "--:|" * len(names))
    for build, found in taken.items():
        cells = []
        for name in names:
            times = median(one[name] / other[name] for one, other in zip(found, taken[first]))
            cells.append(f"{median(one[name] for one in found):.0f} ({times:.2f}×)")
        print(f"| {build} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    print(json.dumps(measure(9)))

"""Thousands of rotations under a Flask application that goes on: its memory does not grow."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from flask import Flask, session

import keywheel
import keywheel.flask
from keywheel.testing import TestRing

ROTATIONS = 10_000 if os.environ.get("KEYWHEEL_SCALE") == "full" else 1_000
# The allocator and the caches have settled by then.
WARM_UP = ROTATIONS // 5
SAMPLES = 50


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope(points: list[tuple[float, float]]) -> float:
    """By least squares."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return over / sum((x - mean_x) ** 2 for x, _ in points)


def shop(ring: keywheel.Ring) -> Any:
    app = Flask("shop")
    keywheel.flask.init_app(app, session=ring)

    @app.post("/login")
    def login() -> str:
        session["user"] = "ada"
        return ""

    @app.get("/me")
    def me() -> tuple[str, int]:
        return "", 200 if "user" in session else 401

    return app


def test_memory_does_not_grow_with_rotations(record_property: Any) -> None:
    web, api = TestRing("web"), TestRing("api", algorithm="HS256")
    heard: list[int] = []
    client = shop(web.ring).test_client()
    points: list[tuple[float, float]] = []
    with web.ring.on_change(lambda snapshot: heard.append(snapshot.revision)):
        for turn in range(ROTATIONS):
            assert client.post("/login").status_code == 200
            token = keywheel.jwt.encode({"sub": "ada"}, api.ring)
            web.rotate(), api.rotate()
            assert client.get("/me").status_code == 200
            assert keywheel.jwt.decode(token, api.ring)["sub"] == "ada"
            web.rollback()
            web.rotate()
            web.retire(), api.retire()
            del heard[:]
            if turn >= WARM_UP and turn % max(1, (ROTATIONS - WARM_UP) // SAMPLES) == 0:
                gc.collect()
                points.append((float(turn), float(resident_bytes())))
    per_rotation = slope(points)
    record_property("rotations", ROTATIONS)
    record_property("bytes per rotation", round(per_rotation, 2))
    print(f"{ROTATIONS} rotations: {per_rotation:.2f} bytes for each, {points[-1][1]:.0f} in all")
    # A keyset that was left behind would be thousands of bytes for each.
    assert per_rotation < 200

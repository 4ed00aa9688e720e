"""What the applications of the matrix share: which process answers, and what it holds."""

from __future__ import annotations

import os
from typing import Any

import keywheel
from keywheel.exceptions import InvalidTokenError

ring = keywheel.ring(os.environ["MATRIX_RING"])

if os.environ.get("MATRIX_USE_AT_IMPORT"):
    # The worst that a preloaded application can do: the parent is a client itself by the fork.
    ring.snapshot()


def where() -> dict[str, Any]:
    """Which process this is, and what it holds."""
    snapshot = ring.snapshot()
    return {
        "pid": os.getpid(),
        "instance": ring.health()["instance"],
        "version": snapshot.version,
        "accepted": [version.number for version in snapshot.accepted],
    }


def token_is_good(authorization: str) -> bool:
    """Whether the ring accepts this bearer's token."""
    try:
        claims = keywheel.jwt.decode(authorization.rpartition(" ")[2], ring)
    except InvalidTokenError:
        return False
    return bool(claims["sub"] == "alice")

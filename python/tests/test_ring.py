"""A ring in one process, against a real server."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest
from support.installation import Installation, eventually, outlasting, secret_ring, signing_ring

import keywheel
from keywheel._keywheel import Registry

Install = Callable[[str], Installation]


@pytest.fixture
def web(install: Install) -> tuple[Installation, Registry]:
    """A server with a ring, and what a process of its consumer has."""
    installation = install(
        outlasting(secret_ring("session") + signing_ring("access", lifetime="10m"))
    )
    file = installation.token("web", "session", "access")
    registry = Registry()
    registry.configure(url=installation.url, token_file=file)
    return installation, registry


def test_a_ring_follows_its_rotation(web: tuple[Installation, Registry]) -> None:
    installation, registry = web
    ring, access = registry.ring("session"), registry.ring("access")
    first = ring.snapshot()
    assert first.version == 1
    assert first.primary is not None
    token = keywheel.jwt.encode({"sub": "alice"}, access)
    with ring.guard() as guard:
        assert guard.version == 1
    installation.rotate("session")
    eventually("the new version protects", lambda: ring.snapshot().version == 2)
    assert [version.number for version in ring.snapshot().accepted][:2] == [2, 1]
    eventually("the old one is retired", lambda: len(ring.snapshot().accepted) == 1)
    assert keywheel.jwt.decode(token, access)["sub"] == "alice"
    eventually("the newest keyset is proved", lambda: ring.health()["proved"])
    assert registry.shutdown()


def test_importing_and_naming_a_ring_does_nothing() -> None:
    script = (
        "import os, keywheel\n"
        "ring = keywheel.ring('web')\n"
        "print(len(os.listdir('/proc/self/task')), ring)\n"
        "names = [os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')[:-1]]\n"
        "print([name for name in names if 'socket' in name])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert output.stdout == "1 <keywheel.Ring web>\n[]\n"


def test_a_secret_shows_itself_to_nobody(web: tuple[Installation, Registry]) -> None:
    _, registry = web
    primary = registry.ring("session").snapshot().primary
    assert primary is not None
    assert primary.secret is not None
    secret = primary.secret
    shown = secret.reveal()
    assert len(shown) >= 32
    assert secret.reveal_bytes() == shown.encode()
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        repr(primary),
        repr(registry.ring("session").snapshot()),
    ):
        assert shown not in text
    assert not isinstance(secret, str)
    assert secret != primary.secret
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)
    registry.shutdown()

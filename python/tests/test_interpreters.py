"""One native module for every CPython from 3.9 on, as far as they are on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent

USE = """
import sys, threading
import keywheel
assert len(threading.enumerate()) == 1
for module in ("asgi", "celery", "environ", "gunicorn", "inspect", "testing", "uwsgi"):
    __import__("keywheel." + module)
from keywheel.testing import TestRing
ring = TestRing("api", algorithm="EdDSA")
heard = threading.Event()
listening = ring.ring.on_change(lambda snapshot: heard.set())
token = keywheel.jwt.encode({"sub": "ada"}, ring.ring)
ring.rotate()
assert keywheel.jwt.decode(token, ring.ring)["sub"] == "ada"
assert heard.wait(90)
ring.retire()
try:
    keywheel.jwt.decode(token, ring.ring)
except keywheel.exceptions.InvalidTokenError as error:
    print(*sys.version_info[:2])
else:
    raise SystemExit("a retired key is accepted")
"""


def interpreters() -> list[Path]:
    """Those that pyenv keeps, and those on the search path."""
    found = [*Path.home().glob(".pyenv/versions/3.*/bin/python")]
    found += [Path(path) for minor in range(9, 15) if (path := shutil.which(f"python3.{minor}"))]
    return found


def version(python: Path) -> tuple[int, int] | None:
    asked = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    numbers = asked.stdout.split()
    return (int(numbers[0]), int(numbers[1])) if asked.returncode == 0 else None


def test_the_package_works_on_every_interpreter_that_is_here(tmp_path: Path) -> None:
    by_version = {found: python for python in interpreters() if (found := version(python))}
    supported = {found: python for found, python in by_version.items() if found >= (3, 9)}
    if not supported:
        pytest.skip("there is no other interpreter on this machine")
    for (major, minor), python in sorted(supported.items()):
        command = [
            python,
            "-I",
            "-W",
            "error",
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE)!r})\n{USE}",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ran.stdout.split() == [str(major), str(minor)], f"{python}: {ran.stderr}"
        # The modules of frameworks too are in that version's language.
        compiled = [
            python,
            "-I",
            "-m",
            "compileall",
            "-q",
            "-f",
            "-d",
            "x",
            str(PACKAGE / "keywheel"),
        ]
        environment = {"PYTHONPYCACHEPREFIX": str(tmp_path)}
        ran = subprocess.run(compiled, capture_output=True, text=True, check=False, env=environment)
        assert ran.returncode == 0, f"{python}: {ran.stdout}"

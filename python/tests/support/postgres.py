"""A PostgreSQL of its own for a test, on a socket in a folder, with pgcrypto."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from support.installation import PATIENCE


def _programs() -> Path:
    """Where Debian keeps the programs of the newest version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        pytest.skip("apt-get install postgresql")
    return versions[-1].parent


@contextmanager
def postgres() -> Iterator[str]:
    """The folder of the socket of a server that has pgcrypto; its role is ``owner``."""
    programs = _programs()
    with tempfile.TemporaryDirectory() as folder:
        user: int | None = None
        if os.getuid() == 0:
            # The server refuses root.
            entry = pwd.getpwnam("postgres")
            user = entry.pw_uid
            os.chown(folder, entry.pw_uid, entry.pw_gid)

        def program(name: str, *arguments: str) -> list[str]:
            return [str(programs / name), *arguments]

        options = {"cwd": folder, "user": user, "stdout": subprocess.DEVNULL}
        init = program(
            "initdb", "-D", "data", "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8"
        )
        subprocess.run(init, check=True, **options)  # type: ignore[call-overload]
        start = program("postgres", "-D", "data", "-F", "-c", "listen_addresses=", "-k", folder)
        server = subprocess.Popen(start, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
        try:
            _create_extension(folder, server)
            yield folder
        finally:
            server.kill()
            server.wait()
            shutil.rmtree(Path(folder) / "data", ignore_errors=True)


def _create_extension(folder: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with psycopg.connect(host=folder, user="owner", dbname="postgres") as connection:
                connection.execute("CREATE EXTENSION pgcrypto")
            return
        except psycopg.OperationalError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server takes no connection"
            time.sleep(0.05)

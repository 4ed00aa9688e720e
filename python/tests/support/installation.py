"""A ``keywheel`` of its own for one test: a folder, the real binary, and its server."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# No condition that a test waits for takes this long, however busy the machine is.
PATIENCE = 180.0

SERVER = """\
[server]
listen = ["unix:s"]
state_dir = "state"
name = "test"
lease_ttl = "2s"
"""


def secret_ring(name: str, lifetime: str = "3s", consumer: str = "web", more: str = "") -> str:
    """A ring of the kind ``secret`` that rotates as fast as its rules permit."""
    return _ring(name, 'kind = "secret"\n' + more, lifetime, consumer)


def signing_ring(
    name: str, algorithm: str = "HS256", lifetime: str = "3s", consumer: str = "web", more: str = ""
) -> str:
    """A ring of the kind ``signing`` that rotates as fast as its rules permit."""
    return _ring(name, f'kind = "signing"\nalgorithm = "{algorithm}"\n' + more, lifetime, consumer)


def encryption_ring(
    name: str, algorithm: str = "Fernet", consumer: str = "web", more: str = ""
) -> str:
    """A ring of the kind ``encryption``."""
    return _ring(name, f'kind = "encryption"\nalgorithm = "{algorithm}"\n' + more, "3s", consumer)


def _ring(name: str, head: str, lifetime: str, consumer: str) -> str:
    return f"""
[ring.{name}]
{head}
longest_lifetime = "{lifetime}"
skew = "0s"
lease_ttl = "2s"
{_OFFLINE_MAX}
stall_after = "5m"
[[ring.{name}.consumer]]
name = "{consumer}"
role = "protect"
"""


def outlasting(rings: str) -> str:
    """The same rings, which go on without their server for longer than any test."""
    assert _OFFLINE_MAX in rings
    return rings.replace(_OFFLINE_MAX, 'offline_max = "10m"')


_OFFLINE_MAX = 'offline_max = "2s"'


def binary() -> Path:
    """The binary under test."""
    return Path(os.environ["KEYWHEEL_BIN"])


def eventually(what: str, ready: Callable[[], T | None]) -> T:
    """What ``ready`` gives as soon as it is something."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ready()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"within {PATIENCE:.0f} s it never happened that {what}")
        time.sleep(0.01)


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


class RefusedError(Exception):
    """The server answered with a problem document."""


class Installation:
    """A folder with a configuration, the binary, and its server."""

    def __init__(self, rings: str) -> None:
        # The path of a unix socket has a hundred bytes at most, so the folder has a short name.
        self.folder = Path(tempfile.mkdtemp(prefix="kw"))
        (self.folder / "keywheel.toml").write_text(SERVER + rings)
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, folder: Path) -> Installation:
        """One that another process has made and runs."""
        installation = cls.__new__(cls)
        installation.folder, installation._server = folder, None
        return installation

    @property
    def url(self) -> str:
        """Where clients find the server."""
        return f"unix:{self.folder}/state/s"

    def start(self, *more: str) -> None:
        """Starts the server, with more arguments, and waits until it answers."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KEYWHEEL_")}
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [binary(), "serve", *more],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        eventually("the server answers", self._is_ready)

    def _is_ready(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError((self.folder / "server.log").read_text())
        try:
            self.call("GET", "/readyz", token=None)
        except (OSError, http.client.HTTPException, RefusedError):
            return False
        return True

    def stop(self) -> None:
        """Kills the server."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def pause(self) -> None:
        """Lets the server stand still, so that it answers nobody."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets the server go on."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kills the server and removes the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, path: str, body: Any = None, token: str | None = "admin") -> Any:
        """A call of the API with the named token of this installation."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            file = self.folder / "state/admin.token" if token == "admin" else self.token_file(token)
            headers["Authorization"] = f"Bearer {file.read_text().strip()}"
        connection = Connection(f"{self.folder}/state/s")
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 400:
                raise RefusedError(f"{method} {path}: {answer.status} {text.decode()}")
            return json.loads(text) if text.startswith((b"{", b"[")) else text
        finally:
            connection.close()

    def token_file(self, consumer: str) -> Path:
        """Where the token of a consumer stands."""
        return self.folder / f"{consumer}.token"

    def token(self, consumer: str, *rings: str, role: str = "consumer") -> Path:
        """Makes a token for a consumer; gives its file."""
        body = {"name": consumer, "role": role, "rings": list(rings)}
        if role == "consumer":
            body["consumer"] = consumer
        file = self.token_file(consumer)
        file.touch(mode=0o600)
        file.write_text(self.call("POST", "/v1/tokens", body)["token"])
        return file

    def environment(self, consumer: str) -> dict[str, str]:
        """The environment in which a process of a consumer finds the server."""
        return {"KEYWHEEL_URL": self.url, "KEYWHEEL_TOKEN_FILE": str(self.token_file(consumer))}

    def ring(self, name: str) -> dict[str, Any]:
        """How a ring stands."""
        status: dict[str, Any] = self.call("GET", f"/v1/rings/{name}")
        return status

    def verb(self, name: str, verb: str, **body: Any) -> dict[str, Any]:
        """An operator's verb: rotate, rollback, approve, …"""
        status: dict[str, Any] = self.call(
            "POST", f"/v1/rings/{name}/{verb}", {"reason": "a test", **body}
        )
        return status

    def rotate(self, name: str) -> dict[str, Any]:
        """Begins a rotation."""
        return self.verb(name, "rotate")


@contextmanager
def installed(rings: str) -> Iterator[Installation]:
    """An installation with a server that runs."""
    installation = Installation(rings)
    try:
        installation.start()
        yield installation
    finally:
        installation.close()

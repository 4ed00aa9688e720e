"""The servers and their modes: how each is started, and how it is asked something."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from support.installation import Connection, Installation, eventually

TESTS = Path(__file__).parent.parent
WORKERS = 3
END_SECONDS = 10.0


class Call(Protocol):
    """A request to the application; anything but a whole answer is an exception."""

    def __call__(self, path: str, **query: str) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Mode:
    """One way to run the application."""

    name: str
    command: Callable[[Path], list[str]]
    #: Whether the parent uses the ring before it forks.
    parent_uses_ring: bool = False
    workers: int = WORKERS
    environment: dict[str, str] = field(default_factory=dict)
    #: What has to run beside it, and the socket that says that it does.
    beside: tuple[Callable[[Path], list[str]], str] | None = None
    #: How it is asked; over HTTP on the socket unless it says otherwise.
    caller: Callable[[Path], Call] | None = None

    @property
    def ring(self) -> str:
        """The ring of its own, so that all modes may share one keywheel."""
        return f"m-{self.name}"

    @property
    def processes(self) -> int:
        """How many processes are to prove."""
        return self.workers + int(self.parent_uses_ring)


def gunicorn(kind: str, application: str, *more: str) -> Callable[[Path], list[str]]:
    def command(folder: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "-c", str(TESTS / "servers/gunicorn_conf.py")),
            *("-w", str(WORKERS), "-k", kind, "--bind", f"unix:{folder}/a", "--timeout", "60"),
            *("--log-level", "warning", "--no-control-socket", *more, application),
        ]

    return command


def _uwsgi(application: str, *more: str) -> Callable[[Path], list[str]]:
    def command(folder: Path) -> list[str]:
        return [
            *(str(Path(sys.executable).parent / "uwsgi"), "--master", "--die-on-term"),
            *("--processes", str(WORKERS), "--http-socket", f"{folder}/a", "--need-app"),
            *("--virtualenv", sys.prefix, "--pythonpath", str(TESTS), "--disable-logging"),
            *("--module", application, *more),
        ]

    return command


def _uvicorn(*application: str) -> Callable[[Path], list[str]]:
    return lambda folder: [
        *(sys.executable, "-m", "uvicorn", "--workers", str(WORKERS), "--uds", f"{folder}/a"),
        *("--log-level", "warning", *application),
    ]


def _celery(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "servers.tasks", "worker", "-P", "prefork"),
        *("-c", str(WORKERS), "-l", "error", "--without-gossip", "--without-mingle"),
        *("--without-heartbeat", "-O", "fair"),
    ]


def _children(method: str) -> Callable[[Path], list[str]]:
    return lambda folder: [
        *(sys.executable, "-m", "servers.forked", method, str(WORKERS), f"{folder}/a")
    ]


def _get(
    folder: Path, path: str, query: dict[str, str], headers: dict[str, str]
) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
    """Asks over the unix socket, with a connection for each request."""
    connection = Connection(str(folder / "a"))
    try:
        headers = {"Connection": "close", **headers}
        connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 401):
            raise AssertionError(f"{path}: {answer.status} {text[:200]!r}")
        return answer, json.loads(text)
    finally:
        connection.close()


def over_http(folder: Path) -> Call:
    """Asks an application that says everything in its answer."""

    def call(path: str, **query: str) -> dict[str, Any]:
        answer, found = _get(folder, path, query, {})
        assert answer.status == 200, found
        return found

    return call


def as_browser(folder: Path) -> Call:
    """Asks an application whose session is a cookie, and whose token is a bearer's."""

    def call(path: str, **query: str) -> dict[str, Any]:
        if path != "/check":
            answer, found = _get(folder, path, query, {})
            cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            return {**found, "session": cookie}
        hold = {name: query[name] for name in query if name == "hold"}
        bearer = {"Authorization": f"Bearer {query['token']}"}
        _, found = _get(folder, "/session", hold, {"Cookie": query["session"]})
        answer, _ = _get(folder, "/token", {}, bearer)
        return {
            **found,
            "session": "ok" if found["user"] == "alice" else "unknown",
            "token": "ok" if answer.status == 200 else "refused",
        }

    return call


def over_celery(folder: Path) -> Call:
    """Asks by a task."""
    from celery import Celery

    address = f"{folder}/redis"
    app = Celery("client", broker=f"redis+socket://{address}", backend=f"redis+socket://{address}")

    def call(path: str, **query: str) -> dict[str, Any]:
        result = app.send_task("respond", (path, query))
        found: dict[str, Any] = result.get(timeout=60, interval=0.005)
        result.forget()
        return found

    return call


def _redis(folder: Path) -> list[str]:
    return [
        *("redis-server", "--port", "0", "--unixsocket", f"{folder}/redis", "--save", ""),
        *("--appendonly", "no", "--dir", str(folder)),
    ]


_AT_IMPORT = {"MATRIX_USE_AT_IMPORT": "1"}
_PRELOADED: dict[str, Any] = {"parent_uses_ring": True, "environment": _AT_IMPORT}
_SYNC, _ASYNC = "servers.apps:wsgi", "servers.apps:asgi()"
_UVICORN = "uvicorn_worker.UvicornWorker"

MODES = [
    Mode("gunicorn-sync", gunicorn("sync", _SYNC)),
    Mode("gunicorn-sync-preload", gunicorn("sync", _SYNC, "--preload"), **_PRELOADED),
    Mode("gunicorn-gthread", gunicorn("gthread", _SYNC, "--threads", "2")),
    Mode(
        "gunicorn-gthread-preload",
        gunicorn("gthread", _SYNC, "--threads", "2", "--preload"),
        **_PRELOADED,
    ),
    Mode("gunicorn-uvicorn", gunicorn(_UVICORN, _ASYNC)),
    Mode("gunicorn-uvicorn-preload", gunicorn(_UVICORN, _ASYNC, "--preload"), **_PRELOADED),
    Mode("uwsgi", _uwsgi(_SYNC), **_PRELOADED),
    Mode("uwsgi-threads", _uwsgi(_SYNC, "--enable-threads", "--threads", "2"), **_PRELOADED),
    Mode("uwsgi-lazy-apps", _uwsgi(_SYNC, "--lazy-apps")),
    Mode("uvicorn-workers", _uvicorn("--factory", "servers.apps:asgi")),
    Mode("uvicorn-workers-fastapi", _uvicorn("servers.web_fastapi:app"), caller=as_browser),
    Mode("uwsgi-flask", _uwsgi("servers.web_flask:app"), caller=as_browser, **_PRELOADED),
    Mode(
        "gunicorn-django",
        gunicorn("gthread", "servers.web_django:app", "--threads", "2"),
        caller=as_browser,
    ),
    Mode("celery-prefork", _celery, beside=(_redis, "redis"), caller=over_celery, **_PRELOADED),
    Mode("children-fork", _children("fork"), **_PRELOADED),
    Mode("children-spawn", _children("spawn")),
    Mode("children-forkserver", _children("forkserver")),
]


class Fleet:
    """A mode that runs: its processes, and how it is asked."""

    def __init__(self, mode: Mode, installation: Installation, call: Call) -> None:
        self.mode = mode
        self.call = call
        self._installation = installation

    def status(self) -> dict[str, Any]:
        """How its ring stands."""
        return self._installation.ring(self.mode.ring)

    def verb(self, verb: str) -> None:
        """An operator's verb for its ring."""
        self._installation.verb(self.mode.ring, verb)

    def live(self) -> dict[int, dict[str, Any]]:
        """The instances that the server knows to be alive, by their process."""
        status = self.status()
        found = [one for consumer in status["consumers"] for one in consumer["instances"]]
        return {
            int(one["process"].rpartition("/")[2]): one
            for one in found
            if one["standing"] == "live"
        }


@contextmanager
def running(mode: Mode, installation: Installation) -> Iterator[Fleet]:
    """The application under this mode, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="kwm"))
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("KEYWHEEL_")},
        **installation.environment(mode.ring),
        **mode.environment,
        "MATRIX_RING": mode.ring,
        "MATRIX_FOLDER": str(folder),
        "PYTHONPATH": str(TESTS),
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if mode.beside is not None:
            command, socket = mode.beside
            stack.enter_context(_running(command(folder), folder / "beside.log", environment))
            eventually(f"{socket} is there", (folder / socket).exists)
        process = _running(mode.command(folder), folder / "log", environment)
        stack.enter_context(process)
        call = (mode.caller or over_http)(folder)
        yield Fleet(mode, installation, call)


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=TESTS,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and everything that it started: all of it is one process group."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    eventually("the process group has ended", lambda: not _is_group(process.pid))


def _is_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True

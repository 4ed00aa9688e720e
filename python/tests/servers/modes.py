"""The servers and their modes: how each is started, and how it is asked something."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.installation import Installation, eventually

from servers.ask import Call, over_celery, over_http
from servers.rings import vault_of

TESTS = Path(__file__).parent.parent
WORKERS = 3
END_SECONDS = 60.0
# Who says what was encrypted anew.
WALKER = "walker"


#: Makes the command line of a server, for a folder and so many workers.
Command = Callable[[Path, int], "list[str]"]


@dataclass(frozen=True)
class Mode:
    """One way to run the application."""

    name: str
    command: Command
    #: Whether the parent uses the ring before it forks.
    parent_uses_ring: bool = False
    workers: int = WORKERS
    environment: dict[str, str] = field(default_factory=dict)
    #: What has to run beside it, and the socket that says that it does.
    beside: tuple[Callable[[Path], list[str]], str] | None = None
    caller: Callable[[Path], Call] = over_http
    #: The pages that judge what they are shown, each another part of it.
    judges: tuple[str, ...] = ("/check",)

    @property
    def ring(self) -> str:
        """The ring of its own, so that all modes may share one keywheel."""
        return f"m-{self.name}"

    @property
    def rings(self) -> tuple[str, str]:
        """That ring, and the one that encrypts."""
        return self.ring, vault_of(self.ring)

    @property
    def processes(self) -> int:
        """How many processes are to prove."""
        return self.workers + int(self.parent_uses_ring)


def gunicorn(kind: str, application: str, *more: str) -> Command:
    def command(folder: Path, workers: int) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "-c", str(TESTS / "servers/gunicorn_conf.py")),
            *("-w", str(workers), "-k", kind, "--bind", f"unix:{folder}/a", "--timeout", "300"),
            *("--log-level", "warning", "--no-control-socket", *more, application),
        ]

    return command


def _uwsgi(application: str, *more: str) -> Command:
    def command(folder: Path, workers: int) -> list[str]:
        return [
            *(str(Path(sys.executable).parent / "uwsgi"), "--master", "--die-on-term"),
            *("--processes", str(workers), "--http-socket", f"{folder}/a", "--need-app"),
            *("--virtualenv", sys.prefix, "--pythonpath", str(TESTS), "--disable-logging"),
            *("--module", application, *more),
        ]

    return command


def _uvicorn(*application: str) -> Command:
    return lambda folder, workers: [
        *(sys.executable, "-m", "uvicorn", "--workers", str(workers), "--uds", f"{folder}/a"),
        *("--log-level", "warning", *application),
    ]


def _celery(folder: Path, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "servers.tasks", "worker", "-P", "prefork"),
        *("-c", str(workers), "-l", "error", "--without-gossip", "--without-mingle"),
        *("--without-heartbeat", "-O", "fair"),
    ]


def _children(method: str) -> Command:
    return lambda folder, workers: [
        *(sys.executable, "-m", "servers.forked", method, str(workers), f"{folder}/a")
    ]


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
    Mode(
        "uvicorn-workers-fastapi",
        _uvicorn("servers.web_fastapi:app"),
        judges=("/check", "/bearer"),
    ),
    Mode("uwsgi-flask", _uwsgi("servers.web_flask:app"), **_PRELOADED),
    Mode("gunicorn-django", gunicorn("gthread", "servers.web_django:app", "--threads", "2")),
    Mode("celery-prefork", _celery, beside=(_redis, "redis"), caller=over_celery, **_PRELOADED),
    Mode("children-fork", _children("fork"), **_PRELOADED),
    Mode("children-spawn", _children("spawn")),
    Mode("children-forkserver", _children("forkserver")),
]


class Fleet:
    """A mode that runs: its processes, and how it is asked."""

    def __init__(self, mode: Mode, installation: Installation, call: Call, group: int) -> None:
        self.mode = mode
        #: How often the application was asked anything.
        self.requests = 0
        #: Held by whoever shows something and then looks whether its version is retired. A rollback
        #: may bring that version back, and so does not come in between.
        self.judging = threading.Lock()
        self._call = call
        self._group = group
        self._installation = installation

    def call(
        self, path: str, artefacts: dict[str, str] | None = None, hold: float = 0.0
    ) -> dict[str, Any]:
        """Asks the application."""
        self.requests += 1
        return self._call(path, artefacts, hold)

    def show(self, artefacts: dict[str, str], hold: float = 0.0) -> list[dict[str, Any]]:
        """Shows these to every page that judges; gives the answers, each with its process."""
        return [self.call(path, artefacts, hold) for path in self.mode.judges]

    def status(self, ring: str | None = None) -> dict[str, Any]:
        """How a ring of it stands; the one that signs unless another is named."""
        return self._installation.ring(ring or self.mode.ring)

    def verb(self, verb: str, ring: str | None = None) -> None:
        """An operator's verb for a ring of it."""
        with self.judging:
            self._installation.verb(ring or self.mode.ring, verb)

    def nothing_is_left_under(self, ring: str, version: int) -> None:
        """Says that all was encrypted anew which a version had encrypted."""
        body = {"verdict": "pass", "version": version}
        path = f"/v1/rings/{ring}/gates/reencryption"
        self._installation.call("PUT", path, body, token=WALKER)

    def live(self, ring: str | None = None) -> dict[int, dict[str, Any]]:
        """The instances that the server knows to be alive, by their process."""
        consumers = self.status(ring)["consumers"]
        found = [one for consumer in consumers for one in consumer["instances"]]
        return {
            int(one["process"].rpartition("/")[2]): one
            for one in found
            if one["standing"] == "live"
        }

    def has(self, process: int) -> bool:
        """Whether a process is one of its own: they all are one process group."""
        try:
            return os.getpgid(process) == self._group
        except ProcessLookupError:
            return False


@contextmanager
def running(mode: Mode, installation: Installation, workers: int | None = None) -> Iterator[Fleet]:
    """The application under this mode, until the end of the block."""
    if workers is not None:
        mode = replace(mode, workers=workers)
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
            beside, socket = mode.beside
            stack.enter_context(_running(beside(folder), folder / "beside.log", environment))
            eventually(f"{socket} is there", (folder / socket).exists)
        command = mode.command(folder, mode.workers)
        group = stack.enter_context(_running(command, folder / "log", environment))
        yield Fleet(mode, installation, mode.caller(folder), group)


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[int]:
    """The process group of a command, until the end of the block."""
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
        yield process.pid
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

"""Workers that end: killed, or replaced after so many requests. The next one begins up to date."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, eventually, installed, outlasting, signing_ring

from servers.load import Load
from servers.modes import MODES, Fleet, Mode, running
from servers.rings import rings
from servers.test_modes import all_prove, ask_all, settle

_MODES = {mode.name: mode for mode in MODES}
_KILLED = [_MODES["gunicorn-sync-preload"], _MODES["uwsgi"], _MODES["celery-prefork"]]

# uWSGI is not among them: it lets a worker that was busy a moment ago end without its hooks.
_NAMES = ("gunicorn-sync", "gunicorn-uvicorn", "uvicorn-workers", "celery-prefork")
_STOPPED = [
    replace(mode, name=f"{mode.name}-stop", parent_uses_ring=False, environment={})
    for mode in MODES
    if mode.name in _NAMES
]


def _with(mode: Mode, *more: str) -> Mode:
    """The same with more arguments."""

    def command(folder: Path, workers: int) -> list[str]:
        *head, application = mode.command(folder, workers)
        return [*head, *more, application]

    return replace(mode, name=f"{mode.name}-more", command=command)


_REPLACED = _with(_MODES["gunicorn-sync"], "--max-requests", "40", "--max-requests-jitter", "20")


@pytest.fixture(scope="module")
def keywheel_server() -> Iterator[Installation]:
    """One keywheel for all modes, which soon takes a silent process for gone."""
    # A busy machine must not look like an outage where requests are counted, nor silence like a
    # goodbye where that is waited for, however long.
    patient = outlasting("".join(rings(mode.ring) for mode in [*_STOPPED, _REPLACED]))
    with installed("".join(rings(mode.ring) for mode in _KILLED) + patient) as server:
        for mode in [*_KILLED, *_STOPPED, _REPLACED]:
            server.token(mode.ring, *mode.rings)
        yield server


def _standings(fleet: Fleet) -> dict[str, str]:
    consumers = fleet.status()["consumers"]
    return {one["id"]: one["standing"] for c in consumers for one in c["instances"]}


@pytest.mark.parametrize("mode", _KILLED, ids=lambda mode: mode.name)
def test_a_killed_worker_comes_back_up_to_date_and_the_dead_one_is_missed_by_nobody(
    mode: Mode, keywheel_server: Installation
) -> None:
    with running(mode, keywheel_server) as fleet:
        before = all_prove(fleet)
        primary = settle(fleet, "rotate")
        answers = ask_all(fleet)
        killed = next(iter(answers))
        os.kill(killed, signal.SIGKILL)

        def replaced() -> dict[str, Any] | None:
            news = [one for process, one in fleet.live().items() if process not in before]
            newest = fleet.status()["keyset_revision"]
            return next((one for one in news if one.get("holds") == newest), None)

        # Nobody asks the new worker for anything: it proves by itself.
        new = eventually("a new worker has proved", replaced)
        answer = ask_all(fleet)[int(new["process"].rpartition("/")[2])]
        assert answer["version"] == primary
        assert answer["instance"] == new["id"]
        # The dead one said no goodbye. The rotation waits until it can protect nothing any more.
        assert settle(fleet, "rotate") == primary + 1
        dead = before[killed]["id"]
        assert _standings(fleet).get(dead, "gone") == "gone"


def test_workers_that_are_replaced_all_the_time_fail_no_request(
    keywheel_server: Installation,
) -> None:
    with running(_REPLACED, keywheel_server) as fleet:
        first = set(all_prove(fleet))
        with Load(fleet) as load:
            for verb in ("rotate", "rollback", "rotate"):
                primary = settle(fleet, verb)

                def is_new(primary: int = primary) -> bool:
                    seen = {process for process, version in load.versions if version == primary}
                    return len(seen - first) >= fleet.mode.workers

                eventually("new workers answer with the new version", is_new)
        assert not load.failures, load.failures[:5]
        # One that had no time to report is lost for a moment, and one without a goodbye for good.
        eventually(
            "nobody is missed: who is replaced says goodbye",
            lambda: "lost" not in _standings(fleet).values(),
        )


@pytest.mark.parametrize("mode", _STOPPED, ids=lambda mode: mode.name)
def test_a_server_that_is_stopped_leaves_nobody_to_wait_for(
    mode: Mode, keywheel_server: Installation
) -> None:
    with running(mode, keywheel_server) as fleet:
        ids = {one["id"] for one in all_prove(fleet).values()}
        # A worker proves before it serves, and only one that serves has taken its signals.
        ask_all(fleet)

    def standings() -> set[str]:
        found = _standings(fleet)
        return {found.get(one, "gone") for one in ids}

    eventually("all have said goodbye", lambda: standings() == {"gone"})


def _run(script: str, installation: Installation, **more: str) -> str:
    environment = {**os.environ, **installation.environment("web"), **more}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CHILDREN = """
    import multiprocessing, os, subprocess, sys
    import keywheel
    ring = keywheel.ring("web")
    ring.snapshot()
    # Forked to run Python, and then another program: nobody is to register for it.
    subprocess.run([sys.executable, "-c", ""], preexec_fn=lambda: None, check=True)
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", ""])
    os.waitpid(child, 0)
    done, ready = multiprocessing.Event(), multiprocessing.Event()

    def idle():
        ready.set()
        done.wait()

    process = multiprocessing.get_context("fork").Process(target=idle)
    process.start()
    ready.wait()
    print(process.pid, flush=True)
    sys.stdin.readline()
    done.set()
    process.join()
    sys.stdin.readline()
"""


def _instances(installation: Installation) -> dict[int, str]:
    found = [i for c in installation.ring("web")["consumers"] for i in c["instances"]]
    return {int(one["process"].rpartition("/")[2]): one["standing"] for one in found}


def test_an_idle_child_is_known_until_it_ends_and_one_that_executes_is_not(
    install: Callable[[str], Installation],
) -> None:
    # Silence alone, as on a busy machine, is no goodbye.
    installation = install(outlasting(signing_ring("web")))
    installation.token("web", "web")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILDREN)],
        env={**os.environ, **installation.environment("web")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            child = int(parent.stdout.readline())
            eventually("the child is known", lambda: child in _instances(installation))
            assert set(_instances(installation)) == {parent.pid, child}
            parent.stdin.write("\n")
            parent.stdin.flush()
            eventually(
                "it has said goodbye",
                lambda: _instances(installation).get(child, "gone") == "gone",
            )
            assert _instances(installation)[parent.pid] != "gone"
            parent.stdin.write("\n")
            parent.stdin.flush()
            assert parent.wait(60) == 0
        finally:
            parent.kill()


def test_a_child_begins_with_its_first_use_where_that_was_asked_for(
    install: Callable[[str], Installation],
) -> None:
    installation = install(signing_ring("web"))
    installation.token("web", "web")
    script = """
        import multiprocessing
        import os
        import keywheel
        ring = keywheel.ring("web")

        def look(results):
            threads = len(os.listdir("/proc/self/task"))
            results.put((threads, ring.snapshot().version))

        context = multiprocessing.get_context("fork")
        results = context.Queue()
        process = context.Process(target=look, args=(results,))
        process.start()
        print(results.get())
        process.join()
    """
    assert _run(script, installation, KEYWHEEL_START_CHILDREN="0") == "(1, 1)\n"


def test_a_worker_begins_without_keys_when_no_server_is_there(
    install: Callable[[str], Installation],
) -> None:
    installation = install(signing_ring("web"))
    installation.token("web", "web")
    installation.stop()
    script = """
        import keywheel
        from types import SimpleNamespace
        from keywheel.gunicorn import post_worker_init, worker_exit
        ring = keywheel.ring("web")
        post_worker_init(None)
        try:
            ring.snapshot()
        except keywheel.UnavailableError:
            print("raised where it is used")
        worker_exit(None, None)
    """
    assert _run(script, installation) == "raised where it is used\n"

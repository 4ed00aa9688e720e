"""Every server, every way to fork: a rotation reaches all workers, and no request fails.

Each mode has a ring of its own at one keywheel. No worker is asked anything before the first
rotation is over, so that all of them prove as idle workers. Then requests go on through rotation,
rollback, rotation and retirement.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.installation import Installation, eventually, installed, signing_ring

from servers.load import LIFETIME, Load, made, shown
from servers.modes import MODES, Fleet, Mode, running

FULL = os.environ.get("KEYWHEEL_SCALE") == "full"
CYCLES = 5 if FULL else 1
# A cycle has three steps, and a worker answers in milliseconds; with fewer requests there was no
# load under which a request could fail.
LEAST_REQUESTS = 50


@pytest.fixture(scope="module")
def keywheel_server() -> Iterator[Installation]:
    """One keywheel for all modes."""
    rings = (signing_ring(m.ring, lifetime=f"{LIFETIME:.0f}s", consumer=m.ring) for m in MODES)
    # A busy machine must not look like an outage.
    text = "".join(rings).replace('offline_max = "2s"', 'offline_max = "20s"')
    with installed(text) as installation:
        for mode in MODES:
            installation.token(mode.ring, mode.ring)
        yield installation


def settle(fleet: Fleet, verb: str) -> int:
    """Takes a step and waits until it is over; gives the primary."""
    before = fleet.status()["primary"]
    fleet.verb(verb)

    def is_over() -> dict[str, Any] | None:
        status = fleet.status()
        return status if status["primary"] != before and status["stage"] == "rest" else None

    status = eventually(f"{verb} is over", is_over)
    primary: int = status["primary"]
    return primary


def all_prove(fleet: Fleet) -> dict[int, dict[str, Any]]:
    """Waits until every process has proved the newest keyset; gives the instances by process."""

    def proved() -> dict[int, dict[str, Any]] | None:
        newest = fleet.status()["keyset_revision"]
        live = fleet.live()
        holding = [one for one in live.values() if one.get("holds") == newest]
        return live if len(holding) == len(live) == fleet.mode.processes else None

    live = eventually("every process has proved", proved)
    assert len({one["id"] for one in live.values()}) == len(live), "each has a name of its own"
    return live


def ask_all(fleet: Fleet, path: str = "/where", **query: str) -> dict[int, dict[str, Any]]:
    """Asks until every worker has answered; gives the answers by process."""
    workers = fleet.mode.workers
    answers: dict[int, dict[str, Any]] = {}

    def ask() -> None:
        answer = fleet.call(path, hold="0.03", **query)
        answers[answer["pid"]] = answer

    def have_all() -> bool:
        threads = [threading.Thread(target=ask) for _ in range(workers * 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(answers) >= workers

    eventually("every worker has answered", have_all)
    return answers


def check_workers(fleet: Fleet, primary: int) -> None:
    """Every worker says that it holds this primary, and is who the server knows it as."""
    live = all_prove(fleet)
    answers = ask_all(fleet)
    assert set(answers) <= set(live)
    for process, answer in answers.items():
        assert answer["version"] == primary
        assert answer["instance"] == live[process]["id"]
    assert made(fleet).version == primary, "the primary is what protects, exactly"


def check_versions(fleet: Fleet, primary: int) -> None:
    """Every worker of an application that shows no more has this version."""
    all_prove(fleet)
    assert {answer["ring"] for answer in ask_all(fleet).values()} == {primary}


def are_retired(fleet: Fleet, primary: int) -> bool:
    versions = fleet.status()["versions"]
    return all(one["state"] == "retired" for one in versions if one["number"] != primary)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_a_rotation_reaches_all_workers_and_fails_no_request(
    mode: Mode, keywheel_server: Installation, record_property: Any
) -> None:
    with running(mode, keywheel_server) as fleet:
        all_prove(fleet)
        settle(fleet, "rotate")
        all_prove(fleet)  # no worker has had a request until here
        with Load(fleet, threads=8 if FULL else 3) as load:
            for _ in range(CYCLES):
                for verb in ("rotate", "rollback", "rotate"):
                    load.hold(made(fleet, f"before {verb}"))
                    check_workers(fleet, settle(fleet, verb))
            last = made(fleet, "before retirement")
            primary = fleet.status()["primary"]
            eventually("the old versions are retired", lambda: are_retired(fleet, primary))
            all_prove(fleet)
        assert not load.failures, load.failures[:5]
        # What was held was shown all the time, through each step and until its retirement.
        assert load.requests > LEAST_REQUESTS * CYCLES
        for old in load.held():
            answers = ask_all(fleet, "/check", session=old.session, token=old.token)
            for answer in answers.values():
                assert answer["session"] == "unknown", "what is retired is refused"
                assert answer["token"] != "ok"
        assert shown(fleet, last)["session"] == "ok"
        assert {process for process, _ in load.versions} <= set(fleet.live())
        record_property("requests", load.requests)
        print(json.dumps({"mode": mode.name, "requests": load.requests, "failures": 0}))

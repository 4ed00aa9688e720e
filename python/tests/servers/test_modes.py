"""Every server, every way to fork: a rotation reaches all workers, and no request fails.

Each mode has two rings of its own at one keywheel, one that signs and one that encrypts. It runs
twice at once, as two applications of one consumer: workers of the first are asked all the time, and
those of the second never, so that they prove each step as idle workers. No worker at all is asked
anything before the first rotation is over. Then requests go on through rotation, rollback, rotation
and retirement, and everything that was issued before a step is shown to each worker after it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.installation import Installation, eventually, installed, outlasting

from servers.load import RETIRED, Issued, Load, made, refusals, states, too_early
from servers.modes import MODES, WALKER, Fleet, Mode, running
from servers.rings import rings

FULL = os.environ.get("KEYWHEEL_SCALE") == "full"
CYCLES = 5 if FULL else 1
# A cycle has three steps, and a worker answers in milliseconds; with fewer requests there was no
# load under which a request could fail.
LEAST_REQUESTS = 50
# One would do, but with one worker uvicorn serves in the process that would start the others.
IDLE_WORKERS = 2


@pytest.fixture(scope="module")
def keywheel_server() -> Iterator[Installation]:
    """One keywheel for all modes."""
    # A busy machine must not look like an outage.
    text = outlasting("".join(rings(mode.ring) for mode in MODES))
    with installed(text) as installation:
        for mode in MODES:
            installation.token(mode.ring, *mode.rings)
        vaults = (vault for mode in MODES for vault in mode.rings[1:])
        installation.token(WALKER, *vaults, role="evidence:reencryption")
        yield installation


def settle(fleet: Fleet, verb: str) -> int:
    """Takes a step with both rings and waits until it is over; gives the primary that signs."""
    before = {ring: fleet.status(ring)["primary"] for ring in fleet.mode.rings}
    for ring in before:
        fleet.verb(verb, ring)

    def is_over() -> list[int] | None:
        now = [fleet.status(ring) for ring in before]
        is_new = all(one["primary"] != before[one["name"]] for one in now)
        rests = all(one["stage"] == "rest" for one in now)
        return [one["primary"] for one in now] if is_new and rests else None

    primary, _ = eventually(f"{verb} is over", is_over)
    return primary


def all_prove(*fleets: Fleet) -> dict[int, dict[str, Any]]:
    """Waits until every process has proved the newest keysets; gives the instances by process.

    They are known at the server, each by itself: as many as there should be, and no two of a name.
    """
    fleet = fleets[0]
    expected = sum(one.mode.processes for one in fleets)

    def proved(ring: str) -> dict[int, dict[str, Any]] | None:
        newest = fleet.status(ring)["keyset_revision"]
        live = fleet.live(ring)
        holding = [one for one in live.values() if one.get("holds") == newest]
        return live if len(holding) == len(live) == expected else None

    found = [
        eventually(
            f"each of {expected} processes has proved {ring}", lambda ring=ring: proved(ring)
        )
        for ring in fleet.mode.rings
    ]
    for live in found:
        assert set(live) == set(found[0]), "who has proved one ring has proved the other"
        assert len({one["id"] for one in live.values()}) == len(live), "each has a name of its own"
        for one in fleets:
            assert sum(one.has(process) for process in live) == one.mode.processes
    return found[0]


def ask_all(fleet: Fleet) -> dict[int, dict[str, Any]]:
    """Asks until every worker has answered; gives the answers by process."""
    answers: dict[int, dict[str, Any]] = {}

    def ask() -> None:
        answer = fleet.call("/where", hold=0.03)
        answers[answer["pid"]] = answer

    _until_all(fleet, ask, lambda: len(answers))
    return answers


def show_all(fleet: Fleet, issued: Issued) -> list[dict[str, Any]]:
    """Shows what was issued until every worker has judged all of it; gives the answers."""
    answers: list[dict[str, Any]] = []

    def ask() -> None:
        answers.extend(fleet.show(issued.artefacts, hold=0.03))

    def workers() -> int:
        judged: dict[int, set[str]] = {}
        for answer in list(answers):
            judged.setdefault(answer["pid"], set()).update(answer["verdicts"])
        return sum(names == set(issued.artefacts) for names in judged.values())

    _until_all(fleet, ask, workers)
    return answers


def _until_all(fleet: Fleet, ask: Callable[[], None], answered: Callable[[], int]) -> None:
    """Asks with more requests at once than there are workers, again and again."""
    errors: list[Exception] = []

    def ask_once() -> None:
        try:
            ask()
        except Exception as error:
            errors.append(error)

    def have_all() -> bool:
        threads = [threading.Thread(target=ask_once) for _ in range(fleet.mode.workers * 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return answered() >= fleet.mode.workers

    eventually("every worker has answered", have_all)


def check_workers(fleet: Fleet, idle: Fleet, primary: int) -> None:
    """Every worker says that it holds this primary, and is who the server knows it as."""
    live = all_prove(fleet, idle)
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


def retire(fleet: Fleet) -> None:
    """Waits until only the primaries are left, and says that nothing is encrypted by another."""
    signs, encrypts = fleet.mode.rings
    primary = fleet.status(encrypts)["primary"]
    for version, state in states(fleet, encrypts).items():
        if version != primary and state not in RETIRED:
            fleet.nothing_is_left_under(encrypts, version)

    def is_over(ring: str) -> bool:
        primary = fleet.status(ring)["primary"]
        found = states(fleet, ring)
        return all(found[version] in RETIRED for version in found if version != primary)

    for ring in (signs, encrypts):
        eventually(f"the old versions of {ring} are retired", lambda ring=ring: is_over(ring))


def take_steps(load: Load, idle: Fleet) -> Issued:
    """Rotation, rollback, rotation and retirement, again and again; gives what was made last."""
    fleet = load.fleet
    for cycle in range(CYCLES):
        for number, verb in enumerate(("rotate", "rollback", "rotate")):
            load.hold(made(fleet, f"before {verb} {number} of cycle {cycle}"))
            load.step = f"{verb} {number} of cycle {cycle}"
            check_workers(fleet, idle, settle(fleet, verb))
            for issued in load.held():
                load.judge(issued, show_all(fleet, issued))
        last = made(fleet, f"before the retirement of cycle {cycle}")
        load.step = f"the retirement of cycle {cycle}"
        retire(fleet)
        all_prove(fleet, idle)
    return last


def check_retired(fleet: Fleet, held: list[Issued], last: Issued) -> None:
    """Every worker refuses what a retired version made, all of it, and accepts the rest."""
    for old in held:
        for answer in show_all(fleet, old):
            accepted = [name for name, verdict in answer["verdicts"].items() if verdict == "ok"]
            told = f"{accepted} made {old.label} by v{old.version}, by worker {answer['pid']}"
            assert not accepted, f"what is retired is accepted: {told}"
    for answer in show_all(fleet, last):
        assert not too_early(fleet, last, refusals(last, answer))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_a_rotation_reaches_all_workers_and_fails_no_request(
    mode: Mode, keywheel_server: Installation, record_property: Any
) -> None:
    with (
        running(mode, keywheel_server) as fleet,
        running(mode, keywheel_server, workers=IDLE_WORKERS) as idle,
    ):
        workers = set(all_prove(fleet, idle))
        settle(fleet, "rotate")
        all_prove(fleet, idle)  # no worker has had a request until here
        with Load(fleet, threads=8 if FULL else 3) as load:
            last = take_steps(load, idle)
        if load.failures:
            pytest.fail("\n".join(load.failures[:5]), pytrace=False)
        # What was held was shown all the time, through each step and until its retirement.
        assert load.requests > LEAST_REQUESTS * CYCLES
        assert idle.requests == 0, "these workers proved each step and were asked for nothing"
        assert set(all_prove(fleet, idle)) == workers, "nobody was replaced meanwhile"
        for one in (fleet, idle):
            check_retired(one, load.held(), last)
        assert all(fleet.has(process) for process, _ in load.versions)
        kinds = sorted(last.artefacts)
        record_property("requests", load.requests)
        print(json.dumps({"mode": mode.name, "requests": load.requests, "artefacts": kinds}))

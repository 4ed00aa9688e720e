"""Why workers only consume: what a scheduler inside of an application does under gunicorn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.installation import Installation, eventually

from servers.modes import Mode, gunicorn, running
from servers.rings import rings
from servers.test_modes import all_prove, ask_all, check_versions, settle

_APPLICATION = "servers.scheduled:wsgi"


def _installed(install: Callable[[str], Installation], mode: Mode) -> Installation:
    installation = install(rings(mode.ring))
    installation.token(mode.ring, *mode.rings)
    return installation


def test_a_scheduler_in_each_worker_gives_each_worker_a_key_of_its_own(
    install: Callable[[str], Installation],
) -> None:
    mode = Mode("scheduled", gunicorn("sync", _APPLICATION))
    with running(mode, _installed(install, mode)) as fleet:
        all_prove(fleet)

        def have_all_rotated() -> dict[int, dict[str, Any]] | None:
            answers = ask_all(fleet)
            return answers if all(one["rotations"] > 1 for one in answers.values()) else None

        answers = eventually("every worker has rotated", have_all_rotated)
        runs = {process for one in answers.values() for process in one["runs"]}
        assert runs >= set(answers), "the job runs in each worker"
        assert len({one["key"] for one in answers.values()}) == len(answers), "no two share a key"
        # What turns at the server turns once, for all.
        check_versions(fleet, settle(fleet, "rotate"))


def test_a_scheduler_that_was_preloaded_rotates_the_key_of_nobody(
    install: Callable[[str], Installation],
) -> None:
    mode = Mode("scheduled-preload", gunicorn("sync", _APPLICATION, "--preload"))
    with running(mode, _installed(install, mode)) as fleet:
        all_prove(fleet)
        before = ask_all(fleet)

        def have_run() -> dict[int, dict[str, Any]] | None:
            answers = ask_all(fleet)
            is_new = (
                len(one["runs"]) > len(before[pid]["runs"]) + 3 for pid, one in answers.items()
            )
            return answers if all(is_new) else None

        answers = eventually("the job has run", have_run)
        runs = {process for one in answers.values() for process in one["runs"]}
        assert runs.isdisjoint(answers), "the job runs in the parent, which answers nobody"
        # It may have run before the fork too, and what it did then was inherited.
        for process, one in answers.items():
            assert one["rotations"] == before[process]["rotations"]
        assert len({one["first"] for one in answers.values()}) == 1
        check_versions(fleet, settle(fleet, "rotate"))

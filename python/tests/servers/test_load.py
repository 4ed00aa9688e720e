"""The load notices what is refused too early, and says which artefact, at which step, by whom."""

from __future__ import annotations

import time
from typing import Any, cast

from servers.load import SAFE, Issued, Load, refusals
from servers.modes import MODES, Fleet


class Application(Fleet):
    """A worker with the process id 7, at a server where the versions 1 and 2 stand so."""

    def __init__(self, verdicts: dict[str, str], state: str) -> None:
        super().__init__(MODES[0], cast(Any, None), lambda *_, **__: {}, 0)
        self.verdicts = verdicts
        self.state = state

    def show(self, artefacts: dict[str, str], hold: float = 0.0) -> list[dict[str, Any]]:
        return [{"pid": 7, "version": 2, "verdicts": self.verdicts}]

    def status(self, ring: str | None = None) -> dict[str, Any]:
        state = self.state if ring == self.mode.ring else "retired"
        return {"versions": [{"number": 1, "state": state}, {"number": 2, "state": "primary"}]}


def failures(verdicts: dict[str, str], state: str, age: float) -> list[str]:
    """What a load says of verdicts over what version 1 made so many seconds ago."""
    application = Application(verdicts, state)
    issued = Issued("before rotate 0", dict.fromkeys(verdicts, "x"), 1, 1, time.monotonic() - age)
    load = Load(application, step="rotate 0")
    load.hold(issued)
    load._keep()
    return load.failures


def test_what_is_refused_before_its_version_is_retired_is_named() -> None:
    (said,) = failures({"session": "ok", "reset link": "refused"}, "retiring", SAFE * 2)
    assert said == (
        "rotate 0: the reset link is refused by worker 7: refused; v1 made it before rotate 0, "
        "and is still retiring"
    )


def test_what_is_refused_when_its_version_is_retired_is_no_failure() -> None:
    assert failures({"session": "refused", "csrf": "refused"}, "retired", SAFE * 2) == []
    # Each ring has versions of its own.
    assert failures({"blob": "refused"}, "retiring", SAFE * 2) == []


def test_a_token_may_come_to_its_end_and_to_no_other() -> None:
    assert failures({"token": "expired", "bearer": "expired"}, "retiring", SAFE * 2) == []
    assert len(failures({"token": "expired"}, "retiring", 0.0)) == 1
    assert len(failures({"token": "unknown_kid"}, "retiring", SAFE * 2)) == 1
    assert len(failures({"session": "expired"}, "retiring", SAFE * 2)) == 1


def test_what_is_accepted_is_no_refusal() -> None:
    issued = Issued("", {}, 1, 1, time.monotonic())
    assert refusals(issued, {"pid": 7, "verdicts": {"session": "ok", "blob": "ok"}}) == []

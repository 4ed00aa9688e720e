"""Requests that never stop, and artefacts that are shown again and again, through every step.

What was issued is good until the version that made it is retired: a refusal before that is a
failure, which names the artefact, the step and the worker. Only a token may end earlier, by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from typing_extensions import Self

from servers.modes import Fleet
from servers.rings import LIFETIME

# Tokens count in whole seconds, and so may end almost one earlier.
SAFE = LIFETIME - 1.0

# The verdict over what is accepted, and over a token that has come to its own end.
_OK = "ok"
_EXPIRED = "expired"
_TOKENS = ("token", "bearer")
RETIRED = ("retired", "destroyed")
# What the second ring of a mode makes.
_ENCRYPTED = ("blob",)


@dataclass(frozen=True)
class Issued:
    """Everything that one user was given, as it was made."""

    label: str
    artefacts: dict[str, str]
    #: The versions that made it: of the ring that signs, and of the one that encrypts.
    version: int
    vault: int
    #: The clock before it was made.
    at: float

    @property
    def is_young(self) -> bool:
        """Whether no token of it may have expired, and no version of it may be retired yet."""
        return time.monotonic() - self.at < SAFE


def made(fleet: Fleet, label: str = "") -> Issued:
    """Everything that a user is given, as of now."""
    at = time.monotonic()
    answer = fleet.call("/issue")
    return Issued(label, answer["artefacts"], answer["version"], answer["vault"], at)


@dataclass(frozen=True)
class Refusal:
    """An artefact that a worker did not accept."""

    artefact: str
    verdict: str
    process: int

    def __str__(self) -> str:
        return f"the {self.artefact} is refused by worker {self.process}: {self.verdict}"


def refusals(issued: Issued, answer: dict[str, Any]) -> list[Refusal]:
    """What an answer does not accept, but for tokens that have come to their own end."""
    found = []
    for artefact, verdict in answer["verdicts"].items():
        is_over = artefact in _TOKENS and verdict == _EXPIRED and not issued.is_young
        if verdict != _OK and not is_over:
            found.append(Refusal(artefact, verdict, answer["pid"]))
    return found


def states(fleet: Fleet, ring: str) -> dict[int, str]:
    """The state of each version of a ring."""
    return {one["number"]: one["state"] for one in fleet.status(ring)["versions"]}


def too_early(fleet: Fleet, issued: Issued, refused: list[Refusal]) -> list[str]:
    """Those of the refusals that came before the version was retired, in words.

    The server retires first, and then the workers let go, so the refusals come before this look.
    """
    said = []
    for one in refused:
        is_vault = one.artefact in _ENCRYPTED
        version = issued.vault if is_vault else issued.version
        state = states(fleet, fleet.mode.rings[is_vault])[version]
        if state not in RETIRED:
            said.append(f"{one}; v{version} made it {issued.label}, and is still {state}")
    return said


@dataclass
class Load:
    """Threads that issue and check, and one that shows what was issued before each step."""

    fleet: Fleet
    threads: int = 3
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    versions: set[tuple[int, int]] = field(default_factory=set)
    #: The step that is under way, or the last one.
    step: str = "at the start"
    _held: list[Issued] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        targets = [self._use] * self.threads + [self._keep]
        self._running = [
            threading.Thread(target=self._again_and_again, args=(target,), daemon=True)
            for target in targets
        ]
        for thread in self._running:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._running:
            thread.join()

    def hold(self, issued: Issued) -> None:
        """Shows it again and again from now on. To be made while the rings rest."""
        with self._lock:
            self._held.append(issued)

    def held(self) -> list[Issued]:
        """What is held."""
        with self._lock:
            return list(self._held)

    def judge(self, issued: Issued, answers: list[dict[str, Any]]) -> None:
        """Takes what was refused too early for a failure."""
        for answer in answers:
            self._fail(too_early(self.fleet, issued, refusals(issued, answer)))

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while not self._end.is_set():
            try:
                work()
            except Exception as error:
                self._fail([repr(error)])

    def _note(self, answer: dict[str, Any]) -> None:
        with self._lock:
            self.requests += 1
            self.versions.add((answer["pid"], answer["version"]))

    def _fail(self, what: list[str]) -> None:
        with self._lock:
            self.failures += [f"{self.step}: {one}" for one in what]

    def _use(self) -> None:
        """What users do: log in, and come back."""
        issued = made(self.fleet, "just now")
        for _ in range(4):
            for answer in self.fleet.show(issued.artefacts):
                self._note(answer)
                refused = refusals(issued, answer)
                # Which version made it is not known for sure while a rotation is under way, but
                # none is retired so soon.
                if issued.is_young:
                    self._fail([f"{one}; it was made just now" for one in refused])

    def _keep(self) -> None:
        """What was issued before a step is good until its version is retired."""
        for issued in self.held():
            with self.fleet.judging:
                answers = self.fleet.show(issued.artefacts)
                self.judge(issued, answers)
            for answer in answers:
                self._note(answer)
        self._end.wait(0.02)

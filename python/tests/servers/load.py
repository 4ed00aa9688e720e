"""Requests that never stop, and artefacts that are shown again and again, through every step."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from typing_extensions import Self

from servers.modes import Fleet

# How long a token is good, in seconds: the ring's longest lifetime.
LIFETIME = 3.0
# Tokens count in whole seconds, and so may end almost one earlier.
SAFE = LIFETIME - 1.0


@dataclass
class Artefact:
    """A session and a token, as they were made."""

    label: str
    version: int
    session: str
    token: str
    #: The clock before they were made.
    at: float

    @property
    def is_young(self) -> bool:
        """Whether the token may not have expired yet."""
        return time.monotonic() - self.at < SAFE


def made(fleet: Fleet, label: str = "") -> Artefact:
    """A session and a token of now."""
    at = time.monotonic()
    answer = fleet.call("/issue")
    return Artefact(label, answer["made"], answer["session"], answer["token"], at)


def shown(fleet: Fleet, artefact: Artefact) -> dict[str, Any]:
    """What the application says of it."""
    return fleet.call("/check", session=artefact.session, token=artefact.token)


@dataclass
class Load:
    """Threads that issue and check, and one that keeps what was issued before each step."""

    fleet: Fleet
    threads: int = 3
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    versions: set[tuple[int, int]] = field(default_factory=set)
    _held: list[Artefact] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        targets = [self._use] * self.threads + [self._keep]
        self._running = [threading.Thread(target=target, daemon=True) for target in targets]
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

    def hold(self, artefact: Artefact) -> None:
        """Shows it again and again from now on."""
        with self._lock:
            self._held.append(artefact)

    def held(self) -> list[Artefact]:
        """What is held."""
        with self._lock:
            return list(self._held)

    def _note(self, answer: dict[str, Any]) -> None:
        with self._lock:
            self.requests += 1
            self.versions.add((answer["pid"], answer["version"]))

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)

    def _use(self) -> None:
        """What users do: log in, and come back."""
        while not self._end.is_set():
            try:
                artefact = made(self.fleet)
                for _ in range(4):
                    answer = shown(self.fleet, artefact)
                    self._note(answer)
                    verdict = (answer["session"], answer["token"])
                    if verdict != ("ok", "ok") and artefact.is_young:
                        self._fail(f"v{artefact.version} {verdict} by {answer}")
            except Exception as error:
                self._fail(repr(error))

    def _keep(self) -> None:
        """What was issued before a step is good until its version is retired."""
        while not self._end.wait(0.02):
            for artefact in self.held():
                try:
                    self._look_at(artefact)
                except Exception as error:
                    self._fail(repr(error))

    def _look_at(self, artefact: Artefact) -> None:
        answer = shown(self.fleet, artefact)
        self._note(answer)
        if answer["token"] != "ok" and artefact.is_young:
            self._fail(f"the token made {artefact.label}: {answer}")
        if answer["session"] == "ok":
            return
        # The server retires first, and then the workers let go.
        states = {one["number"]: one["state"] for one in self.fleet.status()["versions"]}
        if states[artefact.version] not in ("retired", "destroyed"):
            self._fail(f"the session made {artefact.label}: {answer}, yet {states}")

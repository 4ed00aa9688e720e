"""The contract of every integration: whatever a framework does with a key, these hold.

An integration is shown as a :class:`Subject` over a ring. ``check`` takes a ring through publish,
promote, rollback and retire by hand; ``check_turning`` lets a server do so; ``check_outage`` does
without its server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from support.installation import Installation, eventually

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing


class Subject(Protocol):
    """One integration: makes something with the primary, and accepts it while its key is accepted.

    One subject lives through the whole contract, as a worker lives through a rotation.
    """

    def issue(self) -> Any:
        """A session, a token, a link, a blob."""

    def accepts(self, artefact: Any) -> bool:
        """Whether the application still takes it."""


def check(make: Callable[[keywheel.Ring], Subject], *, algorithm: str | None = None) -> None:
    """Takes an integration through the life of a ring."""
    turned = TestRing("contract", algorithm=algorithm)
    subject = make(turned.ring)
    first = subject.issue()
    assert subject.accepts(first), "what was just made is accepted"

    turned.publish()
    assert subject.accepts(first), "a published version takes nothing away"
    before_promotion = subject.issue()
    turned.withdraw()
    assert subject.accepts(before_promotion), "a published version protects nothing yet"

    turned.rotate()
    second = subject.issue()
    assert subject.accepts(first), "what the old version made is accepted until it is retired"
    assert subject.accepts(second)

    turned.rollback()
    third = subject.issue()
    assert subject.accepts(second), "what the newer version made outlives the rollback"
    assert subject.accepts(first)
    turned.retire()
    assert subject.accepts(third), "after a rollback the old version protects"
    assert subject.accepts(first)
    assert not subject.accepts(second), "what is retired is refused"

    turned.rotate()
    fourth = subject.issue()
    turned.retire()
    assert subject.accepts(fourth), "the primary is what protects, exactly"
    assert not subject.accepts(third)
    assert not subject.accepts(first)


def check_turning(
    subjects: list[Subject], installation: Installation, *rings: keywheel.Ring
) -> None:
    """Takes integrations through rotation, rollback, rotation and retirement at a real server.

    All rings take each step together. What a version made is accepted until the server has retired
    that version, which on a busy machine may be before this looks, and refused from then on.
    """
    made: dict[int, list[Any]] = {}

    def is_retired(version: int) -> bool:
        found = [v for ring in rings for v in installation.ring(ring.name)["versions"]]
        return any(v["state"] == "retired" for v in found if v["number"] == version)

    def issue() -> None:
        made[rings[0].snapshot().version or 0] = [subject.issue() for subject in subjects]
        for version, artefacts in made.items():
            for subject, artefact in zip(subjects, artefacts):
                said = f"what v{version} made for {type(subject).__name__} is accepted"
                # The server retires first, and then this process lets go.
                assert subject.accepts(artefact) or is_retired(version), said

    def turn(verb: str, version: int) -> None:
        for ring in rings:
            installation.verb(ring.name, verb)
        for ring in rings:
            name = f"version {version} of {ring.name} protects"
            eventually(name, lambda ring=ring: ring.snapshot().version == version)

    def is_refused(version: int) -> None:
        for ring in rings:
            name = f"one version of {ring.name} is left"
            eventually(name, lambda ring=ring: len(ring.snapshot().accepted) == 1)
        for subject, artefact in zip(subjects, made.pop(version)):
            assert not subject.accepts(artefact), f"v{version} is retired: {subject}"

    issue()
    turn("rotate", 2)
    issue()
    turn("rollback", 1)
    issue()
    is_refused(2)
    turn("rotate", 3)
    issue()
    is_refused(1)
    for subject, artefact in zip(subjects, made[3]):
        assert subject.accepts(artefact), "the primary is what protects, exactly"


def check_outage(
    make: Callable[[keywheel.Ring], Subject], installation: Installation, ring: str
) -> None:
    """Does without the server: what was known goes on to work, and the ring says that it is old.

    The rings of the installation are :func:`support.installation.outlasting`.
    """
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"))
    subject = make(registry.ring(ring))
    artefact = subject.issue()
    installation.stop()
    eventually("the ring says so", lambda: registry.ring(ring).health()["stale"])
    assert subject.accepts(artefact)
    assert subject.accepts(subject.issue()), "within offline_max it protects too"
    assert not registry.ring(ring).health()["offline"]
    registry.shutdown()

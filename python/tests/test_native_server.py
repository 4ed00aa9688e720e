"""What an application says to the server: revocations, the ledger, events, the age of a key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from support.installation import Installation, eventually, outlasting, signing_ring

import keywheel
from keywheel._keywheel import Registry
from keywheel.exceptions import RevokedTokenError
from keywheel.testing import TestRing

Install = Callable[[str], Installation]
RINGS = outlasting(
    signing_ring("access", lifetime="10m", more='on_event = ["login"]\n')
    + signing_ring("kept", lifetime="10m", more="ledger = true\n")
    + signing_ring("aging", lifetime="10m", more='max_age_at_use = "2s"\n')
)


@pytest.fixture
def web(install: Install) -> Iterator[tuple[Installation, Registry]]:
    installation = install(RINGS)
    registry = Registry()
    file = installation.token("web", "access", "kept", "aging")
    registry.configure(url=installation.url, token_file=file)
    for name in ("access", "kept", "aging"):
        registry.ring(name)
    yield installation, registry
    assert registry.shutdown()


def test_a_token_that_is_revoked_is_refused_by_every_process(
    web: tuple[Installation, Registry],
) -> None:
    installation, registry = web
    ring = registry.ring("access")
    other = Registry()
    other.configure(url=installation.url, token_file=installation.token_file("web"))
    elsewhere = other.ring("access")
    token = keywheel.jwt.encode({"sub": "alice"}, ring)
    claims = keywheel.jwt.decode(token, elsewhere)
    assert not ring.is_revoked(claims)
    ring.revoke(jti=claims["jti"], expires=claims["exp"], reason="logout")
    assert ring.is_revoked(claims)
    assert ring.is_revoked({"jti": claims["jti"]})
    with pytest.raises(RevokedTokenError):
        keywheel.jwt.decode(token, ring)
    eventually("the other one hears of it", lambda: elsewhere.is_revoked(claims))
    with pytest.raises(RevokedTokenError):
        keywheel.jwt.decode(token, elsewhere)
    assert other.shutdown()


def test_a_subject_is_revoked_for_what_it_was_given(web: tuple[Installation, Registry]) -> None:
    _, registry = web
    ring = registry.ring("access")
    ring.revoke(subject="bob")
    now = time.time()
    assert ring.is_revoked({"sub": "bob", "iat": now - 10})
    assert ring.is_revoked({"sub": "bob", "iat": datetime.fromtimestamp(now - 9, timezone.utc)})
    assert ring.is_revoked({"sub": "bob"}), "without iat it may be an old one"
    assert not ring.is_revoked({"sub": "bob", "iat": now + 5})
    assert not ring.is_revoked({"sub": "carol", "iat": now - 10})


def test_what_cannot_be_revoked_is_said(web: tuple[Installation, Registry]) -> None:
    _, registry = web
    ring = registry.ring("access")
    with pytest.raises(ValueError, match="jti of a token, or a subject"):
        ring.revoke()
    with pytest.raises(ValueError, match="belongs to a subject"):
        ring.revoke(jti="a", issued_before=1)
    with pytest.raises(TypeError, match="neither a number nor a datetime"):
        ring.revoke(jti="a", expires="soon")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="jti is not a str"):
        ring.is_revoked({"jti": 7})


def test_a_ledger_is_told_of_what_others_mint(web: tuple[Installation, Registry]) -> None:
    installation, registry = web
    kept = registry.ring("kept")
    claims = {"jti": "theirs", "exp": time.time() + 600}
    assert kept.issued(claims)
    assert not registry.ring("access").issued(claims)
    with pytest.raises(keywheel.ClaimsError, match="jti until exp"):
        kept.issued({"sub": "alice"})

    def revoke_all() -> bool:
        body = {"ring": "kept", "issued": True}
        return bool(installation.call("POST", "/v1/revocations", body)["count"])

    eventually("the ledger has it", revoke_all)
    eventually("it is revoked by the ledger", lambda: kept.is_revoked(claims))


def test_an_event_begins_a_rotation(web: tuple[Installation, Registry]) -> None:
    _, registry = web
    ring = registry.ring("access")
    assert ring.snapshot().version == 1
    ring.event("login")
    eventually("the next version protects", lambda: ring.snapshot().version == 2)


def test_a_kid_that_nobody_knows_holds_up_no_other_thread(
    web: tuple[Installation, Registry],
) -> None:
    installation, registry = web
    ring = registry.ring("access")
    token = keywheel.jwt.encode({"sub": "alice"}, ring)
    keywheel.jwt.decode(token, ring)
    foreign = keywheel.jwt.encode({"sub": "alice"}, TestRing("access", algorithm="HS256").ring)
    installation.pause()
    try:
        refused = threading.Event()

        def refuse() -> None:
            with pytest.raises(keywheel.exceptions.InvalidTokenError):
                keywheel.jwt.decode(foreign, ring)
            refused.set()

        thread = threading.Thread(target=refuse)
        thread.start()
        passed = 0
        while not refused.is_set():
            keywheel.jwt.decode(token, ring)
            passed += 1
        thread.join()
        assert passed > 100, "it waits for the server, and this one does not"
    finally:
        installation.go_on()


def test_what_the_server_refuses_is_told_apart_from_an_outage(
    web: tuple[Installation, Registry],
) -> None:
    installation, registry = web
    ring = registry.ring("access")
    ring.snapshot()
    with pytest.raises(keywheel.RefusedError, match="name"):
        ring.event("")
    installation.stop()
    with pytest.raises(keywheel.UnavailableError):
        ring.event("login")
    with pytest.raises(keywheel.UnavailableError):
        ring.revoke(jti="a")
    installation.start()


def test_a_key_that_is_used_at_too_great_an_age_is_replaced(
    web: tuple[Installation, Registry],
) -> None:
    _, registry = web
    ring = registry.ring("aging")
    assert registry.ring("access").ensure_fresh(), "its policy has no such age"
    # On a busy machine a key may be too old before anybody has looked.
    eventually("it is fresh", ring.ensure_fresh)
    before = ring.snapshot().version or 0
    eventually("it is too old", lambda: not ring.ensure_fresh())
    eventually("the next version protects", lambda: (ring.snapshot().version or 0) > before)
    eventually("it is fresh again", ring.ensure_fresh)


LATE = {
    "kind": "secret",
    "longest_lifetime": "3s",
    "skew": "0s",
    "lease_ttl": "2s",
    "offline_max": "2s",
    "consumer": [{"name": "web", "role": "protect"}],
}


def arrived(ring: keywheel.Ring) -> bool:
    try:
        return ring.snapshot().version == 1
    except (keywheel.RefusedError, keywheel.UnavailableError):
        return False


def test_a_ring_that_is_refused_keeps_no_other_one(install: Install) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "access", "late"))
    access, late = registry.ring("access"), registry.ring("late")
    refused = "ring late is refused: there is no such ring.*; the other rings .* go on"
    with pytest.raises(keywheel.RefusedError, match=refused):
        registry.start()
    assert keywheel.jwt.encode({"sub": "alice"}, access)
    for use in (late.snapshot, late.secret, late.guard().__enter__, late.ensure_fresh):
        with pytest.raises(keywheel.RefusedError, match=refused):
            use()
    assert "no such ring" in (late.health()["trouble"] or "")
    assert access.health()["trouble"] is None
    eventually("the other one is proved", lambda: access.health()["proved"])
    installation.call("PUT", "/v1/rings/late", {"policy": LATE})
    eventually("it is there", lambda: arrived(late))
    registry.start()
    eventually("both are proved", lambda: access.health()["proved"] and late.health()["proved"])
    assert access.health()["instance"] == late.health()["instance"]
    assert registry.shutdown()


def test_a_start_tries_every_client_and_names_all_that_have_failed(install: Install) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    registry = Registry()
    token = installation.token("web", "access", "one", "two", "late")
    registry.configure(url=installation.url, token_file=token)
    # Each one that is named after the first use has a client of its own.
    for name in ("one", "two"):
        with pytest.raises(keywheel.RefusedError, match=name):
            registry.ring(name).snapshot()
    access = registry.ring("access")
    access.snapshot()
    with pytest.raises(keywheel.RefusedError, match=r"ring one is refused.*; and ring two is"):
        registry.start()
    installation.call("PUT", "/v1/rings/one", {"policy": LATE})
    eventually("it is there", lambda: arrived(registry.ring("one")))
    with pytest.raises(keywheel.RefusedError, match=r"^ring two is refused"):
        registry.start()
    assert registry.shutdown()


def test_a_ring_without_a_server_is_revoked_in_memory() -> None:
    ring = TestRing("test", algorithm="HS256").ring
    token = keywheel.jwt.encode({"sub": "alice"}, ring)
    ring.event("login")
    assert ring.ensure_fresh()
    ring.revoke(subject="alice")
    with pytest.raises(RevokedTokenError):
        keywheel.jwt.decode(token, ring)

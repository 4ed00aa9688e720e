"""Code that stays with PyJWT: the contract, and what PyJWT does with the keys of a rotation."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from contract import check, check_outage
from support.installation import Installation, eventually, outlasting, signing_ring

import keywheel
import keywheel.pyjwt
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

ALGORITHMS = ["HS256", "EdDSA", "ES256", "RS256"]


class Tokens:
    """Tokens of code that calls PyJWT's functions by another name."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring

    def issue(self) -> str:
        return keywheel.pyjwt.encode({"sub": "alice"}, self._ring)

    def accepts(self, artefact: str) -> bool:
        try:
            return bool(keywheel.pyjwt.decode(artefact, self._ring)["sub"] == "alice")
        except jwt.InvalidTokenError:
            return False


class KeysFor(Tokens):
    """The same with PyJWT's own call."""

    def accepts(self, artefact: str) -> bool:
        try:
            claims = jwt.decode(artefact, *keywheel.pyjwt.key_for(artefact, self._ring))
            return bool(claims["sub"] == "alice")
        except jwt.InvalidTokenError:
            return False


class Plain(Tokens):
    """PyJWT with whatever keys it is given."""

    def __init__(self, ring: keywheel.Ring, keys: Callable[[], Any]) -> None:
        super().__init__(ring)
        self._keys = keys

    def accepts(self, artefact: str) -> bool:
        try:
            return bool(jwt.decode(artefact, self._keys(), algorithms=["HS256"]))
        except jwt.InvalidTokenError:
            return False


def keys_of(ring: keywheel.Ring) -> list[bytes]:
    secrets = [version.secret for version in ring.snapshot().accepted]
    return [secret.reveal_bytes() for secret in secrets if secret is not None]


@pytest.mark.parametrize("make", [Tokens, KeysFor])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_contract(make: type[Tokens], algorithm: str) -> None:
    check(make, algorithm=algorithm)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    check_outage(Tokens, installation, "access")


def test_pyjwt_by_itself_takes_one_key_and_refuses_what_the_other_made() -> None:
    with pytest.raises(AssertionError, match="accepted until it is retired"):
        check(lambda ring: Plain(ring, lambda: keys_of(ring)[0]), algorithm="HS256")
    with pytest.raises(TypeError):
        check(lambda ring: Plain(ring, lambda: keys_of(ring)), algorithm="HS256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_either_module_makes_the_other_accepts(algorithm: str) -> None:
    ring = TestRing("access", algorithm=algorithm).ring
    theirs = keywheel.pyjwt.encode({"sub": "a", "aud": "x", "exp": time.time() + 60}, ring)
    assert keywheel.jwt.decode(theirs, ring, audience="x")["sub"] == "a"
    ours = keywheel.jwt.encode({"sub": "b", "aud": "x"}, ring)
    assert keywheel.pyjwt.decode(ours, ring, audience="x")["sub"] == "b"
    header = jwt.get_unverified_header(theirs)
    primary = ring.snapshot().primary
    assert primary is not None
    assert (header["kid"], header["alg"]) == (primary.kid, algorithm)


def test_arguments_and_exceptions_are_pyjwts() -> None:
    turned = TestRing("access", algorithm="HS256")
    ring = turned.ring
    token = keywheel.pyjwt.encode({"exp": 1}, ring, headers={"typ": "at+jwt", "kid": "mine"})
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    with pytest.raises(jwt.ExpiredSignatureError):
        keywheel.pyjwt.decode(token, ring)
    assert keywheel.pyjwt.decode(token, ring, options={"verify_exp": False}) == {"exp": 1}
    with pytest.raises(jwt.MissingRequiredClaimError):
        keywheel.pyjwt.decode(keywheel.pyjwt.encode({}, ring), ring, options={"require": ["exp"]})
    with pytest.raises(jwt.DecodeError):
        keywheel.pyjwt.decode("nonsense", ring)
    with pytest.raises(TypeError, match="leave both out"):
        keywheel.pyjwt.decode(token, ring, algorithms=["none"])
    stranger = keywheel.pyjwt.encode({}, TestRing("other", algorithm="HS256").ring)
    with pytest.raises(jwt.InvalidSignatureError):
        keywheel.pyjwt.decode(stranger, ring)
    with pytest.raises(jwt.InvalidSignatureError):
        keywheel.pyjwt.key_for(stranger, ring)


def test_a_token_of_before_without_a_kid_is_tried_with_each_version() -> None:
    turned = TestRing("access", algorithm="HS256")
    old = jwt.encode({"sub": "alice"}, keys_of(turned.ring)[0], algorithm="HS256")
    turned.rotate()
    assert keywheel.pyjwt.decode(old, turned.ring) == {"sub": "alice"}
    turned.retire()
    with pytest.raises(jwt.InvalidSignatureError):
        keywheel.pyjwt.decode(old, turned.ring)


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_public_key_is_no_hmac_key(algorithm: str) -> None:
    """The oldest attack on tokens: HS256 with what everybody knows."""
    ring = TestRing("access", algorithm=algorithm).ring
    primary = ring.snapshot().primary
    assert primary is not None
    forged = jwt.encode({"sub": "eve"}, "k" * 32, algorithm="HS256", headers={"kid": primary.kid})
    with pytest.raises(jwt.InvalidAlgorithmError):
        keywheel.pyjwt.decode(forged, ring)


def test_uses_are_counted_by_version_and_what_is_revoked_is_refused(
    install: Callable[[str], Installation],
) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"))
    ring = registry.ring("access")
    expires = int(time.time()) + 600
    token = keywheel.pyjwt.encode({"jti": "one", "exp": expires}, ring)
    for _ in range(3):
        keywheel.pyjwt.decode(token, ring)
    eventually("three uses are known", lambda: _processed(installation) == {1: 3})
    installation.rotate("access")
    eventually("the new version is there", lambda: ring.snapshot().version == 2)
    keywheel.pyjwt.decode(keywheel.pyjwt.encode({}, ring), ring)
    eventually("the use of the new one is known", lambda: _processed(installation).get(2) == 1)
    ring.revoke(jti="one", expires=expires)
    with pytest.raises(jwt.InvalidTokenError, match="revoked"):
        keywheel.pyjwt.decode(token, ring)
    registry.shutdown()


def test_only_what_a_version_did_not_make_counts_against_it(
    install: Callable[[str], Installation],
) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"))
    ring = registry.ring("access")
    primary = ring.snapshot().primary
    assert primary is not None
    expires = int(time.time()) + 600
    revoked = keywheel.pyjwt.encode({"jti": "one", "exp": expires}, ring)
    ring.revoke(jti="one", expires=expires)
    own = [
        keywheel.pyjwt.encode({"exp": 1}, ring),
        keywheel.pyjwt.encode({"aud": "other"}, ring),
        revoked,
    ]
    for token in own:
        with pytest.raises(jwt.InvalidTokenError):
            keywheel.pyjwt.decode(token, ring)
    named = {"kid": primary.kid}
    foreign = [
        jwt.encode({}, "k" * 32, algorithm="HS256", headers=named),
        jwt.encode({}, "k" * 64, algorithm="HS512", headers=named),
        jwt.encode({}, "k" * 32, algorithm="HS256"),
    ]
    for token in foreign:
        with pytest.raises((jwt.InvalidSignatureError, jwt.InvalidAlgorithmError)):
            keywheel.pyjwt.decode(token, ring)
    keywheel.pyjwt.decode(keywheel.pyjwt.encode({}, ring), ring)
    # Counts of one process arrive together.
    eventually("the use is known", lambda: _processed(installation) == {1: 1})
    assert _counted(installation, "rejected") == {1: 2}
    registry.shutdown()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_retired_key_is_kept_also_where_nobody_uses_the_ring(algorithm: str) -> None:
    turned = TestRing("kept", algorithm=algorithm)
    token = keywheel.pyjwt.encode({}, turned.ring)
    keywheel.pyjwt.decode(token, turned.ring)
    old = turned.ring.snapshot().accepted[0]
    turned.rotate()
    keywheel.pyjwt.decode(token, turned.ring)
    turned.retire()
    eventually("nothing is kept", lambda: "kept" not in keywheel.pyjwt._keys)
    # Who looked the version up before that uses it once more.
    keywheel.pyjwt._key(turned.ring, old.kid, old.secret)
    kept = keywheel.pyjwt._keys.get("kept")
    assert kept is None or old.kid not in kept.made


def _processed(installation: Installation) -> dict[int, int]:
    return _counted(installation, "processed")


def _counted(installation: Installation, what: str) -> dict[int, int]:
    page = installation.call("GET", "/metrics").decode()
    lines = re.findall(rf'ring_version_{what}{{.*version="v(\d+)".*}} (\d+)', page)
    return {int(version): int(count) for version, count in lines}

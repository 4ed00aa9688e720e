"""Tokens beyond the contract: what is expected of them, however it is said."""

from __future__ import annotations

import base64
import json
from collections import UserDict
from typing import Any

import pytest

import keywheel
from keywheel.exceptions import AudienceError, IssuerError, MissingClaimError
from keywheel.testing import TestRing


@pytest.fixture
def turned() -> TestRing:
    return TestRing("access", algorithm="HS256")


def test_what_is_expected_is_what_was_given_last(turned: TestRing) -> None:
    ring = turned.ring
    token = keywheel.jwt.encode({"aud": "a", "iss": "i"}, ring)
    for _ in range(3):
        assert keywheel.jwt.decode(token, ring, audience="a", issuer="i")["aud"] == "a"
        with pytest.raises(AudienceError):
            keywheel.jwt.decode(token, ring, audience="b", issuer="i")
        with pytest.raises(IssuerError):
            keywheel.jwt.decode(token, ring, audience="a", issuer="b")
        with pytest.raises(MissingClaimError):
            keywheel.jwt.decode(token, ring, require=("scope",))
        keywheel.jwt.decode(token, ring)


def test_a_list_that_changes_is_read_again(turned: TestRing) -> None:
    ring, wanted = turned.ring, ["a"]
    token = keywheel.jwt.encode({"aud": "a"}, ring)
    keywheel.jwt.decode(token, ring, audience=wanted)
    wanted[0] = "b"
    with pytest.raises(AudienceError):
        keywheel.jwt.decode(token, ring, audience=wanted)
    for inner in (("a", "c"), ("c", "d")):
        if "a" in inner:
            keywheel.jwt.decode(token, ring, audience=inner)
        else:
            with pytest.raises(AudienceError):
                keywheel.jwt.decode(token, ring, audience=inner)


def test_a_verifier_follows_its_ring(turned: TestRing) -> None:
    verifier = keywheel.jwt.Verifier(turned.ring, audience="a")
    assert verifier.ring is turned.ring
    first = keywheel.jwt.encode({"aud": "a"}, turned.ring)
    turned.rotate()
    second = keywheel.jwt.encode({"aud": "a"}, turned.ring)
    assert verifier.decode(first)["aud"] == verifier.decode(second.encode())["aud"] == "a"
    turned.retire()
    with pytest.raises(keywheel.exceptions.InvalidTokenError):
        verifier.decode(first)
    with pytest.raises(AudienceError):
        verifier.decode(keywheel.jwt.encode({"aud": "b"}, turned.ring))
    with pytest.raises(ValueError, match="empty list"):
        keywheel.jwt.Verifier(turned.ring, audience=[])


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 2**63 - 1, -(2**63), 2**63, 2**200, 1.5, -2.5e-7, 1e300, True, False, None),
        *("", 'ä"\\\n\x00', "\x7f\U0001f600", "a" * 300),
        *([], [[]], ["a", "b,]", 'ä"\\'], [1, -2.5, True, None, [2**70, [""]]], [1, {"a": []}]),
        *({}, {"a": {"b": [1.5, "c"]}}),
    ],
)
def test_what_is_encoded_comes_back(turned: TestRing, value: Any) -> None:
    claims = {"sub": "alice", "value": value, "ü": value}
    found = keywheel.jwt.decode(keywheel.jwt.encode(claims, turned.ring), turned.ring)
    assert {name: found[name] for name in claims} == claims
    assert type(found["value"]) is type(value)
    again = keywheel.jwt.decode(keywheel.jwt.encode(UserDict(claims), turned.ring), turned.ring)
    assert again["value"] == value


def header(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_the_header_gets_members_and_stays_the_keys(algorithm: str) -> None:
    ring = TestRing("access", algorithm=algorithm).ring
    plain = header(keywheel.jwt.encode({}, ring))
    assert plain == {"alg": algorithm, "kid": plain["kid"], "typ": "JWT"}
    token = keywheel.jwt.encode({"sub": "a"}, ring, headers={"typ": "at+jwt", "x": {"y": [1, "ü"]}})
    assert header(token) == {**plain, "typ": "at+jwt", "x": {"y": [1, "ü"]}}
    assert keywheel.jwt.decode(token, ring, typ="at+jwt")["sub"] == "a"
    assert header(keywheel.jwt.encode({}, ring, headers=UserDict(cty="a"))) == {**plain, "cty": "a"}
    for name in ("alg", "kid"):
        with pytest.raises(keywheel.ClaimsError, match=f"`{name}` is that of the key.*leave it"):
            keywheel.jwt.encode({}, ring, headers={name: "mine"})
    for name in ("crit", "b64"):
        with pytest.raises(keywheel.ClaimsError, match=f"`{name}` changes how tokens are read"):
            keywheel.jwt.encode({}, ring, headers={name: ["b64"]})
    with pytest.raises(keywheel.ClaimsError, match="`typ` is no string"):
        keywheel.jwt.encode({}, ring, headers={"typ": None})


def test_a_leeway_that_is_no_whole_number_of_seconds_is_refused(turned: TestRing) -> None:
    token = keywheel.jwt.encode({"sub": "a"}, turned.ring)
    for leeway in (0, 1, 1.0, 60):
        assert keywheel.jwt.decode(token, turned.ring, leeway=leeway)["sub"] == "a"
    for leeway, instead in ((0.5, "1"), (1.25, "2")):
        with pytest.raises(ValueError, match=f"whole seconds.*{leeway} is none; give {instead}"):
            keywheel.jwt.decode(token, turned.ring, leeway=leeway)
        with pytest.raises(ValueError, match="whole seconds"):
            keywheel.jwt.Verifier(turned.ring, leeway=leeway)


def test_each_dictionary_is_its_own(turned: TestRing) -> None:
    ring = turned.ring
    kinds: list[dict[str, Any]] = [
        {"iss": "i", "aud": "a", "scope": "x", "sub": "1"},
        {"iss": "i", "aud": "a", "scope": "y", "sub": "2"},
        {"iss": "i", "aud": ["a", "b"], "scope": "x", "sub": "3"},
        {"sub": "4", "aud": "a"},
        {"aud": "a", "sub": "5"},
        {f"c{number}": number for number in range(40)},
        {"c" * 100: 1, "iss": 'ä"'},
        {"iss": 'ä"', "aud": "\\"},
        {},
    ]
    tokens = [keywheel.jwt.encode(one, ring) for one in kinds]
    for _ in range(20):
        for claims, token in zip(kinds, tokens):
            for _ in range(3):
                found = keywheel.jwt.decode(token, ring)
                assert list(found)[: len(claims)] == list(claims)
                assert {name: found[name] for name in claims} == claims
                assert set(found) - set(claims) == {"jti", "iat", "exp"} - set(claims)
                # Whoever changes what was given changes nothing of what comes next.
                if isinstance(found.get("aud"), list):
                    found["aud"].append("c")
                found["iss"] = "changed"
                found["more"] = found.pop("sub", None)


def test_names_of_tokens_are_random_and_given_ones_stay(turned: TestRing) -> None:
    ring = turned.ring
    names = {keywheel.jwt.decode(keywheel.jwt.encode({}, ring), ring)["jti"] for _ in range(200)}
    assert len(names) == 200
    assert {len(name) for name in names} == {22}
    given = keywheel.jwt.encode({"jti": "mine"}, ring)
    assert keywheel.jwt.decode(given, ring)["jti"] == "mine"

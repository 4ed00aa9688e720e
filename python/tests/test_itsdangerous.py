"""Signers and serializers over a ring, and what those of itsdangerous do without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import itsdangerous
import pytest
from contract import check, check_outage, check_turning
from support.installation import Installation, outlasting, secret_ring

import keywheel
import keywheel.itsdangerous as live
from keywheel._keywheel import Registry
from keywheel.testing import TestRing


class Signed:
    """A value with a signature."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._signer = live.signer(ring, salt="test")

    def issue(self) -> bytes:
        return self._signer.sign("alice")

    def accepts(self, artefact: bytes) -> bool:
        return self._signer.validate(artefact, max_age=3600)


class Untimed(Signed):
    """A value with a signature and no time."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._plain = live.Signer(ring)

    def issue(self) -> bytes:
        return self._plain.sign("alice")

    def accepts(self, artefact: bytes) -> bool:
        return self._plain.validate(artefact)


class Serialized:
    """An object in a link."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._serializer = live.serializer(ring, salt="confirm")

    def issue(self) -> Any:
        return self._serializer.dumps({"user": 7})

    def accepts(self, artefact: Any) -> bool:
        try:
            return bool(self._serializer.loads(artefact, max_age=3600) == {"user": 7})
        except itsdangerous.BadSignature:
            return False


class Fallen:
    """What is accepted by a fallback signer of the serializer only."""

    def __init__(self, ring: keywheel.Ring) -> None:
        options = {"key_derivation": "hmac"}
        self._before = live.Serializer(ring, signer_kwargs=options)
        self._after = live.Serializer(ring, fallback_signers=[options])

    def issue(self) -> Any:
        return self._before.dumps([1])

    def accepts(self, artefact: Any) -> bool:
        return bool(self._after.loads_unsafe(artefact)[0])


@pytest.mark.parametrize("subject", [Signed, Untimed, Serialized, Fallen])
def test_the_contract(subject: Callable[[keywheel.Ring], Any]) -> None:
    check(subject)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(secret_ring("links", lifetime="10m")))
    installation.token("web", "links")
    check_outage(Serialized, installation, "links")


def test_the_plain_signer_goes_on_with_the_key_that_was_retired() -> None:
    """The failure that goes: a signer that was made once holds its keys for good."""
    turned = TestRing("links")
    shared = live.TimestampSigner(turned.ring)
    plain = itsdangerous.TimestampSigner(shared.secret_keys)
    turned.rotate()
    turned.retire()
    assert not plain.validate(shared.sign("made elsewhere")), "the plain one logs users out"
    assert not shared.validate(plain.sign("made here")), "and signs what nobody accepts"
    assert shared.validate(shared.sign("live"))


def test_a_plain_list_with_a_key_that_is_not_in_use_signs_with_it() -> None:
    """The failure that goes: the last of a list signs, also before others accept it."""
    turned = TestRing("links")
    shared = live.Signer(turned.ring)
    others = itsdangerous.Signer(shared.secret_keys)
    turned.publish()
    newest_last = sorted(turned.ring.snapshot().accepted, key=lambda version: version.number)
    keys = [version.secret.reveal_bytes() for version in newest_last if version.secret is not None]
    assert not others.validate(itsdangerous.Signer(keys).sign("too early"))
    assert others.validate(shared.sign("in time"))


def test_what_the_plain_classes_made_with_the_same_key_is_accepted_and_the_reverse() -> None:
    ring = TestRing("links").ring
    for name in ("Signer", "TimestampSigner"):
        one = getattr(live, name)(ring, salt="s", key_derivation="hmac")
        other = getattr(itsdangerous, name)(one.secret_keys, salt="s", key_derivation="hmac")
        assert one.unsign(other.sign("value")) == b"value"
        assert other.unsign(one.sign("value")) == b"value"
        assert one.secret_key == other.secret_key
        assert one.derive_key() == other.derive_key()
    for name in ("Serializer", "TimedSerializer", "URLSafeSerializer", "URLSafeTimedSerializer"):
        one = getattr(live, name)(ring, "s", signer_kwargs={"key_derivation": "concat"})
        other = getattr(itsdangerous, name)(
            one.secret_keys, "s", signer_kwargs={"key_derivation": "concat"}
        )
        assert isinstance(one, getattr(itsdangerous, name))
        assert one.loads(other.dumps({"a": 1})) == {"a": 1}
        assert other.loads(one.dumps({"a": 1})) == {"a": 1}


class Yesterday(itsdangerous.TimestampSigner):
    """Signs as if a day had gone by since."""

    def get_timestamp(self) -> int:
        return int(time.time()) - 86_400


def test_ages_are_those_of_itsdangerous() -> None:
    ring = TestRing("links").ring
    serializer = live.serializer(ring)
    old = live.serializer(ring, signer=Yesterday).dumps("late")
    assert serializer.loads(old, max_age=90_000) == "late"
    with pytest.raises(itsdangerous.SignatureExpired):
        serializer.loads(old, max_age=60)
    value, at = live.signer(ring).unsign(live.signer(ring).sign("x"), return_timestamp=True)
    assert value == b"x"
    assert at.tzinfo is not None


def test_nonsense_is_refused_as_itsdangerous_refuses_it() -> None:
    ring = TestRing("links").ring
    for text in ("", "a", "a.b", "a.b.c", "é.é.é", "." * 100, "a.!!!"):
        with pytest.raises(itsdangerous.BadSignature):
            live.serializer(ring).loads(text)
        with pytest.raises(itsdangerous.BadSignature):
            live.signer(ring).unsign(text)


def test_keys_are_not_set_and_a_signer_of_another_kind_is_refused() -> None:
    ring = TestRing("links").ring
    with pytest.raises(TypeError, match="rotate the ring"):
        live.signer(ring).secret_keys = [b"mine"]

    class Other(itsdangerous.Signer):
        def get_signature(self, value: str | bytes) -> bytes:
            return b"signed"

    with pytest.raises(TypeError, match=r"keywheel\.itsdangerous\.Signer"):
        live.serializer(ring, signer=Other)


def test_a_key_from_a_file_is_the_key_of_the_application(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('[web]\nkeys = ["the key the app has had for years", "an even older one"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    serializer = live.serializer(registry.ring("web"))
    plain = itsdangerous.URLSafeTimedSerializer("the key the app has had for years")
    older = itsdangerous.URLSafeTimedSerializer("an even older one")
    assert serializer.loads(plain.dumps("session")) == "session"
    assert serializer.loads(older.dumps("session")) == "session"
    assert plain.loads(serializer.dumps("session")) == "session"


def test_one_signer_lives_through_rotation_rollback_rotation_and_retirement(
    install: Callable[[str], Installation],
) -> None:
    installation = install(outlasting(secret_ring("links")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "links"))
    ring = registry.ring("links")
    check_turning([Signed(ring), Serialized(ring)], installation, ring)
    registry.shutdown()

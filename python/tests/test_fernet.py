"""Fernet over a ring, and what cryptography's ``MultiFernet`` does without one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from contract import check, check_outage
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from support.installation import Installation, encryption_ring, eventually, outlasting

import keywheel
import keywheel.cryptography
from keywheel._keywheel import Registry
from keywheel.cryptography import fernet
from keywheel.testing import TestRing


class Blobs:
    """Blobs as an application stores them."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._fernet = fernet(ring)

    def issue(self) -> bytes:
        return self._fernet.encrypt(b"070-1740605")

    def accepts(self, artefact: bytes) -> bool:
        try:
            return self._fernet.decrypt(artefact, ttl=3600) == b"070-1740605"
        except InvalidToken:
            return False


class Rotated(Blobs):
    """Blobs that were brought to the primary from an older time."""

    def issue(self) -> bytes:
        return self._fernet.rotate(super().issue())


@pytest.mark.parametrize("subject", [Blobs, Rotated])
def test_the_contract(subject: Callable[[keywheel.Ring], Blobs]) -> None:
    check(subject, algorithm="Fernet")


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(encryption_ring("pii")))
    installation.token("web", "pii")
    check_outage(Blobs, installation, "pii")


def plain(ring: keywheel.Ring) -> MultiFernet:
    """cryptography's own, with the keys of now."""
    secrets = [version.secret for version in ring.snapshot().accepted]
    return MultiFernet([Fernet(secret.reveal_bytes()) for secret in secrets if secret is not None])


def test_a_plain_one_copies_its_list_and_stays_with_it() -> None:
    """The failure that goes: what others encrypt is unreadable, and what it encrypts is lost."""
    turned = TestRing("pii", algorithm="Fernet")
    live, kept = fernet(turned.ring), plain(turned.ring)
    turned.rotate()
    with pytest.raises(InvalidToken):
        kept.decrypt(live.encrypt(b"made elsewhere"))
    lost = kept.encrypt(b"made here")
    turned.retire()
    with pytest.raises(InvalidToken):
        live.decrypt(lost)
    assert kept.decrypt(lost) == b"made here", "and it never learns that the key is retired"


def test_it_is_byte_for_byte_the_format_of_the_plain_one() -> None:
    turned = TestRing("pii", algorithm="Fernet")
    live = fernet(turned.ring)
    turned.rotate()
    assert isinstance(live, MultiFernet)
    assert live.decrypt(plain(turned.ring).encrypt(b"x")) == b"x"
    assert plain(turned.ring).decrypt(live.encrypt(b"x")) == b"x"
    assert live.decrypt(live.encrypt(b"x").decode()) == b"x"


def test_rotating_keeps_the_time_and_takes_the_primary() -> None:
    turned = TestRing("pii", algorithm="Fernet")
    live = fernet(turned.ring)
    old = live.encrypt_at_time(b"x", 1_000_000)
    turned.rotate()
    new = live.rotate(old)
    turned.retire()
    assert live.extract_timestamp(new) == 1_000_000
    assert live.decrypt_at_time(new, ttl=10, current_time=1_000_005) == b"x"
    with pytest.raises(InvalidToken):
        live.decrypt_at_time(new, ttl=10, current_time=1_000_011)
    with pytest.raises(InvalidToken):
        live.decrypt(new, ttl=10)
    with pytest.raises(InvalidToken):
        live.rotate(old)
    with pytest.raises(InvalidToken):
        live.extract_timestamp(old)


def test_what_is_wrong_is_said_as_cryptography_says_it() -> None:
    live = fernet(TestRing("pii", algorithm="Fernet").ring)
    with pytest.raises(TypeError):
        live.encrypt("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        live.decrypt(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ttl"):
        live.decrypt_at_time(b"x", None, int(time.time()))  # type: ignore[arg-type]
    for nonsense in (b"", "", b"x", b"\x80", live.encrypt(b"x")[:-4]):
        with pytest.raises(InvalidToken):
            live.decrypt(nonsense)


def test_a_ring_of_another_kind_is_named_and_its_key_is_not() -> None:
    ring = TestRing("sessions").ring
    primary = ring.snapshot().primary
    assert primary is not None
    assert primary.secret is not None
    with pytest.raises(keywheel.ConfigurationError, match="Fernet") as caught:
        fernet(ring).encrypt(b"x")
    assert primary.secret.reveal() not in repr(caught.value.__cause__) + str(caught.value)


def test_the_package_offers_it_and_does_not_import_cryptography_for_that() -> None:
    script = (
        "import sys, keywheel\n"
        "assert not any(name.split('.')[0] == 'cryptography' for name in sys.modules)\n"
        "assert keywheel.fernet('pii').ring.name == 'pii'\n"
        "import keywheel.cryptography\n"
        "assert keywheel.fernet is keywheel.cryptography.fernet\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_blobs_live_through_rotation_rollback_rotation_and_retirement(
    install: Callable[[str], Installation],
) -> None:
    installation = install(outlasting(encryption_ring("pii")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "pii"))
    installation.token("walker", "pii", role="evidence:reencryption")
    ring = registry.ring("pii")
    live = fernet(ring)
    stored: dict[int, bytes] = {}

    def store() -> None:
        stored[ring.snapshot().version or 0] = live.encrypt(b"x")
        assert [live.decrypt(blob) for blob in stored.values()] == [b"x"] * len(stored)

    def nothing_is_left_of(version: int) -> None:
        def asked() -> bool:
            gates = [g for g in installation.ring("pii")["gates"] if g["version"] == version]
            return any(gate["name"] == "reencryption" for g in gates for gate in g["gates"])

        eventually(f"the server asks what is left of version {version}", asked)
        body = {"verdict": "pass", "version": version}
        installation.call("PUT", "/v1/rings/pii/gates/reencryption", body, token="walker")

    store()
    installation.rotate("pii")
    eventually("the second version protects", lambda: ring.snapshot().version == 2)
    store()
    installation.verb("pii", "rollback")
    eventually("the first one protects again", lambda: ring.snapshot().version == 1)
    store()
    made_with_2 = stored.pop(2)
    stored[1] = live.rotate(made_with_2)
    nothing_is_left_of(2)
    eventually("the way back is done", lambda: len(ring.snapshot().accepted) == 1)
    assert live.decrypt(stored[1]) == b"x"
    with pytest.raises(InvalidToken):
        live.decrypt(made_with_2)
    installation.rotate("pii")
    eventually("the third one protects", lambda: ring.snapshot().version == 3)
    store()
    nothing_is_left_of(1)
    eventually("the first one is retired", lambda: len(ring.snapshot().accepted) == 1)
    with pytest.raises(InvalidToken):
        live.decrypt(stored[1])
    assert live.decrypt(stored[3]) == b"x"
    registry.shutdown()

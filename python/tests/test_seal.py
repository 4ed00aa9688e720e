"""Values that a ring seals and opens, without any framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from contract import check, check_outage
from cryptography.fernet import Fernet
from support.installation import Installation, encryption_ring, outlasting, secret_ring
from support.postgres import postgres

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

ALGORITHMS = ["AES-256-GCM", "ChaCha20-Poly1305", "Fernet", "passphrase"]


class Values:
    """Values as an application stores them."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring

    def issue(self) -> bytes:
        return self._ring.seal("070-1740605")

    def accepts(self, artefact: bytes) -> bool:
        try:
            return self._ring.unseal_text(artefact) == "070-1740605"
        except keywheel.UnknownKeyError:
            return False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_contract(algorithm: str) -> None:
    check(Values, algorithm=algorithm)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(encryption_ring("pii", "AES-256-GCM")))
    installation.token("web", "pii")
    check_outage(Values, installation, "pii")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "data", [b"", b"\0\xff", b"x" * 100_000, bytearray(b"b"), memoryview(b"m")]
)
def test_bytes_of_every_kind(algorithm: str, data: bytes) -> None:
    ring = TestRing("pii", algorithm=algorithm).ring
    blob = keywheel.seal(ring, data)
    for value in (blob, bytearray(blob), memoryview(blob)):
        assert keywheel.unseal(ring, value) == bytes(data)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_text(algorithm: str) -> None:
    ring = TestRing("pii", algorithm=algorithm).ring
    assert keywheel.unseal_text(ring, keywheel.seal(ring, "Zürich 🚲")) == "Zürich 🚲"
    with pytest.raises(keywheel.SealedValueError, match="no text in UTF-8") as refusal:
        keywheel.unseal_text(ring, keywheel.seal(ring, b"\xff"))
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_no_value(algorithm: str) -> None:
    ring = TestRing("pii", algorithm=algorithm).ring
    with pytest.raises(keywheel.SealedValueError):
        ring.unseal(b"no value")
    for wrong in (None, 7, ["x"]):
        with pytest.raises(TypeError):
            ring.seal(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            ring.unseal(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", [None, "EdDSA", "HS256"])
def test_a_ring_of_another_kind(algorithm: str | None) -> None:
    ring = TestRing("web", algorithm=algorithm).ring
    with pytest.raises(keywheel.ConfigurationError, match="encryption"):
        ring.seal("x")
    with pytest.raises(keywheel.ConfigurationError, match="encryption"):
        ring.unseal(b"x")


def test_a_context() -> None:
    ring = TestRing("pii", algorithm="AES-256-GCM").ring
    blob = ring.seal("x", context=b"people.iban")
    assert ring.unseal_text(blob, context=b"people.iban") == "x"
    with pytest.raises(keywheel.UnknownKeyError):
        ring.unseal(blob, context=b"people.card")
    with pytest.raises(keywheel.SealedValueError, match="context"):
        TestRing("pii", algorithm="passphrase").ring.seal("x", context=b"people.iban")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_many_at_once(algorithm: str) -> None:
    turned = TestRing("pii", algorithm=algorithm)
    ring = turned.ring
    old = [ring.seal(f"old {n}") for n in range(20)]
    turned.rotate()
    values = [*old, None, ring.seal("Zürich"), memoryview(ring.seal(b"\xff"))]
    plain = [f"old {n}".encode() for n in range(20)]
    assert ring.unseal_many(values) == [*plain, None, "Zürich".encode(), b"\xff"]
    assert ring.unseal_text_many(iter(values[:-1])) == [
        *(text.decode() for text in plain),
        None,
        "Zürich",
    ]
    assert ring.unseal_many([]) == []
    with pytest.raises(keywheel.SealedValueError, match="no text in UTF-8"):
        ring.unseal_text_many(values)
    with pytest.raises(TypeError):
        ring.unseal_many([old[0], 7])  # type: ignore[list-item]
    turned.retire()
    with pytest.raises(keywheel.UnknownKeyError) as refusal:
        ring.unseal_many([values[-2], old[0]])
    assert getattr(refusal.value, "__notes__", ["it is value 1 of those"]) == [
        "it is value 1 of those"
    ]


@pytest.mark.parametrize("algorithm", ["Fernet", "passphrase"])
def test_a_column_that_is_text(algorithm: str) -> None:
    ring = TestRing("pii", algorithm=algorithm).ring
    text, data = ring.seal_armored("Zürich"), ring.seal_armored(b"\0\xff")
    assert text.isascii()
    assert ring.unseal_text(text) == "Zürich"
    assert ring.unseal_many([data, text, ring.seal("x")]) == [b"\0\xff", "Zürich".encode(), b"x"]


def test_a_format_that_is_no_text() -> None:
    with pytest.raises(keywheel.SealedValueError, match="bytes and not text"):
        TestRing("pii", algorithm="AES-256-GCM").ring.seal_armored("x")


def test_cryptography_reads_what_is_sealed_and_the_other_way_round() -> None:
    ring = TestRing("pii", algorithm="Fernet").ring
    theirs = Fernet(ring.secret().reveal())
    assert theirs.decrypt(ring.seal("x"), ttl=3600) == b"x"
    assert ring.unseal(theirs.encrypt(b"y")) == b"y"


def test_keys_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    old, new = "x7Gq2Lw9Zr4Tn8Vb3Kd6Hf1Jm5Sp0Yc", "a" * 8 + "Qw3Er5Ty7Ui9Op2As4Df6Gh8"
    file.write_text(f'[pii]\nalgorithm = "passphrase"\nkeys = ["{new}", "{old}"]\n')
    file.chmod(0o600)
    registry = Registry()
    registry.configure(url=f"file:{file}")
    ring = registry.ring("pii")
    assert ring.unseal_text(ring.seal("x")) == "x"
    assert ring.snapshot().version == 2


def test_pgcrypto_reads_what_is_sealed_and_the_other_way_round() -> None:
    turned = TestRing("pii", algorithm="passphrase")
    ring = turned.ring
    key = ring.secret().reveal()
    with postgres() as folder, psycopg.connect(host=folder, user="owner", dbname="postgres") as db:
        row = db.execute(
            "SELECT pgp_sym_encrypt('Zürich', %(key)s), pgp_sym_encrypt_bytea('\\x00ff', %(key)s),"
            " armor(pgp_sym_encrypt('Zürich', %(key)s)), pgp_sym_decrypt(%(text)s, %(key)s),"
            " pgp_sym_decrypt_bytea(%(bytes)s, %(key)s),"
            " pgp_sym_decrypt(dearmor(%(armor)s), %(key)s)",
            {
                "key": key,
                "text": ring.seal("Zürich"),
                "bytes": ring.seal(b"\0\xff"),
                "armor": ring.seal_armored("Zürich"),
            },
        ).fetchone()
    assert row is not None
    turned.rotate()
    assert ring.unseal_text(row[0]) == "Zürich"
    assert ring.unseal(row[1]) == b"\0\xff"
    assert ring.unseal_text(row[2]) == "Zürich"
    assert row[3] == "Zürich"
    assert row[4] == b"\0\xff"
    assert row[5] == "Zürich"
    turned.retire()
    with pytest.raises(keywheel.UnknownKeyError):
        ring.unseal(row[0])


def test_a_consumer_of_a_secret_ring_is_told(install: Callable[[str], Installation]) -> None:
    installation = install(secret_ring("web"))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    with pytest.raises(keywheel.ConfigurationError, match="encryption"):
        registry.ring("web").seal("x")
    registry.shutdown()

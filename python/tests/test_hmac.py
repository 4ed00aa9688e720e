"""Signatures of webhooks over a ring, and what the standard library's ``hmac`` does without one."""

from __future__ import annotations

import hmac
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from contract import check, check_outage
from support.installation import Installation, eventually, outlasting, secret_ring

import keywheel
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

BODY = b'{"event": "paid"}'


class Raw:
    """Webhooks with the bytes of a signature."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._hooks = keywheel.hmac(ring)

    def issue(self) -> bytes:
        return self._hooks.sign(BODY)

    def accepts(self, artefact: bytes) -> bool:
        return self._hooks.verify(BODY, artefact)


class Hexadecimal:
    """Webhooks with a header."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._hooks = keywheel.hmac(ring, "sha512")

    def issue(self) -> str:
        return self._hooks.hexdigest(BODY)

    def accepts(self, artefact: str) -> bool:
        return self._hooks.verify(BODY, artefact)


@pytest.mark.parametrize("algorithm", [None, "HS256"])
@pytest.mark.parametrize("subject", [Raw, Hexadecimal])
def test_the_contract(subject: type[Raw] | type[Hexadecimal], algorithm: str | None) -> None:
    check(subject, algorithm=algorithm)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(secret_ring("hooks", lifetime="10m")))
    installation.token("web", "hooks")
    check_outage(Hexadecimal, installation, "hooks")


def keys_of(ring: keywheel.Ring) -> list[bytes]:
    secrets = [version.secret for version in ring.snapshot().accepted]
    return [secret.reveal_bytes() for secret in secrets if secret is not None]


class Plain:
    """The standard library, with the key of the start or of now."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def issue(self) -> bytes:
        return hmac.digest(self._key(), BODY, "sha256")

    def accepts(self, artefact: bytes) -> bool:
        return hmac.compare_digest(self.issue(), artefact)


def test_the_standard_library_takes_one_key_and_refuses_what_the_other_made() -> None:
    def of_the_start(ring: keywheel.Ring) -> Plain:
        first = keys_of(ring)[0]
        return Plain(lambda: first)

    with pytest.raises(AssertionError, match="what is retired is refused"):
        check(of_the_start)
    with pytest.raises(AssertionError, match="accepted until it is retired"):
        check(lambda ring: Plain(lambda: keys_of(ring)[0]))


@pytest.mark.parametrize("digest", ["sha256", "sha1", "sha512", "sha3_256"])
def test_it_is_what_the_standard_library_makes(digest: str) -> None:
    ring = TestRing("hooks").ring
    hooks = keywheel.hmac(ring, digest)
    assert hooks.sign(BODY) == hmac.new(keys_of(ring)[0], BODY, digest).digest()
    assert hooks.hexdigest(BODY) == hooks.sign(BODY).hex()
    assert hooks.verify(BODY, hooks.hexdigest(BODY).upper())


def test_what_is_no_signature_is_refused_and_raises_nothing() -> None:
    hooks = keywheel.hmac(TestRing("hooks").ring)
    good = hooks.hexdigest(BODY)
    assert not hooks.verify(b"another", good)
    spaced = f"{good[:2]} {good[2:]}"
    for nonsense in ("", "x" * 64, "\xe9" * 64, good[:-1], good + "00", spaced, f"sha256={good}"):
        assert not hooks.verify(BODY, nonsense)
    for short in (b"", hooks.sign(BODY)[:-1], hooks.sign(BODY) + b"\0", good.encode()):
        assert not hooks.verify(BODY, short)
    with pytest.raises(TypeError):
        hooks.sign("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nonsense"):
        keywheel.hmac("hooks", "nonsense")


def test_the_package_offers_it_and_imports_nothing_for_that() -> None:
    script = (
        "import sys, keywheel\n"
        "assert not {'hmac', 'keywheel._hmac'} & set(sys.modules)\n"
        "assert repr(keywheel.hmac('hooks')) == '<keywheel.Hmac hooks sha256>'\n"
        "assert isinstance(keywheel.hmac('hooks'), keywheel.Hmac)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_uses_are_counted_by_version(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(secret_ring("hooks", lifetime="10m")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "hooks"))
    ring = registry.ring("hooks")
    hooks = keywheel.hmac(ring)
    old = hooks.sign(BODY)
    installation.rotate("hooks")
    eventually("the new version protects", lambda: ring.snapshot().version == 2)
    for signature in (old, old, hooks.sign(BODY), b"nonsense"):
        hooks.verify(BODY, signature)

    def counted() -> bool:
        page = installation.call("GET", "/metrics").decode()
        lines = re.findall(r'ring_version_processed{.*version="v(\d+)".*} (\d+)', page)
        return dict(lines) == {"1": "2", "2": "1"}

    eventually("each version has its uses", counted)
    registry.shutdown()


def test_keys_that_are_pairs_make_no_hmac() -> None:
    hooks = keywheel.hmac(TestRing("access", algorithm="ES256").ring)
    for use in (lambda: hooks.sign(b"message"), lambda: hooks.verify(b"message", b"signature")):
        with pytest.raises(keywheel.ConfigurationError, match=r"access are pairs.*kind `secret`"):
            use()
    assert keywheel.hmac(TestRing("access", algorithm="HS256").ring).sign(b"message")

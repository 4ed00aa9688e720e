"""The contract for tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contract import check, check_outage
from support.installation import Installation, outlasting, signing_ring

import keywheel
from keywheel.exceptions import InvalidTokenError


class Tokens:
    """Tokens as an application makes and takes them."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring

    def issue(self) -> str:
        return keywheel.jwt.encode({"sub": "alice"}, self._ring)

    def accepts(self, artefact: str) -> bool:
        try:
            return keywheel.jwt.decode(artefact, self._ring)["sub"] == "alice"
        except InvalidTokenError:
            return False


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "ES256", "RS256"])
def test_the_contract(algorithm: str) -> None:
    check(Tokens, algorithm=algorithm)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    check_outage(Tokens, installation, "access")

"""A ring for tests of applications. It needs no server, and follows no rules but its author's."""

from __future__ import annotations

from keywheel._keywheel import Ring, StillRing

__all__ = ["TestRing"]


class TestRing:
    """A ring that begins with version 1 and moves when the test says so.

    ``algorithm`` makes it a signing ring (``EdDSA``, ``ES256``, ``HS256``, ``RS256``) or an
    encryption ring (``Fernet``, ``AES-256-GCM``, ``ChaCha20-Poly1305``, ``passphrase``); without it
    the ring is of the kind ``secret``. The lifetime is in seconds.
    """

    __test__ = False

    def __init__(
        self, name: str, *, algorithm: str | None = None, longest_lifetime: int = 86_400
    ) -> None:
        self._still = StillRing(name, algorithm=algorithm, longest_lifetime=longest_lifetime)
        #: The ring as the application uses it.
        self.ring: Ring = self._still.ring()

    def publish(self) -> int:
        """Adds a version that is accepted and protects nothing yet; gives its number."""
        return self._still.publish()

    def promote(self) -> int:
        """Lets the newest version protect; gives its number."""
        return self._still.promote()

    def rotate(self) -> int:
        """Publishes and promotes; gives the number of the new primary."""
        return self._still.rotate()

    def rollback(self) -> int:
        """Lets the version before protect again; what the newer one protected stays accepted."""
        return self._still.rollback()

    def withdraw(self) -> int:
        """Takes back what was published and never protected; gives the number of the primary."""
        return self._still.withdraw()

    def retire(self) -> int:
        """Accepts nothing but the primary from now on; gives its number."""
        return self._still.retire()

"""Signatures of messages with the versions of a ring, for webhooks above all.

They are made with the primary and nothing else, and taken from every version that is accepted::

    hooks = keywheel.hmac("webhook")
    request.headers["X-Signature"] = hooks.hexdigest(body)
    ...
    hooks.verify(body, request.headers["X-Signature"])

With the same key they are what the standard library's ``hmac`` makes. The module is named otherwise
because the function is ``keywheel.hmac``.
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from hmac import digest as hmac_of

from keywheel._keywheel import Ring, Secret
from keywheel._rings import RingOrName, accepted, ring_of
from keywheel.exceptions import ConfigurationError

__all__ = ["Hmac", "hmac"]


class Hmac:
    """Signs and verifies messages with a ring; it may live as long as the process.

    Everything raises :class:`keywheel.UnavailableError` while no key has arrived, and
    :class:`keywheel.ConfigurationError` where the keys are pairs.
    """

    def __init__(self, ring: RingOrName, digest: str = "sha256") -> None:
        #: The ring whose versions are the keys.
        self.ring: Ring = ring_of(ring)
        #: The name of the hash function, as :mod:`hashlib` has it.
        self.digest: str = digest
        self.digest_size: int = hashlib.new(digest).digest_size

    def sign(self, message: bytes) -> bytes:
        """The signature of the message, made with the primary, within a guard.

        Raises :class:`keywheel.ProtectError` while nothing may be protected.
        """
        with self.ring.guard() as guard:
            return hmac_of(self._key(guard.secret), message, self.digest)

    def hexdigest(self, message: bytes) -> str:
        """The same in hexadecimal digits, as most headers have it."""
        return self.sign(message).hex()

    def verify(self, message: bytes, signature: bytes | str) -> bool:
        """Whether a version that is accepted made the signature; counts it for that version.

        Text is taken as hexadecimal digits. How long it takes tells nothing about the signature,
        nor about which version made it.
        """
        if isinstance(signature, str):
            if len(signature) != 2 * self.digest_size:
                return False
            try:
                signature = bytes.fromhex(signature)
            except ValueError:
                return False
        made_it = None
        for version, secret in accepted(self.ring.snapshot()):
            expected = hmac_of(self._key(secret), message, self.digest)
            if compare_digest(expected, signature):
                made_it = version
        if made_it is None:
            return False
        made_it.processed()
        return True

    def _key(self, secret: Secret) -> bytes:
        if not secret._is_symmetric:
            raise ConfigurationError(
                f"the keys of ring {self.ring.name} are pairs, and whoever verifies an HMAC needs "
                "the key that made it; use a ring of the kind `secret`, or keywheel.jwt with this "
                "one"
            )
        return secret.reveal_bytes()

    def __repr__(self) -> str:
        return f"<keywheel.Hmac {self.ring.name} {self.digest}>"


def hmac(ring: RingOrName, digest: str = "sha256") -> Hmac:
    """An :class:`Hmac` over a ring. Making it asks nobody and starts nothing.

    Raises ``ValueError`` for a hash function that :mod:`hashlib` does not have.
    """
    return Hmac(ring, digest)

"""A ``MultiFernet`` whose keys are the versions of a ring of the algorithm ``Fernet``.

It encrypts with the primary, decrypts with every version that is accepted, and may live as long as
the process::

    import keywheel.cryptography

    pii = keywheel.cryptography.fernet("pii")     # or keywheel.fernet("pii")
    blob = pii.encrypt(b"070-1740605")
    pii.decrypt(blob, ttl=3600)                   # seconds; raises cryptography's InvalidToken
    blob = pii.rotate(blob)                       # with the primary, and as old as it was

What was encrypted is lost when its version is retired. So the server waits, before it retires a
version, until it is told that nothing is left under it: call ``rotate`` on all that is stored, and
then ``keywheel ring evidence RING reencryption pass``.

Beyond what cryptography raises, encrypting raises :class:`keywheel.ProtectError` while nothing may
be protected, and everything raises :class:`keywheel.UnavailableError` while no key has arrived and
:class:`keywheel.ConfigurationError` where the ring's keys are none of Fernet's.
"""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from keywheel._keywheel import Ring, Secret, Snapshot, Version
from keywheel._rings import RingOrName, accepted, ring_of
from keywheel.exceptions import ConfigurationError

__all__ = ["RingFernet", "fernet"]

T = TypeVar("T")


class RingFernet(MultiFernet):
    """A ``MultiFernet`` that follows a ring; the ring stands in for the list of keys.

    The ring and this object each hold the keys of their last use until the next one: in a process
    that uses neither, a version that was retired stays in memory.
    """

    def __init__(self, ring: RingOrName) -> None:
        # The list that the base keeps is the very thing which must not be kept.
        #: The ring whose versions are the keys.
        self.ring: Ring = ring_of(ring)
        self._made: tuple[Snapshot, tuple[tuple[Version, Fernet], ...]] | None = None

    def encrypt(self, msg: bytes) -> bytes:
        """The message, encrypted with the primary."""
        return self.encrypt_at_time(msg, int(time.time()))

    def encrypt_at_time(self, msg: bytes, current_time: int) -> bytes:
        """The message, encrypted with the primary as if it were this time (seconds, Unix)."""
        with self.ring.guard() as guard:
            return self._key(guard.version, guard.secret).encrypt_at_time(msg, current_time)

    def decrypt(self, msg: bytes | str, ttl: int | None = None) -> bytes:
        """The message; ``InvalidToken`` when no accepted version made it within ``ttl`` seconds."""
        return self._try(lambda key: key.decrypt(msg, ttl))

    def decrypt_at_time(self, msg: bytes | str, ttl: int, current_time: int) -> bytes:
        """As ``decrypt``, as if it were this time (seconds, Unix)."""
        if ttl is None:
            # Code without types is told what cryptography tells it.
            raise ValueError("decrypt_at_time() can only be used with a non-None ttl")
        return self._try(lambda key: key.decrypt_at_time(msg, ttl, current_time))

    def extract_timestamp(self, msg: bytes | str) -> int:
        """When the message was encrypted (seconds, Unix); ``InvalidToken`` as of ``decrypt``."""
        return self._try(lambda key: key.extract_timestamp(msg))

    def rotate(self, msg: bytes | str) -> bytes:
        """The message, encrypted again with the primary; its time stays what it was."""
        data, timestamp = self._try(lambda key: (key.decrypt(msg), key.extract_timestamp(msg)))
        return self.encrypt_at_time(data, timestamp)

    def _try(self, work: Callable[[Fernet], T]) -> T:
        for version, key in self._keys():
            try:
                done = work(key)
            except InvalidToken:
                continue
            version.processed()
            return done
        raise InvalidToken

    def _keys(self) -> tuple[tuple[Version, Fernet], ...]:
        """The accepted keys, the primary first. They are made once for each keyset."""
        snapshot = self.ring.snapshot()
        made = self._made
        if made is None or made[0] is not snapshot:
            pairs = accepted(snapshot)
            made = (snapshot, tuple((version, self._make(secret)) for version, secret in pairs))
            self._made = made
        return made[1]

    def _key(self, number: int, secret: Secret) -> Fernet:
        """The key that a guard stands for; a keyset may come between the guard and the look."""
        made = (key for version, key in self._keys() if version.number == number)
        return next(made, None) or self._make(secret)

    def _make(self, secret: Secret) -> Fernet:
        try:
            return Fernet(secret.reveal_bytes())
        except ValueError:
            # The cause is left out: it may quote the key.
            raise ConfigurationError(
                f"the keys of ring {self.ring.name} are none of Fernet's; give the ring "
                '`kind = "encryption"` and `algorithm = "Fernet"`'
            ) from None


def fernet(ring: RingOrName) -> RingFernet:
    """A ``MultiFernet`` over a ring. Making it asks nobody and starts nothing."""
    return RingFernet(ring)

"""Signers and serializers of itsdangerous whose keys are the versions of a ring.

They sign with the primary and nothing else, accept every version that is accepted, and may live as
long as the process: no key is copied when they are made::

    import keywheel.itsdangerous

    links = keywheel.itsdangerous.serializer("web-session", salt="confirm")
    token = links.dumps({"user": 7})
    links.loads(token, max_age=3600)          # seconds; raises itsdangerous.BadSignature

Each class takes a ring, or a ring's name, where the class of itsdangerous takes ``secret_key``, and
everything else as that does; so what one made with the same key the other accepts. Beyond what
itsdangerous raises, signing raises :class:`keywheel.ProtectError` while nothing may be protected,
and everything raises :class:`keywheel.UnavailableError` while no key has arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union, cast

import itsdangerous
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes
from itsdangerous.signer import SigningAlgorithm

from keywheel._keywheel import Ring
from keywheel._rings import RingOrName, accepted, ring_of

__all__ = [
    "Serializer",
    "Signer",
    "TimedSerializer",
    "TimestampSigner",
    "URLSafeSerializer",
    "URLSafeTimedSerializer",
    "serializer",
    "signer",
]

if TYPE_CHECKING:
    _Serializer = itsdangerous.Serializer[Any]
    _TimedSerializer = itsdangerous.TimedSerializer[Any]
else:
    # Before itsdangerous 2.2 these are not generic.
    _Serializer = itsdangerous.Serializer
    _TimedSerializer = itsdangerous.TimedSerializer

_Text = Union[str, bytes]
_SignerClass = type[itsdangerous.Signer]
_Fallback = Union["dict[str, Any]", "tuple[_SignerClass, dict[str, Any]]", _SignerClass]


class _Keys:
    """The keys of a ring as itsdangerous calls them: from the oldest to the one that signs."""

    #: The ring whose versions are the keys.
    ring: Ring

    if not TYPE_CHECKING:
        # To a type checker these two are the attributes that the classes of itsdangerous have.

        @property
        def secret_keys(self) -> list[bytes]:
            """The accepted keys as of now, the primary last. Changing this list changes nothing."""
            newest_first = [secret.reveal_bytes() for _, secret in accepted(self.ring.snapshot())]
            return newest_first[::-1]

        @secret_keys.setter
        def secret_keys(self, keys: Iterable[bytes]) -> None:
            if list(keys):
                raise TypeError(
                    f"the keys are those of ring {self.ring.name} and are not set; rotate the ring"
                )

        @property
        def secret_key(self) -> bytes:
            """The key that signs now. A rotation waits about a second longer for who reads it."""
            return self.ring.secret().reveal_bytes()


class Signer(_Keys, itsdangerous.Signer):
    """An ``itsdangerous.Signer`` that follows a ring; ``ring`` stands in for ``secret_key``."""

    def __init__(
        self,
        ring: RingOrName,
        salt: _Text | None = b"itsdangerous.Signer",
        sep: _Text = b".",
        key_derivation: str | None = None,
        digest_method: Any | None = None,
        algorithm: SigningAlgorithm | None = None,
    ) -> None:
        self.ring = ring_of(ring)
        super().__init__((), salt, sep, key_derivation, digest_method, algorithm)

    def derive_key(self, secret_key: _Text | None = None) -> bytes:
        """The key for the salt, derived from this key, or from the one that signs now."""
        return super().derive_key(self.secret_key if secret_key is None else secret_key)

    def get_signature(self, value: _Text) -> bytes:
        """The signature of the value, made with the primary.

        Raises :class:`keywheel.ProtectError` while nothing may be protected.
        """
        with self.ring.guard() as guard:
            key = self.derive_key(guard.secret.reveal_bytes())
            return base64_encode(self.algorithm.get_signature(key, want_bytes(value)))

    def verify_signature(self, value: _Text, sig: _Text) -> bool:
        """Whether a version that is accepted made the signature; counts it for that version."""
        try:
            signature = base64_decode(sig)
        except itsdangerous.BadData:
            return False
        data = want_bytes(value)
        for version, secret in accepted(self.ring.snapshot()):
            key = self.derive_key(secret.reveal_bytes())
            if self.algorithm.verify_signature(key, data, signature):
                version.processed()
                return True
        return False


class TimestampSigner(Signer, itsdangerous.TimestampSigner):
    """An ``itsdangerous.TimestampSigner`` that follows a ring; see :class:`Signer`."""


def _live(signer: type[itsdangerous.Signer]) -> type[Signer]:
    """The signer's class, over a ring."""
    if issubclass(signer, Signer):
        return signer
    own = {"__init__", "get_signature", "verify_signature"}
    for name in sorted(own):
        theirs = getattr(signer, name)
        if theirs is not getattr(itsdangerous.Signer, name):
            raise TypeError(
                f"{signer.__qualname__} has a {name} of its own, which cannot be given a ring; let "
                "it inherit from keywheel.itsdangerous.Signer"
            )
    return type(signer.__name__, (Signer, signer), {"__module__": signer.__module__})


class Serializer(_Keys, _Serializer):
    """An ``itsdangerous.Serializer`` that follows a ring; ``ring`` stands in for ``secret_key``.

    ``signer`` and the signers of ``fallback_signers`` may be classes of itsdangerous: they are
    given the ring. Raises ``TypeError`` for a class with a way of its own to sign.
    """

    default_signer: type[itsdangerous.Signer] = Signer

    def __init__(
        self,
        ring: RingOrName,
        salt: _Text | None = b"itsdangerous",
        serializer: Any | None = None,
        serializer_kwargs: dict[str, Any] | None = None,
        signer: type[itsdangerous.Signer] | None = None,
        signer_kwargs: dict[str, Any] | None = None,
        fallback_signers: list[_Fallback] | None = None,
    ) -> None:
        self.ring = ring_of(ring)
        super().__init__(
            (), salt, serializer, serializer_kwargs, signer, signer_kwargs, fallback_signers
        )
        self.signer = _live(self.signer)

    def make_signer(self, salt: _Text | None = None) -> itsdangerous.Signer:
        """The signer for a salt. It may be kept."""
        return self._signer(self.signer, self.signer_kwargs, salt)

    def iter_unsigners(self, salt: _Text | None = None) -> Iterator[itsdangerous.Signer]:
        """The signer, and after it those of ``fallback_signers``, each over the whole ring."""
        yield self.make_signer(salt)
        for fallback in self.fallback_signers:
            if isinstance(fallback, dict):
                yield self._signer(self.signer, fallback, salt)
            elif isinstance(fallback, tuple):
                yield self._signer(fallback[0], fallback[1], salt)
            else:
                yield self._signer(fallback, self.signer_kwargs, salt)

    def _signer(
        self, signer: type[itsdangerous.Signer], options: dict[str, Any], salt: _Text | None
    ) -> Signer:
        chosen = self.salt if salt is None else salt
        return _live(signer)(self.ring, salt=chosen, **options)


class TimedSerializer(Serializer, _TimedSerializer):
    """An ``itsdangerous.TimedSerializer`` that follows a ring; see :class:`Serializer`."""

    default_signer: type[itsdangerous.TimestampSigner] = TimestampSigner  # pyright: ignore[reportIncompatibleVariableOverride]

    def iter_unsigners(self, salt: _Text | None = None) -> Iterator[itsdangerous.TimestampSigner]:
        """As of :class:`Serializer`."""
        return cast("Iterator[itsdangerous.TimestampSigner]", super().iter_unsigners(salt))


class URLSafeSerializer(Serializer, itsdangerous.URLSafeSerializer):
    """An ``itsdangerous.URLSafeSerializer`` that follows a ring; see :class:`Serializer`."""


class URLSafeTimedSerializer(TimedSerializer, itsdangerous.URLSafeTimedSerializer):
    """An ``itsdangerous.URLSafeTimedSerializer`` that follows a ring; see :class:`Serializer`."""


def signer(ring: RingOrName, **options: Any) -> TimestampSigner:
    """A :class:`TimestampSigner` over a ring; options as for the class, ``salt`` above all.

    ``unsign(value, max_age=…)`` takes seconds. What was signed is refused, whatever its age, after
    the version that signed it is retired.
    """
    return TimestampSigner(ring, **options)


def serializer(ring: RingOrName, **options: Any) -> URLSafeTimedSerializer:
    """A :class:`URLSafeTimedSerializer` over a ring; options as for the class, ``salt`` above all.

    ``loads(text, max_age=…)`` takes seconds. What was signed is refused, whatever its age, after
    the version that signed it is retired.
    """
    return URLSafeTimedSerializer(ring, **options)

"""The native half of the package: what its modules are made of."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, final

from typing_extensions import Self

@final
class Secret:
    """The bytes of a key. It is no ``str``, compares with nothing, and is not pickled."""

    def reveal(self) -> str:
        """The key as text; raises :class:`keywheel.NotTextError` when it is bytes."""
    def reveal_bytes(self) -> bytes:
        """The key as bytes."""
    @property
    def _is_symmetric(self) -> bool: ...

@final
class Version:
    """One version of a ring."""

    @property
    def number(self) -> int:
        """Its number; it grows by one with each new version."""
    @property
    def kid(self) -> str:
        """Its key id, as tokens carry it."""
    @property
    def secret(self) -> Secret | None:
        """The whole key; ``None`` where this process holds the half that verifies."""
    def processed(self, count: int = 1) -> None:
        """Counts what was accepted, verified or decrypted with it."""
    def rejected(self, count: int = 1) -> None:
        """Counts what was refused of it."""

@final
class Snapshot:
    """The versions of a ring as of one moment. It never changes."""

    @property
    def ring(self) -> str:
        """The ring's name."""
    @property
    def primary(self) -> Version | None:
        """The version to protect with; ``None`` while the ring has none."""
    @property
    def accepted(self) -> tuple[Version, ...]:
        """The primary first, then the older ones, then those that are not in use yet."""
    @property
    def version(self) -> int | None:
        """The number of the primary version."""
    @property
    def revision(self) -> int:
        """The revision of the keyset; it grows with each change."""

@final
class Guard:
    """Permission to protect with the primary while a ``with`` block runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    @property
    def version(self) -> int:
        """The number of the version to protect with."""
    @property
    def kid(self) -> str:
        """Its key id."""
    @property
    def secret(self) -> Secret:
        """The key."""
    @property
    def longest_lifetime(self) -> float:
        """How long what is protected now may live, in seconds."""

@final
class Subscription:
    """A subscription to the changes of a ring; its ``with`` block ends it."""

    def close(self) -> None:
        """Ends the subscription. A call that has begun goes on."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Ring:
    """The versions of one key. Making a ring does nothing; its first use waits for the keys."""

    @property
    def name(self) -> str:
        """The ring's name."""
    def snapshot(self) -> Snapshot:
        """The versions as of now: one consistent view.

        Raises :class:`keywheel.UnavailableError` when nothing has arrived in time, and
        :class:`keywheel.ConfigurationError` when it is not known where the server is.
        """
    def guard(self) -> Guard:
        """A guard for work that protects; use it in a ``with`` statement.

        Entering it raises :class:`keywheel.ProtectError` when nothing may be protected now.
        """
    def secret(self) -> Secret:
        """The primary's key for code that no ``with`` block can bracket.

        It may be protected with for one second; a rotation waits so long. Ask anew for each use,
        which costs less than a microsecond. Raises like the entering of :meth:`guard`.
        """
    def seal(
        self, data: str | bytes | bytearray | memoryview, *, context: bytes | None = None
    ) -> bytes:
        """A text or bytes, sealed with the primary of a ring of the kind ``encryption``.

        What comes out follows the ring's algorithm: ``passphrase`` gives an OpenPGP message, as
        ``pgp_sym_encrypt`` does (``pgp_sym_encrypt_bytea`` for bytes); ``Fernet`` a Fernet token;
        the others a value of keywheel's own, which names its version. For these, ``context`` says
        where the value belongs, and has to be given again to open it. Raises
        :class:`keywheel.ProtectError` when nothing may be protected now, and
        :class:`keywheel.ConfigurationError` when the ring is of another kind.
        """
    def seal_armored(self, data: str | bytes | bytearray | memoryview) -> str:
        """A text or bytes, sealed for a column that is text.

        ``passphrase`` gives an OpenPGP message in armor, as ``armor(pgp_sym_encrypt(…))`` does, and
        ``Fernet`` a Fernet token. Raises like :meth:`seal`, and
        :class:`keywheel.SealedValueError` for the other algorithms, whose values are bytes.
        """
    def unseal_many(
        self,
        values: Iterable[bytes | bytearray | memoryview | str | None],
        *,
        context: bytes | None = None,
    ) -> list[bytes | None]:
        """The bytes of many sealed values, in their order; ``None`` stays ``None``.

        Costs less than to open each by itself: OpenPGP messages are opened several at once. Raises
        for the first that does not open, like :meth:`unseal`; a note says which one it was.
        """
    def unseal_text_many(
        self,
        values: Iterable[bytes | bytearray | memoryview | str | None],
        *,
        context: bytes | None = None,
    ) -> list[str | None]:
        """The texts of many sealed values; see :meth:`unseal_many` and :meth:`unseal_text`."""
    def unseal(
        self, value: bytes | bytearray | memoryview | str, *, context: bytes | None = None
    ) -> bytes:
        """The bytes of a sealed value, whichever accepted version sealed it.

        A ring of the algorithm ``passphrase`` also opens what pgcrypto sealed, in armor too.
        Raises :class:`keywheel.UnknownKeyError` when no accepted version opens it, and
        :class:`keywheel.SealedValueError` when it is no value of the ring.
        """
    def unseal_text(
        self, value: bytes | bytearray | memoryview | str, *, context: bytes | None = None
    ) -> str:
        """The text of a sealed value; raises like :meth:`unseal`, also when it is no UTF-8."""
    def on_change(self, callback: Callable[[Snapshot], object]) -> Subscription:
        """Calls ``callback`` with each new snapshot until the subscription is closed.

        It is called in a thread of this package, one call at a time; several changes in a row may
        come as one. What it raises goes to :data:`sys.unraisablehook`. A forked child goes on with
        the subscriptions of its parent.
        """
    def wait_for_change(
        self, after: Snapshot | None = None, timeout: float | None = None
    ) -> Snapshot | None:
        """Waits until something else is held than ``after``, or anything where that is ``None``.

        ``timeout`` is in seconds; without one it waits for ever. ``None`` when nothing came.
        Raises :class:`keywheel.UnavailableError` when the ring was shut down.
        """
    async def wait_for_change_async(
        self, after: Snapshot | None = None, timeout: float | None = None
    ) -> Snapshot | None:
        """:meth:`wait_for_change` in an event loop; cancelling it leaves nothing behind.

        It notices within a second that the ring was shut down.
        """
    def changed(self) -> AsyncIterator[Snapshot]:
        """The snapshots that follow the present one; several in a row may come as one.

        Raises like :meth:`wait_for_change_async`.
        """
    def is_revoked(self, claims: Mapping[str, Any], *, kid: str | None = None) -> bool:
        """Whether a token with these claims was revoked, whoever minted and verified it.

        Looks at ``jti``, ``sub`` and ``iat``, and at the ``kid`` of the key that verified it. It
        asks memory, not the server. Raises :class:`keywheel.RevocationsStaleError` when it is too
        long ago that all revocations were known and the policy says ``revocations_stale_after``.
        """
    def revoke(
        self,
        *,
        jti: str | None = None,
        expires: float | datetime | None = None,
        subject: str | None = None,
        issued_before: float | datetime | None = None,
        reason: str | None = None,
    ) -> None:
        """Revokes a token by its ``jti``, or everything that a subject was given, for good.

        Waits until that is durable. Moments are seconds since 1970; ``expires`` is when no such
        token can live any more, by default after the longest lifetime, and ``issued_before`` goes
        with a subject, by default now. Raises :class:`keywheel.RefusedError` when the server
        refuses, and :class:`keywheel.UnavailableError` when it does not answer.
        """
    def issued(self, claims: Mapping[str, Any], kid: str | None = None) -> bool:
        """Reports a token that another library minted to the ring's ledger; it waits for nothing.

        ``False`` when the ring keeps no ledger. Raises :class:`keywheel.ClaimsError` when the
        claims have no ``jti`` or no ``exp``.
        """
    def event(self, name: str) -> None:
        """Reports an event, one of the policy's ``on_event``: a rotation begins.

        Raises like :meth:`revoke`.
        """
    def ensure_fresh(self) -> bool:
        """Whether the primary is younger than the policy's ``max_age_at_use``.

        When it is older, the server is told at once that it is in use, and begins a rotation. That
        happens once for each primary, so call it as often as you like: it costs nanoseconds.
        """
    def health(self) -> dict[str, Any]:
        """How the ring stands in this process; times in seconds. Waits for nothing."""

@final
class Registry:
    """The rings of one configuration."""

    def __new__(cls) -> Self: ...
    def configure(
        self,
        *,
        url: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        consumer: str | None = None,
        host_cache: str | os.PathLike[str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        first_use_timeout: float | None = None,
    ) -> None:
        """Says how the server is reached; what is not said comes from the environment."""
    def ring(self, name: str) -> Ring:
        """A ring by its name. Nothing is opened, started or asked."""
    def start(self) -> None:
        """Starts following every ring that was named, and waits until each has arrived.

        What is raised names every ring that could not.
        """
    def settle(self) -> None:
        """Waits until no thread of the package is about to begin; for before a fork."""
    def leave(self) -> None:
        """Ends every subscription, and waits for the callbacks that run."""
    def revive(self) -> None:
        """Lets those who listen hear in a forked child too."""
    def shutdown(self) -> bool:
        """Says goodbye to the server. True when it was said in time."""

@final
class StillRing:
    """A ring that is turned by hand and asks no server; see :class:`keywheel.testing.TestRing`."""

    def __new__(
        cls, name: str, *, algorithm: str | None = None, longest_lifetime: int = 86_400
    ) -> Self: ...
    def ring(self) -> Ring: ...
    def publish(self) -> int: ...
    def promote(self) -> int: ...
    def withdraw(self) -> int: ...
    def rotate(self) -> int: ...
    def rollback(self) -> int: ...
    def retire(self) -> int: ...

@final
class Verifier:
    """What is expected of the tokens of one ring, prepared once."""

    def __new__(
        cls,
        ring: Ring,
        *,
        issuer: str | Sequence[str] | None = None,
        audience: str | Sequence[str] | None = None,
        subject: str | None = None,
        leeway: float = 0.0,
        require: Sequence[str] | None = None,
        typ: str | None = None,
        algorithm: str | None = None,
    ) -> Self:
        """The keywords are those of :func:`decode`."""
    @property
    def ring(self) -> Ring:
        """The ring."""
    def decode(self, token: str | bytes) -> dict[str, Any]:
        """The claims of a token. Raises like :func:`decode`."""

def encode(
    claims: Mapping[str, Any], ring: Ring, *, headers: Mapping[str, Any] | None = None
) -> str:
    """A token with these claims, made with the ring's primary.

    ``jti``, ``iat`` and ``exp`` are added where they are missing; a ``datetime`` becomes seconds
    since 1970. ``headers`` are more members of the header, such as ``{"typ": "at+jwt"}``; ``alg``
    and ``kid`` are the key's own. Raises :class:`keywheel.ProtectError` when nothing may be
    protected now, and :class:`keywheel.ClaimsError` when the claims live longer than the policy
    promises, or a member of the header is not for the caller to choose.
    """

def decode(
    token: str | bytes,
    ring: Ring,
    *,
    issuer: str | Sequence[str] | None = None,
    audience: str | Sequence[str] | None = None,
    subject: str | None = None,
    leeway: float = 0.0,
    require: Sequence[str] | None = None,
    typ: str | None = None,
    algorithm: str | None = None,
) -> dict[str, Any]:
    """The claims of a token of the ring.

    The issuer and the audience may be one of several; ``leeway`` is in whole seconds; ``require``
    names claims that must be there, in place of ``exp``; ``typ`` is the media type in the header.
    Raises a subclass of ``keywheel.exceptions.InvalidTokenError`` for the first reason not to
    accept it; where PyJWT is installed, each is one of PyJWT's exceptions too.
    """

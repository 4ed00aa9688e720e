"""Rotating secrets, live in every worker.

A ring is the versions of one key. The process follows its rings, proves to the server that it holds
them, and always protects with the version that the server says::

    import keywheel

    sessions = keywheel.ring("web-session")   # nothing is opened or started yet
    with sessions.guard() as guard:           # a rotation waits for work that protects
        sign_with(guard.secret.reveal())
    for version in sessions.snapshot().accepted:
        ...                                   # the primary first, then the older ones

A ring that encrypts seals values, and opens what any accepted version sealed::

    blob = keywheel.seal("pii", "070-1740605")
    keywheel.unseal_text("pii", blob)

Where the server is, ``KEYWHEEL_URL`` says, and ``KEYWHEEL_TOKEN_FILE`` names the file with the
consumer's token; :func:`configure` says the same in code. ``file:`` and ``env:`` in place of an
address take keys from a file or the environment where no server is, and prove nothing.

What belongs to one framework stands in a module of its own, which is imported by name:
``keywheel.flask``, ``keywheel.django``, ``keywheel.asgi``, ``keywheel.fastapi`` and others.
"""

from __future__ import annotations

import atexit as _atexit
import os as _os

from keywheel import _children, jwt
from keywheel._keywheel import Guard, Registry, Ring, Secret, Snapshot, Subscription, Version
from keywheel.exceptions import (
    ClaimsError,
    ConfigurationError,
    KeywheelError,
    NotTextError,
    ProtectError,
    RefusedError,
    RevocationsStaleError,
    SealedValueError,
    UnavailableError,
    UnknownKeyError,
)

__all__ = [
    "ClaimsError",
    "ConfigurationError",
    "Guard",
    "KeywheelError",
    "NotTextError",
    "ProtectError",
    "RefusedError",
    "RevocationsStaleError",
    "Ring",
    "SealedValueError",
    "Secret",
    "Snapshot",
    "Subscription",
    "UnavailableError",
    "UnknownKeyError",
    "Version",
    "configure",
    "jwt",
    "ring",
    "seal",
    "shutdown",
    "start",
    "unseal",
    "unseal_text",
]

# Checkers of types know the name. The module `typing` takes three times as long to import as this
# package, so nothing that is imported with it imports that.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any

_registry = Registry()


def ring(name: str) -> Ring:
    """A ring by its name. Nothing is opened, started or asked before its first use."""
    # A function of this module, by whose name a ring is pickled.
    return _registry.ring(name)


def seal(ring: Ring | str, data: str | bytes, *, context: bytes | None = None) -> bytes:
    """A text or bytes, sealed with the primary of a ring that encrypts; see :meth:`Ring.seal`."""
    return _found(ring).seal(data, context=context)


def unseal(ring: Ring | str, value: bytes | str, *, context: bytes | None = None) -> bytes:
    """The bytes of a sealed value; see :meth:`Ring.unseal`."""
    return _found(ring).unseal(value, context=context)


def unseal_text(ring: Ring | str, value: bytes | str, *, context: bytes | None = None) -> str:
    """The text of a sealed value; see :meth:`Ring.unseal_text`."""
    return _found(ring).unseal_text(value, context=context)


def _found(ring: Ring | str) -> Ring:
    return _registry.ring(ring) if isinstance(ring, str) else ring


configure = _registry.configure
start = _registry.start
shutdown = _registry.shutdown


@_atexit.register
def _end() -> None:
    shutdown()
    # A thread that comes back to an interpreter which has ended may take the process down with it.
    _registry.leave()


_children.watch()
if hasattr(_os, "register_at_fork"):
    # Only for those who listen to changes: everybody else notices a fork with the next use, also
    # where Python is not asked, under uWSGI for example.
    _os.register_at_fork(before=_registry.settle, after_in_child=_registry.revive)

if TYPE_CHECKING:
    from keywheel._hmac import Hmac as Hmac
    from keywheel._hmac import hmac as hmac
    from keywheel.cryptography import fernet as fernet
    from keywheel.itsdangerous import serializer as serializer
    from keywheel.itsdangerous import signer as signer

# What stands in a module of its own because it needs a library, under the name that it has there.
_elsewhere = {
    "Hmac": "keywheel._hmac",
    "fernet": "keywheel.cryptography",
    "hmac": "keywheel._hmac",
    "serializer": "keywheel.itsdangerous",
    "signer": "keywheel.itsdangerous",
}


def __getattr__(name: str) -> _Any:
    if name in _elsewhere:
        from importlib import import_module

        return getattr(import_module(_elsewhere[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

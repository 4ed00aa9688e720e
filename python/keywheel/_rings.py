"""What the modules of frameworks share: a ring by its name, and its keys as libraries take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

import keywheel
from keywheel._keywheel import Ring, Secret, Snapshot, Version
from keywheel.exceptions import ConfigurationError, NotTextError

#: A ring, or the name of one of the process's configuration.
RingOrName = Union[Ring, str]


def ring_of(ring: RingOrName) -> Ring:
    """The ring itself. Asks nobody and starts nothing."""
    return keywheel.ring(ring) if isinstance(ring, str) else ring


def accepted(snapshot: Snapshot) -> Iterator[tuple[Version, Secret]]:
    """Every version that is accepted with its key, the primary first.

    Raises :class:`keywheel.ConfigurationError` where this process holds the half that verifies.
    """
    for version in snapshot.accepted:
        secret = version.secret
        if secret is None:
            raise ConfigurationError(
                f"this process holds only what verifies of ring {snapshot.ring}, and here the key "
                "itself is needed; use a ring of the kind `secret`"
            )
        yield version, secret


def text_or_bytes(secret: Secret) -> str | bytes:
    """The key as text where it is text."""
    try:
        return secret.reveal()
    except NotTextError:
        return secret.reveal_bytes()

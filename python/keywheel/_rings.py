"""What the modules of frameworks share: a ring by its name, and its keys as libraries take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Union

import keywheel
from keywheel._keywheel import Ring, Secret, Snapshot, Version
from keywheel.exceptions import ConfigurationError, NotTextError, RevocationsStaleError, _refusal

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


def is_revoked(ring: Ring, claims: Mapping[str, Any], subject: str, kid: str) -> bool:
    """Whether a token that another library verified is revoked; ``subject`` names its claim.

    Raises the exception for a token that is not accepted when nobody knows and the ring's policy
    lets nothing pass then.
    """
    # Libraries put numbers there too, and whoever revokes writes text.
    named = {"jti": claims.get("jti"), "sub": claims.get(subject)}
    facts = {name: str(value) for name, value in named.items() if value is not None}
    issued = claims.get("iat")
    try:
        return ring.is_revoked(facts if issued is None else {**facts, "iat": issued}, kid=kid)
    except RevocationsStaleError as error:
        raise _refusal("revocations_stale", str(error), None) from error

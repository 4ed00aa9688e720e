"""For code that stays with PyJWT: its ``encode`` and ``decode`` with a ring in place of the key.

::

    token = keywheel.pyjwt.encode({"sub": "alice"}, ring)
    claims = keywheel.pyjwt.decode(token, ring, audience="orders")

All other arguments, all results and all exceptions are PyJWT's; the algorithm is the ring's.
``keywheel.jwt`` does the same in one call, several times faster, and adds ``exp`` and ``jti``; what
it makes and what this makes, either accepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jwt
from jwt.exceptions import InvalidAlgorithmError, InvalidSignatureError, InvalidTokenError

import keywheel
from keywheel._rings import is_revoked
from keywheel.exceptions import _refusal

__all__ = ["decode", "encode", "key_for"]


def encode(
    payload: dict[str, Any],
    ring: keywheel.Ring,
    headers: dict[str, Any] | None = None,
    **options: Any,
) -> str:
    """A token with these claims and no others, made with the ring's primary, within a guard.

    Its header says which version made it. What lives longer than the ring's longest lifetime may
    be refused before it ends, so give it an ``exp``. ``options`` are those of ``jwt.encode``.
    Raises :class:`keywheel.ProtectError` when nothing may be protected now.
    """
    with ring.guard() as guard:
        key, algorithm = _key(ring, guard.kid, guard.secret).private
        headers = {**(headers or {}), "kid": guard.kid}
        return jwt.encode(payload, key, algorithm=algorithm, headers=headers, **options)


def decode(token: str | bytes, ring: keywheel.Ring, **expected: Any) -> dict[str, Any]:
    """The claims of a token that any accepted version of the ring made.

    The version is found by the token's ``kid``; a token without one is tried with each. The uses of
    a version are counted, and so is what names a version that did not make it; what was revoked is
    refused. ``expected`` is what ``jwt.decode``
    takes, but ``key`` and ``algorithms``. Raises ``jwt.InvalidSignatureError`` when no accepted
    version made the token, and what ``jwt.decode`` raises.
    """
    if "key" in expected or "algorithms" in expected:
        raise TypeError("the ring has the keys and knows their algorithm; leave both out")
    refused: InvalidTokenError = InvalidSignatureError("no accepted version made this token")
    kid, versions = _versions(token, ring)
    for version in versions:
        key, algorithm = _key(ring, version.kid, version.secret).public
        try:
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], **expected)
        except (InvalidSignatureError, InvalidAlgorithmError) as error:
            # Only what a version did not make counts against it; what has expired was its own.
            if kid is not None:
                version.rejected()
            refused = error
            continue
        if is_revoked(ring, claims, "sub", version.kid):
            raise _refusal("revoked", "the token was revoked", None)
        version.processed()
        return claims
    raise refused


def key_for(token: str | bytes, ring: keywheel.Ring) -> tuple[Any, list[str]]:
    """The key and the algorithms with which a call of ``jwt.decode`` verifies this token.

    For a call that must stay where it is: ``jwt.decode(token, *key_for(token, ring))``. The use is
    counted as if the token were good, and what is revoked is not looked up; prefer :func:`decode`.
    A token without a ``kid`` gets the primary's. Raises ``jwt.InvalidSignatureError`` when no
    accepted version has the token's ``kid``.
    """
    for version in _versions(token, ring)[1]:
        key, algorithm = _key(ring, version.kid, version.secret).public
        version.processed()
        return key, [algorithm]
    raise InvalidSignatureError("no accepted version has the kid of this token")


def _versions(
    token: str | bytes, ring: keywheel.Ring
) -> tuple[str | None, Sequence[keywheel.Version]]:
    """The token's kid, and the versions that may have made it."""
    kid: str | None = jwt.get_unverified_header(token).get("kid")
    accepted = ring.snapshot().accepted
    if kid is None:
        return kid, accepted
    return kid, [version for version in accepted if version.kid == kid]


class _Key:
    """A key as PyJWT takes it; reading one from DER takes longer than signing with it."""

    def __init__(self, material: bytes) -> None:
        algorithm = _algorithm(material)
        if algorithm != "HS256":
            # PyJWT has it where it signs with such keys.
            from cryptography.hazmat.primitives.serialization import load_der_private_key

            key: Any = load_der_private_key(material, None)
            self.private = key, algorithm
            self.public = key.public_key(), algorithm
        else:
            self.private = self.public = material, "HS256"


# How the private key of an algorithm begins in DER, behind its version. All else is HMAC.
_ALGORITHMS = (
    (bytes.fromhex("06032b6570"), "EdDSA"),
    (bytes.fromhex("06072a8648ce3d0201"), "ES256"),
    (bytes.fromhex("06092a864886f70d010101"), "RS256"),
)
_HEADER_BYTES = 32


def _algorithm(material: bytes) -> str:
    if material[:1] == b"0":
        for mark, name in _ALGORITHMS:
            if mark in material[:_HEADER_BYTES]:
                return name
    return "HS256"


class _Keys:
    """The keys of one snapshot that had to be read, until the ring changes."""

    def __init__(self, snapshot: keywheel.Snapshot) -> None:
        self.snapshot = snapshot
        self.made: dict[str, _Key] = {}
        self.subscription: keywheel.Subscription | None = None

    def forget(self, _: keywheel.Snapshot | None = None) -> None:
        """Nothing retired stays, also where nobody uses the ring any more."""
        if _keys.get(self.snapshot.ring) is self:
            _keys.pop(self.snapshot.ring, None)
        self.made = {}
        if self.subscription is not None:
            self.subscription.close()


_keys: dict[str, _Keys] = {}


def _keys_of(ring: keywheel.Ring) -> _Keys:
    snapshot = ring.snapshot()
    known = _keys.get(ring.name)
    if known is not None and known.snapshot is snapshot:
        return known
    if known is not None:
        known.forget()
    keys = _keys[ring.name] = _Keys(snapshot)
    keys.subscription = ring.on_change(keys.forget)
    # A change before the subscription was told to nobody.
    if ring.snapshot() is not snapshot:
        keys.forget()
    return keys


def _key(ring: keywheel.Ring, kid: str, secret: keywheel.Secret | None) -> _Key:
    if secret is None:
        raise keywheel.ConfigurationError(
            "this process holds the half of the key that verifies only, which PyJWT cannot get; "
            "use keywheel.jwt.decode"
        )
    material = secret.reveal_bytes()
    if _algorithm(material) == "HS256":
        return _Key(material)
    keys = _keys_of(ring)
    found = keys.made.get(kid)
    if found is None:
        found = _Key(material)
        # The version may have been retired since it was looked up.
        if any(version.kid == kid for version in keys.snapshot.accepted):
            keys.made[kid] = found
    return found

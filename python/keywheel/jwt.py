"""JSON Web Tokens of a ring: made with its primary, accepted from every version that is accepted.

``decode`` finds the key by the token's ``kid``, checks the signature, the times and the claims that
are expected, and whether the token was revoked, in one call; ``encode`` adds ``kid``, ``jti``,
``iat`` and ``exp``::

    token = keywheel.jwt.encode({"sub": "alice"}, access)
    claims = keywheel.jwt.decode(token, access, audience="orders")

A :class:`Verifier` is told once what is expected::

    orders = keywheel.jwt.Verifier(access, audience="orders")
    claims = orders.decode(token)
"""

from __future__ import annotations

from keywheel._keywheel import Verifier, decode, encode

__all__ = ["Verifier", "decode", "encode"]

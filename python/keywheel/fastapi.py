"""For FastAPI: a dependency that accepts the tokens of a ring.

::

    from keywheel.fastapi import jwt

    access = jwt("access-token", audience="orders", scopes=["orders:read"])

    @app.get("/orders")
    async def orders(claims: Annotated[dict, Depends(access)]): ...

What is refused is refused as RFC 6750 has it: 401 for a token, 403 for a scope, each with
``WWW-Authenticate``. 503 says that nobody can know: no key has arrived, or what is revoked has not,
and the policy lets nothing pass then.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Optional

from fastapi import Depends, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

import keywheel
from keywheel._rings import RingOrName, ring_of
from keywheel.asgi import FirstUse
from keywheel.exceptions import InvalidTokenError, UnavailableError

__all__ = ["jwt"]

Claims = dict[str, Any]

# What RFC 6750 permits in a description.
_PERMITTED = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


def jwt(
    ring: RingOrName,
    *,
    audience: str | Sequence[str] | None = None,
    issuer: str | Sequence[str] | None = None,
    scopes: Sequence[str] = (),
    leeway: float = 0.0,
    require: Sequence[str] | None = None,
    typ: str | None = None,
    realm: str | None = None,
) -> Callable[..., Awaitable[Claims]]:
    """A dependency that gives the claims of the request's bearer token.

    The token is verified with the ring's accepted versions and looked up among what is revoked;
    ``audience``, ``issuer``, ``leeway`` (in seconds), ``require`` and ``typ`` mean what they mean
    to :func:`keywheel.jwt.decode`. Each of ``scopes``, and of those that ``Security(…, scopes=…)``
    adds, has to be among the token's. ``realm`` is shown to whoever is refused.

    It never holds up the event loop: what waits for the server, which is the first use in a process
    and a ``kid`` that nobody knows, waits in a thread.
    """
    verifier = _Verifier(
        ring_of(ring),
        {
            "audience": audience,
            "issuer": issuer,
            "leeway": leeway,
            "require": require,
            "typ": typ,
        },
    )
    refusals = _Refusals(realm)
    bearer = HTTPBearer(bearerFormat="JWT", auto_error=False)

    async def claims(
        security_scopes: SecurityScopes,
        # FastAPI reads this annotation, on Python 3.9 too.
        credentials: Optional[HTTPAuthorizationCredentials] = Depends(bearer),  # noqa: B008, UP045
    ) -> Claims:
        if credentials is None:
            raise refusals.refusal(401)
        try:
            found = await verifier.verify(credentials.credentials)
        except UnavailableError as error:
            raise HTTPException(503, "no keys have arrived", {"Retry-After": "1"}) from error
        except InvalidTokenError as error:
            if error.kind == "revocations_stale":
                detail = "it is not known what is revoked"
                raise HTTPException(503, detail, {"Retry-After": "1"}) from error
            raise refusals.refusal(401, "invalid_token", str(error)) from error
        wanted = [*scopes, *security_scopes.scopes]
        if not _scopes(found).issuperset(wanted):
            raise refusals.refusal(403, "insufficient_scope", scope=" ".join(wanted))
        return found

    return claims


class _Verifier:
    """Verifies here what takes microseconds, and in a thread what may wait for the server."""

    def __init__(self, ring: keywheel.Ring, expected: dict[str, Any]) -> None:
        self._ring = ring
        self._expected = expected
        self._first_use = FirstUse()

    async def verify(self, token: str) -> Claims:
        if self._first_use.is_over() and self._is_at_hand(token):
            return self._decode(token)
        found = await run_in_threadpool(self._decode, token)
        self._first_use.over()
        return found

    def _decode(self, token: str) -> Claims:
        return keywheel.jwt.decode(token, self._ring, **self._expected)

    def _is_at_hand(self, token: str) -> bool:
        """Whether the key is known without asking the server for a ``kid``."""
        kid = _kid(token.partition(".")[0])
        return kid is None or any(kid == one.kid for one in self._ring.snapshot().accepted)


@lru_cache(maxsize=64)
def _kid(header: str) -> str | None:
    """The ``kid`` of a token's header. All tokens of a version have one header."""
    try:
        found = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
        kid = found.get("kid")
    except (ValueError, AttributeError, RecursionError):
        return None
    return kid if isinstance(kid, str) else None


def _scopes(claims: Claims) -> frozenset[str]:
    """The token's scopes: ``scope`` as RFC 9068 has it, or the ``scp`` of some issuers."""
    found = claims.get("scope", claims.get("scp", ""))
    if isinstance(found, str):
        return frozenset(found.split())
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


class _Refusals:
    """What RFC 6750 lets a caller know."""

    def __init__(self, realm: str | None) -> None:
        self._realm = realm

    def refusal(
        self, status: int, error: str | None = None, text: str | None = None, **more: str
    ) -> HTTPException:
        found = {"realm": self._realm, "error": error, "error_description": text, **more}
        shown = [f'{name}="{_quotable(value)}"' for name, value in found.items() if value]
        challenge = f"Bearer {', '.join(shown)}".rstrip()
        detail = text or {401: "a token is needed", 403: "the token lacks a scope"}[status]
        return HTTPException(status, detail, {"WWW-Authenticate": challenge})


def _quotable(text: str) -> str:
    return "".join(one if one in _PERMITTED else "'" for one in text)

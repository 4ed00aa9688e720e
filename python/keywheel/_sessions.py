"""Starlette's session middleware with keys that live; apart, because it needs Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from itsdangerous import BadSignature, TimestampSigner
from starlette.concurrency import run_in_threadpool
from starlette.middleware import sessions
from starlette.types import ASGIApp, Receive, Scope, Send

import keywheel
from keywheel._rings import RingOrName, ring_of
from keywheel.asgi import FirstUse, through_lifespan

__all__ = ["SessionMiddleware"]


class SessionMiddleware(sessions.SessionMiddleware):
    """Starlette's middleware, live: the cookies, their format and all options are Starlette's.

    A cookie is accepted from every version that the ring accepts. It is signed with the ring's
    primary, within a guard, whenever Starlette signs: with each response that changes the session
    (before Starlette 1.0, with each response).
    """

    signer: Any
    _ring: keywheel.Ring
    _first_use: FirstUse

    if TYPE_CHECKING:
        # To mypy, a middleware with options of any name is none.

        def __init__(
            self,
            app: ASGIApp,
            ring: RingOrName,
            *,
            session_cookie: str = "session",
            max_age: int | None = 14 * 24 * 60 * 60,
            path: str = "/",
            same_site: Literal["lax", "strict", "none"] = "lax",
            https_only: bool = False,
            domain: str | None = None,
            partitioned: bool = False,
        ) -> None: ...

    else:

        def __init__(self, app: ASGIApp, ring: RingOrName, **options: Any) -> None:
            if "secret_key" in options:
                raise TypeError("the ring has the keys; leave secret_key out")
            # The key that Starlette asks for makes a signer that is replaced at once.
            super().__init__(app, secret_key="", **options)
            self._ring = ring_of(ring)
            self.signer = _Signer(self._ring)
            self._first_use = FirstUse()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application with ``scope["session"]``."""
        if scope["type"] == "lifespan":
            await through_lifespan(self.app, scope, receive, send)
            return
        if not self._first_use.is_over():
            await run_in_threadpool(self._ring.snapshot)
            self._first_use.over()
        await super().__call__(scope, receive, send)


class _Signer:
    """What Starlette uses of a ``TimestampSigner``."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring

    def sign(self, value: bytes) -> bytes:
        with self._ring.guard() as guard:
            return _signer(guard.secret).sign(value)

    def unsign(self, value: bytes, max_age: int | None = None) -> bytes:
        refused: BadSignature | None = None
        for version in self._ring.snapshot().accepted:
            secret = version.secret
            if secret is None:
                continue
            try:
                data = _signer(secret).unsign(value, max_age=max_age)
            except BadSignature as error:
                # The first refusal that knows the key says the most: it is too old, for example.
                if refused is None or getattr(error, "payload", None) is not None:
                    refused = error
                continue
            version.processed()
            return data
        raise refused or BadSignature("no version is accepted")


def _signer(secret: keywheel.Secret) -> TimestampSigner:
    return TimestampSigner(secret.reveal_bytes())

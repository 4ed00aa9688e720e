"""For Starlette, FastAPI and every other ASGI application.

Two lines keep Starlette's sessions alive through a rotation::

    from keywheel.asgi import SessionMiddleware

    app.add_middleware(SessionMiddleware, ring=keywheel.ring("web-session"))

:class:`Lifespan` has a worker prove what it holds before its first request; the session middleware
does the same.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from keywheel import _worker

if TYPE_CHECKING:
    from keywheel._sessions import SessionMiddleware

__all__ = ["Lifespan", "SessionMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Lifespan:
    """Follows every ring that was named when the server begins, and says goodbye when it ends.

    Wrap the application in it, or ``app.add_middleware(Lifespan)``. Under ``uvicorn --workers``
    there is no other hook, and a worker that nobody asks for anything would hold up each rotation.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the application."""
        if scope["type"] == "lifespan":
            await through_lifespan(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def through_lifespan(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Lets the application live its life, between our beginning and our end."""
    # Nothing is served yet, so that there is nobody to hold up.
    _worker.start_soon()
    try:
        await app(scope, receive, send)
    finally:
        if _ends_with_its_server():
            _worker.stop()


def _ends_with_its_server() -> bool:
    """Whether this process goes when its server goes; that of a test client stays."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


class FirstUse:
    """Whether the first use of a ring lies behind this process: only that one may take time."""

    def __init__(self) -> None:
        self._pid = 0

    def is_over(self) -> bool:
        """Also right in a forked child."""
        return self._pid == os.getpid()

    def over(self) -> None:
        """From now on."""
        self._pid = os.getpid()


def __getattr__(name: str) -> Any:
    if name == "SessionMiddleware":
        from keywheel._sessions import SessionMiddleware

        return SessionMiddleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

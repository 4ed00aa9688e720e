"""One application for WSGI and one for ASGI, over the core of the package and nothing else.

Both answer the same: ``/issue`` gives a session and a token, ``/check`` says whether they are
accepted, ``/where`` says which process answers and what it holds. A session is made within a guard
by hand, as an integration does it; it knows no end, so that only the ring can refuse it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import keywheel
import keywheel.uwsgi
from keywheel.exceptions import InvalidTokenError
from servers.where import ring, where


def _seal(kid: str, key: bytes, user: str) -> str:
    mac = hmac.new(key, f"{kid}.{user}".encode(), hashlib.sha256).hexdigest()
    return f"{kid}.{user}.{mac}"


def issue() -> dict[str, Any]:
    """A session and a token, both with the primary."""
    with ring.guard() as guard:
        session = _seal(guard.kid, guard.secret.reveal_bytes(), "alice")
        version = guard.version
    return {
        **where(),
        "made": version,
        "session": session,
        "token": keywheel.jwt.encode({"sub": "alice"}, ring),
    }


def check(session: str, token: str) -> dict[str, Any]:
    """Whether a session and a token are accepted; the name of the reason where they are not."""
    answer = where()
    kid, _, _ = session.partition(".")
    versions = (version for version in ring.snapshot().accepted if version.kid == kid)
    version = next(versions, None)
    if version is None or version.secret is None:
        answer["session"] = "unknown"
    else:
        expected = _seal(kid, version.secret.reveal_bytes(), "alice")
        is_right = hmac.compare_digest(expected, session)
        version.processed() if is_right else version.rejected()
        answer["session"] = "ok" if is_right else "forged"
    try:
        answer["token"] = "ok" if keywheel.jwt.decode(token, ring)["sub"] == "alice" else "wrong"
    except InvalidTokenError as error:
        answer["token"] = getattr(error, "kind", "?")
    return answer


def respond(path: str, query: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    if path == "/issue":
        return issue()
    if path == "/check":
        return check(query["session"], query["token"])
    return where()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application for WSGI."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    if "hold" in query:
        # Keeps this worker busy, so that the next request finds another one.
        time.sleep(float(query["hold"]))
    body = json.dumps(respond(environ["PATH_INFO"], query)).encode()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]


async def _answer(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    if "hold" in query:
        await asyncio.sleep(float(query["hold"]))
    body = json.dumps(respond(scope["path"], query)).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _plain(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """The application for ASGI, without its lifespan."""
    if scope["type"] == "http":
        await _answer(scope, receive, send)
        return
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def asgi() -> Any:
    """The application for ASGI; a factory."""
    from keywheel.asgi import Lifespan

    return Lifespan(_plain)


keywheel.uwsgi.install()

"""One application for WSGI and one for ASGI, over no framework.

Both answer the same: ``/issue`` gives a session, tokens, a link, a mark and a blob, ``/check`` says
of each that is shown whether it is accepted, ``/where`` says which process answers and what it
holds. A session is made within a guard by hand, as an integration does it; it knows no end, so that
only the ring can refuse it.
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

import keywheel.uwsgi
from servers import where as shared
from servers.where import OK, REFUSED, USER, ring, verdict, where


def _seal(kid: str, key: bytes) -> str:
    mac = hmac.new(key, f"{kid}.{USER}".encode(), hashlib.sha256).hexdigest()
    return f"{kid}.{USER}.{mac}"


def _session() -> tuple[str, int]:
    """A session, and the version that made it."""
    with ring.guard() as guard:
        return _seal(guard.kid, guard.secret.reveal_bytes()), guard.version


def _is_session(session: str) -> bool:
    kid, _, _ = session.partition(".")
    version = next((one for one in ring.snapshot().accepted if one.kid == kid), None)
    if version is None or version.secret is None:
        return False
    is_right = hmac.compare_digest(_seal(kid, version.secret.reveal_bytes()), session)
    version.processed() if is_right else version.rejected()
    return is_right


_VERDICTS: dict[str, Callable[[str], str]] = {
    "session": lambda text: OK if _is_session(text) else REFUSED,
    "token": shared.token_verdict,
    "endless token": lambda text: verdict(shared.is_endless_token, text),
    "reset link": lambda text: verdict(shared.is_link, text),
    "mark": lambda text: verdict(shared.is_mark, text),
    "blob": lambda text: verdict(shared.is_blob, text),
}


def issue() -> dict[str, Any]:
    """Everything that a user is given, with the primary."""
    session, made = _session()
    return {
        **where(),
        "version": made,
        "artefacts": {
            "session": session,
            "token": shared.token(),
            "endless token": shared.endless_token(),
            "reset link": shared.link(),
            "mark": shared.mark(),
            "blob": shared.blob(),
        },
    }


def check(artefacts: dict[str, str]) -> dict[str, Any]:
    """What is said of each that is shown."""
    verdicts = {name: judge(artefacts[name]) for name, judge in _VERDICTS.items()}
    return {**where(), "verdicts": verdicts}


def respond(path: str, query: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    if path == "/issue":
        return issue()
    if path == "/check":
        return check(query)
    return where()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application for WSGI."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    # Keeps this worker busy, so that the next request finds another one.
    time.sleep(float(query.get("hold", 0)))
    body = json.dumps(respond(environ["PATH_INFO"], query)).encode()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]


async def _answer(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    await asyncio.sleep(float(query.get("hold", 0)))
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

"""How an application of the matrix is asked: over HTTP as a browser does, or by a task of Celery.

What it issues has names. A name that begins with ``cookie:`` goes back as that cookie, ``bearer``
as the token of a bearer, everything else in the query.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from support.installation import PATIENCE, Connection

COOKIE = "cookie:"
BEARER = "bearer"
# 401 is what FastAPI says for a token that is refused; it names the process too.
_ANSWERS = (200, 401)


class Call(Protocol):
    """A request to the application; anything but a whole answer is an exception."""

    def __call__(
        self, path: str, artefacts: dict[str, str] | None = None, hold: float = 0.0
    ) -> dict[str, Any]: ...


def over_http(folder: Path) -> Call:
    """Asks over the unix socket, with a connection for each request."""

    def call(
        path: str, artefacts: dict[str, str] | None = None, hold: float = 0.0
    ) -> dict[str, Any]:
        query, headers = _as_a_browser(artefacts or {})
        connection = Connection(str(folder / "a"))
        try:
            target = f"{path}?{urlencode({**query, 'hold': hold})}"
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in _ANSWERS:
                raise AssertionError(f"{path}: {answer.status} {text[:200]!r}")
            found: dict[str, Any] = json.loads(text)
            return _with_cookies(answer, found)
        finally:
            connection.close()

    return call


def _as_a_browser(artefacts: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The query and the headers that show these."""
    query = dict(artefacts)
    headers = {"Connection": "close"}
    cookies = [name for name in artefacts if name.startswith(COOKIE)]
    if cookies:
        pairs = (f"{name.removeprefix(COOKIE)}={query.pop(name)}" for name in cookies)
        headers["Cookie"] = "; ".join(pairs)
    if BEARER in query:
        headers["Authorization"] = f"Bearer {query.pop(BEARER)}"
    return query, headers


def _with_cookies(answer: http.client.HTTPResponse, found: dict[str, Any]) -> dict[str, Any]:
    """The answer, with the cookies that it sets among its artefacts."""
    if "artefacts" in found:
        for header in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = header.partition(";")[0].partition("=")
            found["artefacts"][COOKIE + name] = value
    return found


def over_celery(folder: Path) -> Call:
    """Asks by a task."""
    from celery import Celery

    address = f"{folder}/redis"
    app = Celery("client", broker=f"redis+socket://{address}", backend=f"redis+socket://{address}")

    def call(
        path: str, artefacts: dict[str, str] | None = None, hold: float = 0.0
    ) -> dict[str, Any]:
        query = {**(artefacts or {}), "hold": str(hold)}
        result = app.send_task("respond", (path, query))
        found: dict[str, Any] = result.get(timeout=PATIENCE, interval=0.005)
        result.forget()
        return found

    return call

"""Starlette's sessions: the contract, and what Starlette does with a key by itself."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from contract import check, check_outage
from itsdangerous import BadSignature, TimestampSigner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware import sessions as starlettes
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from support.hanging import hanging, holds_up_nobody
from support.installation import Installation, outlasting, secret_ring

import keywheel
from keywheel.asgi import Lifespan, SessionMiddleware
from keywheel.testing import TestRing


async def _login(request: Request) -> JSONResponse:
    request.session["user"] = "alice"
    return JSONResponse({})


async def _me(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.session.get("user")})


async def _touch(request: Request) -> JSONResponse:
    request.session["seen"] = True
    return JSONResponse({"user": request.session.get("user")})


async def _logout(request: Request) -> JSONResponse:
    request.session.clear()
    return JSONResponse({})


def application(middleware: Any, **options: Any) -> Starlette:
    """An application with sessions."""
    routes = [
        Route("/login", _login),
        Route("/me", _me),
        Route("/touch", _touch),
        Route("/logout", _logout),
    ]
    return Starlette(routes=routes, middleware=[Middleware(middleware, **options)])


class Sessions:
    """Cookies of one application that runs on through a rotation."""

    def __init__(self, middleware: Any, **options: Any) -> None:
        self._client = TestClient(application(middleware, **options))

    def issue(self) -> str:
        self._client.cookies.clear()
        cookie = self._client.get("/login").cookies["session"]
        self._client.cookies.clear()
        return cookie

    def answer(self, path: str, cookie: str) -> httpx.Response:
        answer = self._client.get(path, headers={"Cookie": f"session={cookie}"})
        self._client.cookies.clear()
        return answer

    def accepts(self, artefact: str) -> bool:
        return bool(self.answer("/me", artefact).json()["user"] == "alice")


def live(ring: keywheel.Ring) -> Sessions:
    return Sessions(SessionMiddleware, ring=ring)


def key(ring: keywheel.Ring) -> str:
    primary = ring.snapshot().primary
    assert primary is not None
    assert primary.secret is not None
    return primary.secret.reveal()


def test_the_contract() -> None:
    check(live)


def test_an_outage(install: Callable[[str], Installation]) -> None:
    installation = install(outlasting(secret_ring("session", lifetime="10m")))
    installation.token("web", "session")
    check_outage(live, installation, "session")


def test_starlette_by_itself_keeps_the_key_with_which_it_was_built() -> None:
    def plain(ring: keywheel.Ring) -> Sessions:
        return Sessions(starlettes.SessionMiddleware, secret_key=key(ring))

    with pytest.raises(AssertionError, match="what is retired is refused"):
        check(plain)


def test_starlette_restarted_with_the_new_key_logs_everybody_out(
    keywheel_ring: TestRing,
) -> None:
    before = Sessions(starlettes.SessionMiddleware, secret_key=key(keywheel_ring.ring))
    cookie = before.issue()
    keywheel_ring.rotate()
    after = Sessions(starlettes.SessionMiddleware, secret_key=key(keywheel_ring.ring))
    assert not after.accepts(cookie)
    assert live(keywheel_ring.ring).accepts(cookie)


def test_starlette_takes_a_list_of_keys_for_one_key_that_nobody_has() -> None:
    sessions = Sessions(starlettes.SessionMiddleware, secret_key=["new-key", "old-key"])
    cookie = sessions.issue()
    for one in ("new-key", "old-key"):
        with pytest.raises(BadSignature):
            TimestampSigner(one).unsign(cookie)
    assert TimestampSigner("['new-key', 'old-key']").unsign(cookie)


def test_a_cookie_is_starlettes_own_and_signed_with_exactly_the_primary(
    keywheel_ring: TestRing,
) -> None:
    ours = live(keywheel_ring.ring)
    for step in (keywheel_ring.publish, keywheel_ring.promote, keywheel_ring.rollback):
        step()
        cookie = ours.issue()
        content = TimestampSigner(key(keywheel_ring.ring)).unsign(cookie)
        assert json.loads(b64decode(content)) == {"user": "alice"}
        theirs = Sessions(starlettes.SessionMiddleware, secret_key=key(keywheel_ring.ring))
        assert theirs.accepts(cookie)
        assert ours.accepts(theirs.issue())


def test_a_session_is_signed_anew_when_starlette_signs_it_anew(keywheel_ring: TestRing) -> None:
    ours = live(keywheel_ring.ring)
    old = ours.issue()
    keywheel_ring.rotate()
    assert "set-cookie" not in ours.answer("/me", old).headers
    new = ours.answer("/touch", old).cookies["session"]
    keywheel_ring.retire()
    assert not ours.accepts(old)
    assert ours.accepts(new)
    assert "session=null" in ours.answer("/logout", new).headers["set-cookie"]


def test_all_options_of_starlette_are_there(keywheel_ring: TestRing) -> None:
    options: dict[str, Any] = {
        "session_cookie": "s",
        "max_age": 60,
        "path": "/here",
        "same_site": "strict",
        "https_only": True,
        "domain": "example.org",
    }

    def line(middleware: Any, **more: Any) -> str:
        answer = TestClient(application(middleware, **more, **options)).get("/login")
        return answer.headers["set-cookie"].partition(";")[2]

    assert line(SessionMiddleware, ring=keywheel_ring.ring) == line(
        starlettes.SessionMiddleware, secret_key="k"
    )
    with pytest.raises(TypeError, match="leave secret_key out"):
        SessionMiddleware(application, ring=keywheel_ring.ring, secret_key="k")  # type: ignore[arg-type]


def test_a_session_is_not_older_than_max_age(keywheel_ring: TestRing) -> None:
    expired = Sessions(SessionMiddleware, ring=keywheel_ring.ring, max_age=-1)
    cookie = live(keywheel_ring.ring).issue()
    keywheel_ring.rotate()
    assert not expired.accepts(cookie)
    assert live(keywheel_ring.ring).accepts(cookie)


def test_the_life_of_an_application_is_not_disturbed(keywheel_ring: TestRing) -> None:
    for _ in range(2):
        app = application(SessionMiddleware, ring=keywheel_ring.ring)
        with TestClient(Lifespan(app)) as client:
            assert client.get("/login").status_code == 200


async def test_the_first_use_holds_up_nobody_else(install: Callable[[str], Installation]) -> None:
    installation = install(secret_ring("session"))
    installation.token("web", "session")
    with hanging(installation, "session") as (ring, listener):
        transport = httpx.ASGITransport(app=application(SessionMiddleware, ring=ring))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await holds_up_nobody(client.get("/login"), listener)

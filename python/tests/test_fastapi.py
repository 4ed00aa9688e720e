"""FastAPI's dependency for tokens: the contract, and what PyJWT makes of two keys by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import jwt as pyjwt
import pytest
from contract import check, check_outage
from fastapi import Depends, FastAPI, Header, HTTPException, Security
from fastapi.testclient import TestClient
from support.hanging import hanging, holds_up_nobody
from support.installation import (
    PATIENCE,
    Installation,
    eventually,
    outlasting,
    signing_ring,
)

import keywheel
from keywheel._keywheel import Registry
from keywheel.fastapi import jwt
from keywheel.testing import TestRing

Install = Callable[[str], Installation]
Claims = dict[str, Any]


def application(dependency: Any) -> FastAPI:
    """An application with three places for bearers of a token."""
    app = FastAPI()

    @app.get("/me")
    async def me(claims: Claims = Depends(dependency)) -> Claims:  # noqa: B008
        return claims

    @app.get("/orders")
    def orders(claims: Claims = Security(dependency, scopes=["orders:read"])) -> Claims:  # noqa: B008
        return claims

    return app


def get(client: TestClient, token: str | None, path: str = "/me") -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.get(path, headers=headers)


class Bearers:
    """Tokens as an application makes them and takes them."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring
        self._client = TestClient(application(jwt(ring)))

    def issue(self) -> str:
        return keywheel.jwt.encode({"sub": "alice"}, self._ring)

    def accepts(self, artefact: str) -> bool:
        answer = get(self._client, artefact)
        assert answer.status_code in (200, 401)
        return answer.status_code == 200 and answer.json()["sub"] == "alice"


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_the_contract(algorithm: str) -> None:
    check(Bearers, algorithm=algorithm)


def test_an_outage(install: Install) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    check_outage(Bearers, installation, "access")


class Plain:
    """FastAPI with PyJWT, as its tutorial has it; the keys are those of the start, or of now."""

    def __init__(self, ring: keywheel.Ring, keys: Callable[[], Any]) -> None:
        self._ring = ring

        def current(authorization: Annotated[str, Header()]) -> Claims:
            token = authorization.removeprefix("Bearer ")
            try:
                found: Claims = pyjwt.decode(token, keys(), algorithms=["HS256"])
            except pyjwt.InvalidTokenError:
                raise HTTPException(401) from None
            return found

        self.client = TestClient(application(current))

    def issue(self) -> str:
        return keywheel.jwt.encode({"sub": "alice"}, self._ring)

    def accepts(self, artefact: str) -> bool:
        return get(self.client, artefact).status_code == 200


def keys_of(ring: keywheel.Ring) -> list[bytes]:
    secrets = [version.secret for version in ring.snapshot().accepted]
    return [secret.reveal_bytes() for secret in secrets if secret is not None]


def test_pyjwt_with_one_key_refuses_what_the_other_made() -> None:
    def of_the_start(ring: keywheel.Ring) -> Plain:
        first = keys_of(ring)[0]
        return Plain(ring, lambda: first)

    def of_now(ring: keywheel.Ring) -> Plain:
        return Plain(ring, lambda: keys_of(ring)[0])

    with pytest.raises(AssertionError):
        check(of_the_start, algorithm="HS256")
    with pytest.raises(AssertionError, match="accepted until it is retired"):
        check(of_now, algorithm="HS256")


def test_pyjwt_does_not_take_both_keys() -> None:
    turned = TestRing("access", algorithm="HS256")
    turned.rotate()
    plain = Plain(turned.ring, lambda: keys_of(turned.ring))
    assert len(keys_of(turned.ring)) == 2
    with pytest.raises(TypeError):
        plain.accepts(plain.issue())


@pytest.fixture
def access() -> TestRing:
    """A ring for tokens."""
    return TestRing("access", algorithm="HS256")


def test_what_is_refused_is_refused_as_rfc_6750_has_it(access: TestRing) -> None:
    client = TestClient(application(jwt(access.ring, audience="orders", realm="shop")))
    answer = get(client, None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'

    answer = client.get("/me", headers={"Authorization": "Basic YTpi"})
    assert answer.status_code == 401

    answer = get(client, 'nonsense"\\')
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="shop", error="invalid_token", error_description="')
    assert challenge.count('"') == 6
    assert "\\" not in challenge

    answer = get(client, keywheel.jwt.encode({"aud": "billing"}, access.ring))
    assert answer.status_code == 401
    assert "aud" in answer.json()["detail"]


def test_a_scope_that_is_missing_is_403(access: TestRing) -> None:
    client = TestClient(application(jwt(access.ring, scopes=["shop"])))

    def status(claims: Claims, path: str) -> httpx.Response:
        return get(client, keywheel.jwt.encode(claims, access.ring), path)

    both: list[Claims] = [
        {"scope": "shop orders:read"},
        {"scope": ["orders:read", "shop"]},
        {"scp": "orders:read shop other"},
    ]
    for claims in both:
        assert status(claims, "/orders").status_code == 200
    assert status({"scope": "shop"}, "/me").status_code == 200
    missing: list[Claims] = [{"scope": "shop"}, {"scope": "shoporders:read"}, {"scope": 1}, {}]
    for claims in missing:
        answer = status(claims, "/orders")
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == (
            'Bearer error="insufficient_scope", scope="shop orders:read"'
        )


def test_the_scheme_is_documented(access: TestRing) -> None:
    document = application(jwt(access.ring)).openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes == {"HTTPBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


def test_a_revoked_token_is_refused(install: Install) -> None:
    installation = install(outlasting(signing_ring("access", lifetime="10m")))
    installation.token("web", "access")
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"))
    ring = registry.ring("access")
    client = TestClient(application(jwt(ring)))
    token = keywheel.jwt.encode({"sub": "alice"}, ring)
    claims = get(client, token).json()
    entry = {"by": "jti", "jti": claims["jti"], "expires": claims["exp"]}
    body = {"ring": "access", "revoke": [entry], "reason": "logout"}
    installation.call("POST", "/v1/revocations", body)
    refused = eventually(
        "the token is refused",
        lambda: answer if (answer := get(client, token)).status_code != 200 else None,
    )
    assert refused.status_code == 401
    assert "revoked" in refused.headers["www-authenticate"]
    registry.shutdown()


async def test_the_first_use_holds_up_nobody_else_and_without_keys_it_is_503(
    install: Install,
) -> None:
    installation = install(signing_ring("access"))
    installation.token("web", "access")
    with hanging(installation, "access") as (ring, listener):
        transport = httpx.ASGITransport(app=application(jwt(ring)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers: list[httpx.Response] = []

            async def ask() -> None:
                answers.append(await client.get("/me", headers={"Authorization": "Bearer a.b.c"}))

            await holds_up_nobody(ask(), listener)
        assert answers[0].status_code == 503


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
async def test_a_kid_that_nobody_knows_holds_up_nobody_else(
    install: Install, algorithm: str
) -> None:
    installation = install(outlasting(signing_ring("access", algorithm, lifetime="10m")))
    installation.token("web", "access")
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token_file("web"))
    ring = registry.ring("access")
    transport = httpx.ASGITransport(app=application(jwt(ring)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def ask(token: str) -> int:
            answer = await client.get("/me", headers={"Authorization": f"Bearer {token}"})
            return answer.status_code

        own = keywheel.jwt.encode({"sub": "alice"}, ring)
        assert await ask(own) == 200

        async def passed_meanwhile() -> int:
            """How many requests are answered while one waits for the server, which knows all kids.

            Where the loop is held up meanwhile, only those pass that come before and after.
            """
            other = TestRing("other", algorithm=algorithm).ring
            stranger = asyncio.ensure_future(ask(keywheel.jwt.encode({"sub": "eve"}, other)))
            passed = 0
            while not stranger.done():
                assert await ask(own) == 200
                passed += 1
                await asyncio.sleep(0)  # no request of this client waits by itself
            assert await stranger == 401
            return passed

        installation.pause()
        try:
            # How long it waits is the client's to say, and this machine may have no time just then.
            deadline = time.monotonic() + PATIENCE
            while await passed_meanwhile() <= 10:
                assert time.monotonic() < deadline, "the loop is held up each time"
        finally:
            installation.go_on()
    registry.shutdown()

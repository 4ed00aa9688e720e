"""FastAPI as the guide has it: sessions of Starlette, tokens by a dependency."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

import keywheel
from keywheel.asgi import SessionMiddleware
from keywheel.fastapi import jwt

ring = keywheel.ring(os.environ["MATRIX_RING"])
app = FastAPI()
app.add_middleware(SessionMiddleware, ring=ring)


def _where() -> dict[str, Any]:
    snapshot = ring.snapshot()
    return {
        "pid": os.getpid(),
        "instance": ring.health()["instance"],
        "version": snapshot.version,
        "accepted": [version.number for version in snapshot.accepted],
    }


@app.get("/issue")
async def issue(request: Request) -> dict[str, Any]:
    """Logs in."""
    request.session["user"] = "alice"
    # The session is signed when the answer is sent, after this.
    made = ring.snapshot().version
    return {**_where(), "made": made, "token": keywheel.jwt.encode({"sub": "alice"}, ring)}


@app.get("/session")
async def session(request: Request, hold: float = 0.0) -> dict[str, Any]:
    """Says who is logged in."""
    await asyncio.sleep(hold)
    return {**_where(), "user": request.session.get("user")}


@app.get("/token")
async def token(claims: Annotated[dict[str, Any], Depends(jwt(ring))]) -> dict[str, Any]:
    """Says whose token it is."""
    return {**_where(), "user": claims["sub"]}


@app.get("/where")
async def where(hold: float = 0.0) -> dict[str, Any]:
    """Says which process this is."""
    await asyncio.sleep(hold)
    return _where()

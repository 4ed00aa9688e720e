"""FastAPI as the guide has it: sessions of Starlette, tokens by a dependency."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

import keywheel
from keywheel.asgi import SessionMiddleware
from keywheel.fastapi import jwt
from servers.where import ring, where

app = FastAPI()
app.add_middleware(SessionMiddleware, ring=ring)


@app.get("/issue")
async def issue(request: Request) -> dict[str, Any]:
    """Logs in."""
    request.session["user"] = "alice"
    # The session is signed when the answer is sent, after this.
    made = ring.snapshot().version
    return {**where(), "made": made, "token": keywheel.jwt.encode({"sub": "alice"}, ring)}


@app.get("/session")
async def session(request: Request, hold: float = 0.0) -> dict[str, Any]:
    """Says who is logged in."""
    await asyncio.sleep(hold)
    return {**where(), "user": request.session.get("user")}


@app.get("/token")
async def token(claims: Annotated[dict[str, Any], Depends(jwt(ring))]) -> dict[str, Any]:
    """Says whose token it is."""
    return {**where(), "user": claims["sub"]}


@app.get("/where")
async def of_where(hold: float = 0.0) -> dict[str, Any]:
    """Says which process this is."""
    await asyncio.sleep(hold)
    return where()

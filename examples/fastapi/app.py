"""An API: a session for the browser, and access tokens for programs."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Request

import keywheel
from keywheel.asgi import SessionMiddleware
from keywheel.fastapi import jwt

LIFETIME_SECS = 900

tokens = keywheel.ring("access-token")
app = FastAPI()
app.add_middleware(SessionMiddleware, ring=keywheel.ring("web-session"))


@app.post("/login")
def login(request: Request, user: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    """Remembers who it is, and gives a token for programs."""
    request.session["user"] = user
    claims = {"sub": user, "exp": int(time.time()) + LIFETIME_SECS}
    return {"access_token": keywheel.jwt.encode(claims, tokens)}


@app.get("/me")
def me(request: Request) -> dict[str, str]:
    """Says who it is, if the session says so."""
    if "user" not in request.session:
        raise HTTPException(401, "who are you?")
    return {"user": request.session["user"]}


@app.get("/api/me")
def api(claims: Annotated[dict[str, Any], Depends(jwt(tokens))]) -> dict[str, str]:
    """Says who it is, if the token says so."""
    return {"user": claims["sub"]}

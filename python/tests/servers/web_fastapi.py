"""FastAPI as the guide has it: sessions of Starlette, tokens by a dependency."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from keywheel.asgi import SessionMiddleware
from keywheel.fastapi import jwt
from servers import where as shared
from servers.where import OK, REFUSED, USER, ring, verdict, where

app = FastAPI()
app.add_middleware(SessionMiddleware, ring=ring)


@app.get("/issue")
async def issue(request: Request) -> JSONResponse:
    """Logs in."""
    request.session["user"] = USER
    artefacts = {
        "bearer": shared.token(),
        "endless token": shared.endless_token(),
        "reset link": shared.link(),
        "blob": shared.blob(),
    }
    response = JSONResponse({**where(), "artefacts": artefacts})
    response.set_cookie("mark", shared.mark())
    return response


@app.get("/check")
async def check(request: Request, hold: float) -> dict[str, Any]:
    """What is said of each that is shown, but of the bearer."""
    await asyncio.sleep(hold)
    verdicts = {
        "cookie:session": OK if request.session.get("user") == USER else REFUSED,
        "cookie:mark": verdict(shared.is_mark, request.cookies["mark"]),
        "endless token": verdict(shared.is_endless_token, request.query_params["endless token"]),
        "reset link": verdict(shared.is_link, request.query_params["reset link"]),
        "blob": verdict(shared.is_blob, request.query_params["blob"]),
    }
    return {**where(), "verdicts": verdicts}


@app.get("/bearer")
async def bearer(
    claims: Annotated[dict[str, Any], Depends(jwt(ring))], hold: float
) -> dict[str, Any]:
    """What is said of the bearer's token."""
    await asyncio.sleep(hold)
    return {**where(), "verdicts": {"bearer": OK if claims["sub"] == USER else REFUSED}}


@app.exception_handler(HTTPException)
async def refused(_: Request, error: HTTPException) -> JSONResponse:
    """Says which process refused the bearer's token, and in one word why."""
    why = getattr(error.__cause__, "kind", error.detail)
    return JSONResponse({**where(), "verdicts": {"bearer": why}}, error.status_code)


@app.get("/where")
async def of_where(hold: float) -> dict[str, Any]:
    """Says which process this is."""
    await asyncio.sleep(hold)
    return where()

"""What a team writes for `auth_request` today, as the documentation of FastAPI and of PyJWT shows
it: a dependency that checks the bearer token. With a set of revoked jti, and two keys."""

import sys
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

SOCKET, SECRET_FILE, REVOKED, PYJWT = sys.argv[1:5]
KEYS = {"hs": open(SECRET_FILE, "rb").read(), "older": b"the key before it" * 4}
REVOKED_JTI = {f"revoked-{number}" for number in range(int(REVOKED))}
OPTIONS = {"require": ["exp", "sub", "jti"]}

assert jwt.__version__ == PYJWT, jwt.__version__
app = FastAPI()
bearer = HTTPBearer()


async def claims_of(shown: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict:
    try:
        key = KEYS[jwt.get_unverified_header(shown.credentials)["kid"]]
        claims = jwt.decode(
            shown.credentials, key, algorithms=["HS256"], issuer="us", options=OPTIONS
        )
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if claims["jti"] in REVOKED_JTI:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return claims


@app.get("/authz")
async def authz(claims: Annotated[dict, Depends(claims_of)]) -> Response:
    return Response(headers={"X-Auth-Subject": claims["sub"]})


uvicorn.run(app, uds=SOCKET, log_level="warning", access_log=False)

"""What a team writes for `auth_request` today: FastAPI and PyJWT, with a set of revoked jti."""

import sys

import jwt
import uvicorn
from fastapi import FastAPI, Request, Response

SOCKET, SECRET_FILE, REVOKED = sys.argv[1], sys.argv[2], int(sys.argv[3])
KEYS = {"hs": open(SECRET_FILE, "rb").read()}
REVOKED_JTI = {f"revoked-{number}" for number in range(REVOKED)}
OPTIONS = {"require": ["exp", "sub", "jti"]}

app = FastAPI(openapi_url=None)


@app.get("/authz")
async def authz(request: Request) -> Response:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["HS256"], options=OPTIONS)
    except (jwt.PyJWTError, KeyError):
        return Response(status_code=401)
    if kind != "Bearer" or claims["jti"] in REVOKED_JTI:
        return Response(status_code=401)
    return Response(status_code=200, headers={"X-Auth-Subject": claims["sub"]})


uvicorn.run(app, uds=SOCKET, log_level="warning", access_log=False)

"""Flask as the guide has it."""

from __future__ import annotations

import os
import time
from typing import Any

from flask import Flask, request, session

import keywheel.flask
import keywheel.uwsgi
from servers.where import ring, token_is_good, where

app = Flask(__name__)
keywheel.flask.init_app(app, session=os.environ["MATRIX_RING"])


@app.get("/issue")
def issue() -> dict[str, Any]:
    """Logs in."""
    session["user"] = "alice"
    # The session is signed when the answer is sent, after this.
    made = ring.snapshot().version
    return {**where(), "made": made, "token": keywheel.jwt.encode({"sub": "alice"}, ring)}


@app.get("/session")
def of_session() -> dict[str, Any]:
    """Says who is logged in."""
    time.sleep(float(request.args.get("hold", 0)))
    return {**where(), "user": session.get("user")}


@app.get("/token")
def token() -> Any:
    """Says whose token it is."""
    is_good = token_is_good(request.headers["Authorization"])
    return {"user": "alice" if is_good else None}, 200 if is_good else 401


@app.get("/where")
def of_where() -> dict[str, Any]:
    """Says which process this is."""
    time.sleep(float(request.args.get("hold", 0)))
    return where()


keywheel.uwsgi.install()

"""Flask as the guide has it, with everything around it that signs."""

from __future__ import annotations

import os
import time
from typing import Any

import flask_login
from flask import Flask, jsonify, request, session
from flask.wrappers import Response
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms.validators import ValidationError

import keywheel.flask
import keywheel.uwsgi
from servers import where as shared
from servers.where import OK, REFUSED, USER, verdict, where

app = Flask(__name__)
CSRFProtect(app)


@app.after_request
def forget(response: Response) -> Response:
    """Leaves it to the remember cookie alone to say who is logged in."""
    # What was registered first comes last: Flask-Login has set its cookie by now.
    session.pop("_user_id", None)
    return response


class User(flask_login.UserMixin):  # type: ignore[misc]
    """Somebody who is logged in."""

    def __init__(self, name: str) -> None:
        self.id = name


flask_login.LoginManager(app).user_loader(User)
keywheel.flask.init_app(app, session=os.environ["MATRIX_RING"])


@app.get("/issue")
def issue() -> Response:
    """Logs in, and opens a form."""
    session["user"] = USER
    flask_login.login_user(User(USER), remember=True)
    artefacts = {
        "csrf": generate_csrf(),
        "bearer": shared.token(),
        "endless token": shared.endless_token(),
        "reset link": shared.link(),
        "blob": shared.blob(),
    }
    response = jsonify({**where(), "artefacts": artefacts})
    response.set_cookie("mark", shared.mark())
    return response


@app.get("/check")
def check() -> dict[str, Any]:
    """What is said of each that is shown."""
    time.sleep(float(request.args["hold"]))
    is_remembered = flask_login.current_user.get_id() == USER
    verdicts = {
        "cookie:session": OK if session.get("user") == USER else REFUSED,
        "cookie:remember_token": OK if is_remembered else REFUSED,
        "cookie:mark": verdict(shared.is_mark, request.cookies["mark"]),
        "csrf": _of_form(request.args["csrf"]),
        "bearer": shared.token_verdict(request.headers["Authorization"].partition(" ")[2]),
        "endless token": verdict(shared.is_endless_token, request.args["endless token"]),
        "reset link": verdict(shared.is_link, request.args["reset link"]),
        "blob": verdict(shared.is_blob, request.args["blob"]),
    }
    return {**where(), "verdicts": verdicts}


def _of_form(text: str) -> str:
    try:
        validate_csrf(text)
    except ValidationError as error:
        return f"{REFUSED}: {error}"
    return OK


@app.get("/where")
def of_where() -> dict[str, Any]:
    """Says which process this is."""
    time.sleep(float(request.args["hold"]))
    return where()


keywheel.uwsgi.install()

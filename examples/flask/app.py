"""A shop's door: who logged in is remembered in Flask's signed session."""

from __future__ import annotations

from flask import Flask, request, session

import keywheel.flask

app = Flask(__name__)
keywheel.flask.init_app(app, session="web-session")


@app.post("/login")
def login() -> str:
    """Remembers who it is for as long as PERMANENT_SESSION_LIFETIME says."""
    session.permanent = True
    session["user"] = request.form["user"]
    return f"welcome, {session['user']}\n"


@app.get("/me")
def me() -> tuple[str, int]:
    """Says who it is, if the session says so."""
    if "user" not in session:
        return "who are you?\n", 401
    return f"hello, {session['user']}\n", 200

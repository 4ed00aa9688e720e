"""A Flask application with everything that has a signature: what its users hold, as subjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_jwt_extended
import flask_login
from flask import Flask, jsonify, session
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from werkzeug.test import TestResponse

import keywheel
import keywheel.flask


class User(flask_login.UserMixin):  # type: ignore[misc]
    """Somebody who is logged in."""

    def __init__(self, name: str) -> None:
        self.id = name


def bare() -> Flask:
    """The application, with no ring yet."""
    app = Flask("shop")
    app.config.update(
        TESTING=True, SECRET_KEY="the key that came first, and was long enough for a digest"
    )
    CSRFProtect(app)
    logins = flask_login.LoginManager(app)
    logins.user_loader(User)
    flask_jwt_extended.JWTManager(app)
    app.add_url_rule("/login", view_func=login, methods=["GET"])
    app.add_url_rule("/me", view_func=me)
    app.add_url_rule("/form", view_func=form)
    app.add_url_rule("/form", "sent", lambda: "sent", methods=["POST"])
    app.add_url_rule("/remember", view_func=remember)
    app.add_url_rule("/token", view_func=token)
    app.add_url_rule("/api", view_func=api)
    return app


def login() -> str:
    session["user"] = "alice"
    return "hello"


def me() -> str:
    user = session.get("user") or flask_login.current_user.get_id()
    return str(user or "nobody")


def form() -> str:
    return str(generate_csrf())


def remember() -> str:
    flask_login.login_user(User("alice"), remember=True)
    return "hello"


def token() -> Any:
    return jsonify(token=flask_jwt_extended.create_access_token("alice"))


@flask_jwt_extended.jwt_required()  # type: ignore[untyped-decorator]
def api() -> str:
    return str(flask_jwt_extended.get_jwt_identity())


def cookie(answer: TestResponse, name: str) -> str:
    """The value of a cookie that an answer sets."""
    for header in answer.headers.getlist("Set-Cookie"):
        if header.startswith(f"{name}="):
            return header.split(";")[0][len(name) + 1 :]
    raise AssertionError(f"no cookie {name} in {answer.headers}")


class Held:
    """What a user of the application holds."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def get(self, path: str, headers: dict[str, str] | None = None, **cookies: str) -> TestResponse:
        """An answer for a browser that has these cookies and no others."""
        client = self.app.test_client()
        for name, value in cookies.items():
            client.set_cookie(name, value)
        return client.get(path, headers=headers or {})

    def issue(self) -> Any:
        raise NotImplementedError

    def accepts(self, artefact: Any) -> bool:
        raise NotImplementedError


class Session(Held):
    """A session."""

    def issue(self) -> str:
        return cookie(self.get("/login"), "session")

    def accepts(self, artefact: str) -> bool:
        return self.get("/me", session=artefact).text == "alice"


class Csrf(Held):
    """A form that is open in a browser: its session, and its token."""

    def issue(self) -> tuple[str, str]:
        answer = self.get("/form")
        return cookie(answer, "session"), answer.text

    def accepts(self, artefact: tuple[str, str]) -> bool:
        client = self.app.test_client()
        client.set_cookie("session", artefact[0])
        return client.post("/form", data={"csrf_token": artefact[1]}).status_code == 200


class Remembered(Held):
    """The cookie that logs in without a session."""

    def issue(self) -> str:
        return cookie(self.get("/remember"), "remember_token")

    def accepts(self, artefact: str) -> bool:
        return self.get("/me", remember_token=artefact).text == "alice"


class Token(Held):
    """A token of Flask-JWT-Extended."""

    def issue(self) -> str:
        issued: str = self.get("/token").get_json()["token"]
        return issued

    def accepts(self, artefact: str) -> bool:
        answer = self.get("/api", headers={"Authorization": f"Bearer {artefact}"})
        return answer.status_code == 200


KINDS: list[type[Held]] = [Session, Csrf, Remembered, Token]


def over(kind: type[Held], **rings: Callable[[], keywheel.Ring]) -> Callable[[keywheel.Ring], Held]:
    """What a user holds, in an application with this ring, and others for the other uses."""

    def make(ring: keywheel.Ring) -> Held:
        app = bare()
        named: dict[str, Any] = {"session": ring}
        named.update({use: choose() for use, choose in rings.items()})
        named = {use: ring if use == USES[kind] else found for use, found in named.items()}
        keywheel.flask.init_app(app, **named)
        return kind(app)

    return make


USES: dict[type[Held], str] = {Session: "session", Csrf: "wtf", Remembered: "login", Token: "jwt"}

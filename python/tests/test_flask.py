"""Flask over a ring, and what Flask and its extensions do without one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask.sessions
import pytest
from contract import check, check_outage, check_turning
from flask import Config, Flask, session
from itsdangerous import URLSafeTimedSerializer
from support.flask_app import KINDS, USES, Csrf, Held, Remembered, Session, Token, bare, over
from support.installation import Installation, outlasting, secret_ring, signing_ring

import keywheel
import keywheel.flask
from keywheel._keywheel import Registry
from keywheel.testing import TestRing

Install = Callable[[str], Installation]


def still() -> keywheel.Ring:
    """A ring that never moves, for the uses that a test is not about."""
    return TestRing("still").ring


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_with_one_ring_for_everything(kind: type[Held]) -> None:
    check(over(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_with_a_ring_for_each_use(kind: type[Held]) -> None:
    use = USES[kind]
    check(over(kind, session=still, **({} if use == "session" else {use: still})))


def test_the_contract_of_tokens_with_a_ring_that_signs() -> None:
    check(over(Token, session=still, jwt=still), algorithm="HS256")


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage(kind: type[Held], install: Install) -> None:
    installation = install(outlasting(secret_ring("web", lifetime="60d")))
    installation.token("web", "web")
    check_outage(over(kind), installation, "web")


def plain(kind: type[Held], current: str, *fallbacks: str) -> Held:
    """The application as Flask's documentation has it rotate."""
    app = bare()
    app.config.update(SECRET_KEY=current, SECRET_KEY_FALLBACKS=list(fallbacks))
    return kind(app)


OLD, NEW = "an old key that is long enough for a digest", "a new key that is long enough for it"


def test_a_key_that_is_swapped_in_one_step_logs_users_out() -> None:
    """The failure that goes: with plain Flask, and one worker that is slower than the other."""
    before = plain(Session, OLD).issue()
    assert not plain(Session, NEW).accepts(before), "everybody is logged out"
    made_by_the_fast = plain(Session, NEW, OLD).issue()
    slow = plain(Session, OLD)
    assert not slow.accepts(made_by_the_fast), "and fallbacks help only where they have arrived"

    turned = TestRing("web")
    fast, late = over(Session)(turned.ring), over(Session)(turned.ring)
    turned.publish()
    assert late.accepts(fast.issue())
    turned.promote()
    assert late.accepts(fast.issue())


@pytest.mark.parametrize("kind", [Csrf, Remembered, Token])
def test_extensions_ignore_fallbacks(kind: type[Held]) -> None:
    """The failure that goes: sessions live, and forms, remembered logins and tokens do not."""
    before, session_before = plain(kind, OLD).issue(), plain(Session, OLD).issue()
    rotated = plain(kind, NEW, OLD)
    assert Session(rotated.app).accepts(session_before)
    assert not rotated.accepts(before)

    turned = TestRing("web")
    live = over(kind)(turned.ring)
    held = live.issue()
    turned.rotate()
    assert live.accepts(held)


def flask_3_1_0(self: Any, app: Flask) -> URLSafeTimedSerializer:
    """As Flask 3.1.0 has it: the last key signs, and the last is a fallback."""
    keys: list[Any] = [app.secret_key, *(app.config["SECRET_KEY_FALLBACKS"] or ())]
    options = {"key_derivation": self.key_derivation, "digest_method": self.digest_method}
    return URLSafeTimedSerializer(
        keys,
        salt=self.salt,
        serializer=self.serializer,
        signer_kwargs=options,
    )


def test_the_order_of_flask_3_1_0_signs_with_an_old_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure that goes: what is signed after the rotation dies with the old key."""
    right = plain(Session, NEW)
    interface = flask.sessions.SecureCookieSessionInterface
    monkeypatch.setattr(interface, "get_signing_serializer", flask_3_1_0)
    assert not right.accepts(plain(Session, NEW, OLD).issue())

    turned = TestRing("web")
    app = bare()
    keywheel.flask.init_app(app, session=turned.ring)
    turned.rotate()
    # Also whoever still follows that order, with the values of the configuration.
    made = [
        Session(app).issue(),
        flask_3_1_0(interface(), app).dumps({"user": "alice"}),
    ]
    turned.retire()
    assert all(Session(app).accepts(cookie) for cookie in made)


def test_sessions_are_those_of_flask_with_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}", "{OLD}"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    for kind in KINDS:
        live = over(kind)(registry.ring("web"))
        assert live.accepts(plain(kind, NEW).issue()), "Flask's own is accepted"
        assert live.accepts(plain(kind, OLD).issue())
        assert plain(kind, NEW).accepts(live.issue()), "and Flask accepts the live one"


def test_others_who_read_the_key_get_that_of_the_moment() -> None:
    turned = TestRing("web")
    app = bare()
    held = app.config
    keywheel.flask.init_app(app, session=turned.ring)
    first = app.secret_key
    assert isinstance(first, str)
    assert app.config["SECRET_KEY"] == app.config.get("SECRET_KEY") == held["SECRET_KEY"] == first
    assert app.config.setdefault("SECRET_KEY", "another") == first
    turned.rotate()
    assert app.secret_key != first
    assert app.config["SECRET_KEY_FALLBACKS"] == [first, app.secret_key]
    turned.retire()
    assert app.config["SECRET_KEY_FALLBACKS"] == [app.secret_key]
    assert app.jinja_env.from_string("{{ config.SECRET_KEY }}").render() == app.secret_key


def test_a_dump_of_the_configuration_shows_no_key() -> None:
    app = bare()
    keywheel.flask.init_app(app, session=TestRing("web").ring)
    assert isinstance(app.secret_key, str)
    for text in (repr(app.config), repr(dict(app.config)), repr(list(app.config.items()))):
        assert app.secret_key not in text
        assert "came first" not in text


def test_a_key_that_is_set_beside_the_ring_is_refused() -> None:
    app = bare()
    keywheel.flask.init_app(app, session=still())
    with pytest.raises(keywheel.ConfigurationError, match="import it into the ring"):
        app.secret_key = "mine"
    with pytest.raises(keywheel.ConfigurationError, match="import it into the ring"):
        app.config.update(SECRET_KEY="mine")
    with pytest.raises(keywheel.ConfigurationError, match="once"):
        keywheel.flask.init_app(app, session=still())
    app.config.update(OTHER=1)
    app.config["ANOTHER"] = 2
    assert (app.config["OTHER"], app.config["ANOTHER"]) == (1, 2)


def test_what_the_application_decided_for_itself_stays() -> None:
    app = bare()
    app.config.update(WTF_CSRF_SECRET_KEY="forms", JWT_SECRET_KEY="tokens, as long as it must be")
    keywheel.flask.init_app(app, session=still(), login=False)
    assert app.config["WTF_CSRF_SECRET_KEY"] == "forms"
    extension = app.extensions["keywheel"]
    assert extension.jwt is None
    assert extension.login is None


def test_a_request_without_a_session_waits_for_no_key() -> None:
    registry = Registry()
    registry.configure(url="unix:/nowhere/s", token_file="/nowhere", first_use_timeout=0.1)
    app = bare()
    keywheel.flask.init_app(app, session=registry.ring("web"))
    app.add_url_rule("/health", view_func=lambda: "well")
    assert Held(app).get("/health").text == "well"
    assert registry.ring("web").health()["last_contact"] is None
    with pytest.raises(keywheel.UnavailableError):
        Session(app).issue()


def test_tokens_that_are_signed_with_a_pair_of_keys_are_left_alone() -> None:
    app = bare()
    app.config["JWT_ALGORITHM"] = "RS256"
    keywheel.flask.init_app(app, session=still())
    assert app.extensions["keywheel"].jwt is None
    app = bare()
    app.config["JWT_ALGORITHM"] = "RS256"
    with pytest.raises(keywheel.ConfigurationError, match="RS256"):
        keywheel.flask.init_app(app, session=still(), jwt=still())


def test_a_configuration_of_the_application_s_own_class_stays_one() -> None:
    class Settings(Config):
        def shout(self) -> str:
            return str(self["NAME"]).upper()

    class Shop(Flask):
        config_class = Settings

    app = Shop("shop")
    app.config.update(NAME="shop", SECRET_KEY=OLD)
    ring = still()
    keywheel.flask.init_app(app, session=ring)
    assert isinstance(app.config, Settings)
    assert app.config.shout() == "SHOP"
    assert app.config["SECRET_KEY"] == app.secret_key != OLD


class Salted(flask.sessions.SecureCookieSessionInterface):
    """An interface of the application's own."""

    salt = "mine"

    def get_cookie_name(self, app: Flask) -> str:
        return "sid"


def test_an_interface_of_the_application_keeps_what_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    app, theirs = bare(), bare()
    theirs.config["SECRET_KEY"] = NEW
    app.session_interface, theirs.session_interface = Salted(), Salted()
    keywheel.flask.init_app(app, session=registry.ring("web"))
    assert isinstance(app.session_interface, Salted)
    answer = Held(theirs).get("/login")
    value = answer.headers["Set-Cookie"].split(";")[0][len("sid=") :]
    assert Held(app).get("/me", sid=value).text == "alice"


def test_sessions_that_are_kept_elsewhere_stay_there() -> None:
    class Elsewhere(flask.sessions.SessionInterface):
        def open_session(self, app: Flask, request: Any) -> Any:
            return flask.sessions.SecureCookieSession()

        def save_session(self, app: Flask, session: Any, response: Any) -> None:
            return None

    app = bare()
    app.session_interface = Elsewhere()
    keywheel.flask.init_app(app, session=still())
    assert isinstance(app.session_interface, Elsewhere)
    assert Held(app).get("/me").text == "nobody"


def test_what_lives_longer_than_the_ring_promises_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = bare()
    ring = TestRing("web", longest_lifetime=3600).ring
    keywheel.flask.init_app(app, session=ring)
    Session(app).issue()
    Session(app).issue()
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(" ")[0] for text in said] == [
        "PERMANENT_SESSION_LIFETIME",
        "REMEMBER_COOKIE_DURATION",
        "JWT_REFRESH_TOKEN_EXPIRES",
    ]
    for name in ("PERMANENT_SESSION_LIFETIME", "REMEMBER_COOKIE_DURATION"):
        app.config[name] = timedelta(minutes=30)
    app.config["JWT_REFRESH_TOKEN_EXPIRES"] = False
    assert keywheel.flask.check(app) == []


def test_an_extension_that_comes_after_the_ring_follows_it() -> None:
    import flask_jwt_extended

    turned = TestRing("web")
    app = Flask("late")
    keywheel.flask.init_app(app, session=turned.ring)
    flask_jwt_extended.JWTManager(app)
    app.add_url_rule("/token", view_func=lambda: flask_jwt_extended.create_access_token("alice"))

    @app.get("/api")
    @flask_jwt_extended.jwt_required()  # type: ignore[untyped-decorator]
    def api() -> str:
        return "in"

    token = Held(app).get("/token").text
    turned.rotate()
    assert Token(app).accepts(token)
    turned.retire()
    assert not Token(app).accepts(token)
    assert Held(app).get("/api", headers={"Authorization": f"Bearer {token}"}).status_code == 422


def test_a_token_that_is_revoked_is_refused(install: Install) -> None:
    import flask_jwt_extended

    installation = install(outlasting(signing_ring("api", lifetime="60d")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "api"))
    app = bare()
    keywheel.flask.init_app(app, session=still(), jwt=registry.ring("api"))
    blocked: list[str] = []
    # The application's own list is named after the ring, and holds too.
    app.extensions["flask-jwt-extended"].token_in_blocklist_loader(
        lambda _header, claims: claims["jti"] in blocked
    )
    one, two, three = (Token(app).issue() for _ in range(3))
    assert all(Token(app).accepts(token) for token in (one, two, three))
    with app.app_context():
        claims = [flask_jwt_extended.decode_token(token) for token in (one, two)]
    registry.ring("api").revoke(jti=claims[0]["jti"])
    blocked.append(claims[1]["jti"])
    assert [Token(app).accepts(token) for token in (one, two, three)] == [False, False, True]
    answer = Held(app).get("/api", headers={"Authorization": f"Bearer {one}"})
    assert (answer.status_code, answer.get_json()) == (401, {"msg": "Token has been revoked"})
    registry.ring("api").revoke(subject="alice")
    assert not Token(app).accepts(three)
    registry.shutdown()


def test_the_session_is_signed_once_and_by_the_primary_at_every_step() -> None:
    turned = TestRing("web")
    app = bare()
    keywheel.flask.init_app(app, session=turned.ring)
    for step in (turned.publish, turned.promote, turned.rollback, turned.rotate, turned.retire):
        step()
        with app.test_request_context():
            session["n"] = 1
            response = app.make_response("")
            app.session_interface.save_session(app, session, response)
        value = response.headers["Set-Cookie"].split(";")[0][len("session=") :]
        primary = turned.ring.snapshot().primary
        assert primary is not None
        assert primary.secret is not None
        alone = Flask("alone")
        alone.secret_key = primary.secret.reveal()
        serializer = flask.sessions.SecureCookieSessionInterface().get_signing_serializer(alone)
        assert serializer is not None
        assert serializer.loads(value) == {"n": 1}


def test_importing_it_starts_nothing_and_imports_no_extension() -> None:
    script = (
        "import os, sys, keywheel.flask\n"
        "from flask import Flask\n"
        "keywheel.flask.init_app(Flask('a'), session='web')\n"
        "print(len(os.listdir('/proc/self/task')))\n"
        "print({'flask_login', 'flask_wtf', 'flask_jwt_extended', 'jwt'} & set(sys.modules))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "1\nset()\n"


def test_everything_lives_through_rotation_rollback_rotation_and_retirement(
    install: Install,
) -> None:
    installation = install(outlasting(secret_ring("web") + signing_ring("api")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web", "api"))
    rings = [registry.ring("web"), registry.ring("api")]
    app = bare()
    keywheel.flask.init_app(app, session=rings[0], jwt=rings[1])
    check_turning([kind(app) for kind in KINDS], installation, *rings)
    counts = installation.ring("web")["consumers"][0]["instances"][0]["counts"]
    assert counts["1"]["processed"] > 0
    registry.shutdown()

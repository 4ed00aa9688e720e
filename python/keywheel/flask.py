"""Flask's sessions, and every other use of ``SECRET_KEY``, with the versions of a ring.

Two lines::

    import keywheel.flask

    app = Flask(__name__)
    keywheel.flask.init_app(app, session="web-session")

From then on sessions are signed with the primary and accepted from every version that is accepted,
in the format that Flask's own have; ``app.secret_key`` and ``app.config["SECRET_KEY"]`` give the
key of the moment, ``SECRET_KEY_FALLBACKS`` gives all that are accepted, and a dump of the
configuration gives neither. Flask-WTF's CSRF tokens follow too, Flask-Login's remember cookie where
Flask-Login is used, and Flask-JWT-Extended where a ring is named for it or it signs with
``SECRET_KEY``; its tokens are refused too when ``ring.revoke`` says so.

An application that is in use brings its key along: import it into the ring first (``keywheel ring
import``), and everybody stays logged in. Nothing is asked or started before the first request. A
request raises :class:`keywheel.UnavailableError` while no key has arrived, and
:class:`keywheel.ProtectError` when it changes a session while nothing may be protected.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Union

from flask import Config, Flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.wrappers import Request, Response

from keywheel._flask_extensions import follow_jwt, follow_login
from keywheel._keywheel import Ring
from keywheel._rings import RingOrName, accepted, ring_of, text_or_bytes
from keywheel.exceptions import ConfigurationError, KeywheelError
from keywheel.itsdangerous import URLSafeTimedSerializer

__all__ = ["RingSessionInterface", "check", "init_app"]

Choice = Union[RingOrName, bool, None]


def init_app(
    app: Flask,
    session: RingOrName,
    *,
    wtf: Choice = None,
    login: Choice = None,
    jwt: Choice = None,
) -> None:
    """Lets an application use the versions of a ring for its ``SECRET_KEY``.

    ``wtf`` (CSRF tokens of Flask-WTF), ``login`` (the remember cookie of Flask-Login) and ``jwt``
    (Flask-JWT-Extended with an HS algorithm) each take a ring of their own, or ``True`` for the
    same ring, or ``False`` to be left alone. What is not said follows the same ring, unless the
    application has set ``WTF_CSRF_SECRET_KEY`` or ``JWT_SECRET_KEY``, or a ``JWT_ALGORITHM`` whose
    keys are pairs.

    Extensions may be made before this call or after it. Sessions that the application keeps
    elsewhere than in a signed cookie stay where they are; make the extensions before, then.

    Raises :class:`keywheel.ConfigurationError` when the application has a ring already, when
    ``login`` names a ring and Flask-Login is not installed, or when ``jwt`` names one and
    ``JWT_ALGORITHM`` is none of the HS algorithms.
    """
    if "keywheel" in app.extensions:
        raise ConfigurationError("this application follows a ring already; call init_app once")
    extension = _Extension(ring_of(session), wtf, login, jwt)
    app.extensions["keywheel"] = extension
    live: dict[str, Callable[[], Any]] = {
        "SECRET_KEY": lambda: text_or_bytes(extension.session.secret()),
        "SECRET_KEY_FALLBACKS": lambda: _oldest_first(extension.session),
    }
    csrf = extension.chosen(wtf, unless=app.config.get("WTF_CSRF_SECRET_KEY"))
    if csrf is not None:
        live["WTF_CSRF_SECRET_KEY"] = lambda: [*_oldest_first(csrf), text_or_bytes(csrf.secret())]
    _follow_configuration(app, live)
    existing = app.session_interface
    if isinstance(existing, SecureCookieSessionInterface):
        app.session_interface = RingSessionInterface.over(existing, extension.session)
    extension.settle(app)


def check(app: Flask) -> list[str]:
    """What would log users out early: what the application lets live longer than its ring does.

    Each finding says what to change. It waits for the keys, and raises as the first request does.
    """
    extension: _Extension = app.extensions["keywheel"]
    extension.settle(app)
    findings = _outlives(extension.session, app, "PERMANENT_SESSION_LIFETIME")
    if extension.login is not None:
        name = "REMEMBER_COOKIE_DURATION"
        findings += _outlives(extension.login, app, name, timedelta(days=365))
    if extension.jwt is not None:
        for name in ("JWT_ACCESS_TOKEN_EXPIRES", "JWT_REFRESH_TOKEN_EXPIRES"):
            findings += _outlives(extension.jwt, app, name)
    return findings


def _outlives(ring: Ring, app: Flask, name: str, default: timedelta | None = None) -> list[str]:
    said = app.config.get(name, default)
    seconds = said.total_seconds() if isinstance(said, timedelta) else float(said or 0)
    with ring.guard() as guard:
        longest = guard.longest_lifetime
    if seconds <= longest:
        return []
    return [
        f"{name} is {seconds:.0f} s and ring {ring.name} promises {longest:.0f} s, so a rotation "
        "may end what is still in use; raise the ring's longest_lifetime, or lower the other"
    ]


def _oldest_first(ring: Ring) -> list[str | bytes]:
    """Every accepted key.

    The primary stands last, where also Flask 3.1.0 signs with it; it is not left out, because the
    other half of the configuration is read at another moment.
    """
    return [text_or_bytes(secret) for _, secret in accepted(ring.snapshot())][::-1]


class _Extension:
    """The rings of an application."""

    def __init__(self, session: Ring, wtf: Choice, login: Choice, jwt: Choice) -> None:
        self.session = session
        #: The ring of Flask-Login, once it follows one; and that of Flask-JWT-Extended.
        self.login: Ring | None = None
        self.jwt: Ring | None = None
        self._choices: dict[str, Choice] = {"login": login, "jwt": jwt}
        self._settling = threading.Lock()

    def chosen(self, choice: Choice, *, unless: object = None) -> Ring | None:
        """The ring for a use; ``unless`` is what the application has set for it."""
        if choice is False or (choice is None and unless):
            return None
        return self.session if choice is None or choice is True else ring_of(choice)

    def settle(self, app: Flask) -> None:
        """Lets the extensions follow that have come since; some are made after ``init_app``."""
        with self._settling:
            login, jwt = self._choices["login"], self._choices["jwt"]
            if self.login is None and (login or "flask_login" in sys.modules):
                self.login = self.chosen(login)
                if self.login is not None:
                    follow_login()
            if self.jwt is None and "flask-jwt-extended" in app.extensions:
                other = not str(app.config.get("JWT_ALGORITHM", "HS256")).startswith("HS")
                self.jwt = self.chosen(jwt, unless=app.config.get("JWT_SECRET_KEY") or other)
                if self.jwt is not None:
                    follow_jwt(app, self.jwt)


class RingSessionInterface(SecureCookieSessionInterface):
    """Flask's sessions in signed cookies, over a ring.

    ``salt``, ``digest_method``, ``key_derivation``, ``serializer`` and ``session_class`` are those
    of the interface that the application had.
    """

    def __init__(self, ring: RingOrName) -> None:
        #: The ring whose versions sign.
        self.ring = ring_of(ring)
        self._serializer: URLSafeTimedSerializer | None = None
        self._checked = False

    @classmethod
    def over(cls, existing: SecureCookieSessionInterface, ring: Ring) -> RingSessionInterface:
        """The same interface, over a ring."""
        theirs = type(existing)
        made: Any = cls
        if theirs is not SecureCookieSessionInterface:
            made = type(theirs.__name__, (cls, theirs), {"__module__": theirs.__module__})
        interface: RingSessionInterface = made(ring)
        interface.__dict__.update({**existing.__dict__, **interface.__dict__})
        return interface

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """The serializer. It is made once and follows the ring by itself."""
        if self._serializer is None:
            options = {"key_derivation": self.key_derivation, "digest_method": self.digest_method}
            self._serializer = URLSafeTimedSerializer(
                self.ring, salt=self.salt, serializer=self.serializer, signer_kwargs=options
            )
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request; an empty one when no accepted version signed it."""
        if not self._checked:
            app.extensions["keywheel"].settle(app)
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Signs the session, where it changed, with the primary."""
        if not self._checked and session and self.should_set_cookie(app, session):
            self._checked = True
            # What a ring of another use cannot do, its own use says.
            with suppress(KeywheelError):
                for finding in check(app):
                    app.logger.warning("%s", finding)
        super().save_session(app, session, response)


class _LiveConfig(Config):
    """A configuration some of whose values are read anew each time, and never kept in it."""

    __slots__ = ()
    keywheel_live: Mapping[str, Callable[[], Any]]

    def __getitem__(self, key: str) -> Any:
        live = self.keywheel_live.get(key)
        return super().__getitem__(key) if live is None else live()

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the moment."""
        live = self.keywheel_live.get(key)
        return super().get(key, default) if live is None else live()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of the moment."""
        live = self.keywheel_live.get(key)
        return super().setdefault(key, default) if live is None else live()

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self.keywheel_live:
            raise ConfigurationError(
                f"{key} is that of a ring and is not set; set it before keywheel.flask.init_app, "
                "or import it into the ring"
            )
        super().__setitem__(key, value)

    def update(self, *arguments: Any, **values: Any) -> None:
        """Sets values; raises :class:`keywheel.ConfigurationError` for one that a ring gives."""
        for key, value in dict(*arguments, **values).items():
            self[key] = value


def _follow_configuration(app: Flask, live: Mapping[str, Callable[[], Any]]) -> None:
    config = app.config
    for key in live:
        # Whoever copies the dictionary finds no key, rather than an old one.
        config[key] = None
    theirs = type(config)
    made = type("LiveConfig", (_LiveConfig, theirs), {}) if theirs is not Config else _LiveConfig
    # Others hold this very object already: the templates do.
    config.__dict__["keywheel_live"] = live
    config.__class__ = made

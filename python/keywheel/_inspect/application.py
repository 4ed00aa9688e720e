"""What a framework's application says of its keys and of how long they protect."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from keywheel._inspect.loading import unwrapped

_DISTRIBUTIONS = {
    "flask": "Flask",
    "django": "Django",
    "fastapi": "fastapi",
    "starlette": "starlette",
    "celery": "celery",
}


@dataclass
class Application:
    """The facts, and the object that they are of."""

    framework: str
    target: Any
    #: The setting that holds the key.
    setting: str = "SECRET_KEY"
    #: The key; nobody but :func:`write_key` looks into it.
    key: Any = None
    #: Whether keywheel gives it already.
    live: bool = False
    #: Older keys that are accepted too.
    fallbacks: Any = None
    #: What lives how long, in seconds, by the setting that says so.
    lifetimes: list[tuple[str, int]] = field(default_factory=list)

    @property
    def fallback_count(self) -> int:
        """How many older keys are accepted, as far as they may be counted without asking."""
        return len(self.fallbacks) if type(self.fallbacks) in (list, tuple) else 0


def look(app: Any) -> Application:
    """Reads the settings of an application. Asks no server and starts nothing."""
    framework, target = unwrapped(app)
    found = Application(framework, target)
    if framework == "flask":
        _flask(found)
    elif framework == "django":
        _django(found)
    elif framework in ("fastapi", "starlette"):
        _starlette(found)
    return found


def version_of(framework: str) -> str | None:
    """The version of a framework that is installed."""
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(framework, framework))
    except importlib.metadata.PackageNotFoundError:
        return None


def is_ours(value: Any) -> bool:
    """Whether something was made by this package. Evaluates nothing that is lazy."""
    return any(cls.__module__.partition(".")[0] == "keywheel" for cls in type(value).__mro__)


def processes() -> int | None:
    """How many processes serve the application, where its environment says so."""
    try:
        return int(os.environ["WEB_CONCURRENCY"])
    except (KeyError, ValueError):
        return None


def _seconds(value: Any) -> int | None:
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    return None


def _lifetimes(settings: Iterator[tuple[str, Any]]) -> list[tuple[str, int]]:
    read = ((name, _seconds(value)) for name, value in settings)
    return [(name, seconds) for name, seconds in read if seconds is not None and seconds > 0]


def _flask(found: Application) -> None:
    app = found.target
    found.live = "keywheel" in app.extensions
    if not found.live:
        # Of an application that follows a ring, this would ask for the key of the moment.
        found.key = app.secret_key
        found.fallbacks = app.config.get("SECRET_KEY_FALLBACKS")

    def settings() -> Iterator[tuple[str, Any]]:
        yield "PERMANENT_SESSION_LIFETIME", app.permanent_session_lifetime
        if hasattr(app, "login_manager"):
            yield (
                "REMEMBER_COOKIE_DURATION",
                app.config.get("REMEMBER_COOKIE_DURATION", timedelta(days=365)),
            )
        if "csrf" in app.extensions:
            yield "WTF_CSRF_TIME_LIMIT", app.config.get("WTF_CSRF_TIME_LIMIT", 3600)
        if "flask-jwt-extended" in app.extensions:
            yield "JWT_ACCESS_TOKEN_EXPIRES", app.config.get("JWT_ACCESS_TOKEN_EXPIRES")
            yield "JWT_REFRESH_TOKEN_EXPIRES", app.config.get("JWT_REFRESH_TOKEN_EXPIRES")

    found.lifetimes = _lifetimes(settings())


def _django(found: Application) -> None:
    from django.conf import settings as lazy  # type: ignore[import-untyped,unused-ignore]

    # Through `settings` itself Django would look whether the key is empty, and a lazy one be asked.
    lazy._setup() if not lazy.configured else None
    settings: Any = lazy._wrapped
    found.key = getattr(settings, "SECRET_KEY", None)
    found.live = is_ours(found.key)
    found.fallbacks = getattr(settings, "SECRET_KEY_FALLBACKS", None)

    def lifetimes() -> Iterator[tuple[str, Any]]:
        for name in ("SESSION_COOKIE_AGE", "PASSWORD_RESET_TIMEOUT"):
            yield name, getattr(settings, name, None)
        jwt = getattr(settings, "SIMPLE_JWT", None)
        if isinstance(jwt, dict):
            for name in ("ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME"):
                yield f"SIMPLE_JWT[{name}]", jwt.get(name)

    found.lifetimes = _lifetimes(lifetimes())


def session_middlewares(app: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each middleware of sessions that an application of Starlette is given, with its options."""
    sessions: Any = sys.modules.get("starlette.middleware.sessions")
    for entry in getattr(app, "user_middleware", ()):
        cls: Any = getattr(entry, "cls", None)
        options = dict(getattr(entry, "kwargs", None) or {})
        arguments = getattr(entry, "args", ())
        if arguments:
            options.setdefault("secret_key", arguments[0])
        if not isinstance(cls, type):
            continue
        theirs = sessions is not None and issubclass(cls, sessions.SessionMiddleware)
        ours = cls.__module__.partition(".")[0] == "keywheel"
        if theirs or (ours and "Session" in cls.__name__):
            yield cls, options


def _starlette(found: Application) -> None:
    found.setting = "secret_key"
    for cls, options in session_middlewares(found.target):
        found.key = options.get("secret_key")
        found.live = cls.__module__.partition(".")[0] == "keywheel"
        two_weeks = 14 * 24 * 3600
        found.lifetimes = _lifetimes(iter([("max_age", options.get("max_age", two_weeks))]))


def write_key(found: Application, path: str) -> int:
    """Writes the bytes of the key into a new file of mode 0600; gives how many.

    Raises ``TypeError`` where the key is neither text nor bytes, and ``OSError``.
    """
    key = found.key
    # Not `isinstance`: whatever computes its text is no key that can be taken over.
    if type(key) is str:
        content = key.encode()
    elif type(key) is bytes:
        content = key
    elif hasattr(type(key), "get_secret_value"):
        # The `SecretStr` of pydantic, as FastAPI's settings have it.
        content = str(key.get_secret_value()).encode()
    else:
        kind = type(key).__name__
        raise TypeError(f"{found.setting} is a {kind}, and only text and bytes can be taken over")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return len(content)

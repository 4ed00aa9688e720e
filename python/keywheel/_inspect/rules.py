"""The traps of a loaded application: what keeps an old key, or breaks when workers are forked."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from keywheel._inspect import jobs, sources, verifiers
from keywheel._inspect.application import Application, is_ours, session_middlewares, version_of
from keywheel._inspect.finding import ADVICE, DANGER, Finding
from keywheel._inspect.modules import long_lived, own_modules

# The thread of the native client; the kernel cuts names after 15 bytes.
_WATCHER = "keywheel-watch"

_SIGNERS = (
    ("itsdangerous.signer", "Signer", "use keywheel.itsdangerous.signer(ring, …) in its place"),
    (
        "itsdangerous.serializer",
        "Serializer",
        "use keywheel.itsdangerous.serializer(ring, …) in its place",
    ),
    ("django.core.signing", "Signer", "make the signer where it is used, each time anew"),
    ("cryptography.fernet", "Fernet", "use keywheel.fernet(ring) in its place"),
    ("cryptography.fernet", "MultiFernet", "use keywheel.fernet(ring) in its place"),
)


def look(found: Application) -> list[Finding]:
    """Everything that was noticed, the dangers first."""
    objects = gc.get_objects()
    modules = own_modules()
    findings = [
        *_threads(),
        *jobs.look(objects, found.target),
        *_signers(modules),
        *verifiers.look(objects, modules),
        *_framework(found),
        *sources.look(modules),
    ]
    return sorted(findings, key=lambda finding: finding.weight != DANGER)


def _threads() -> Iterator[Finding]:
    main = threading.main_thread()
    names = sorted(thread.name for thread in threading.enumerate() if thread is not main)
    if names:
        yield Finding(
            "threads-at-import",
            ADVICE,
            f"threads run after the import: {', '.join(names)}; where the application is preloaded "
            "no worker has them, and a lock that one holds during the fork is never released",
            "start them in each worker: post_fork of gunicorn, @postfork of uWSGI, "
            "worker_process_init of Celery",
        )
    if _WATCHER in _native_threads():
        yield Finding(
            "ring-used-at-import",
            ADVICE,
            "a ring is used while the application is imported, so a process that serves nobody "
            "takes part in each rotation where it is preloaded",
            "name rings at import, and use them in functions",
        )


def _native_threads() -> set[str]:
    names = set()
    for task in Path("/proc/self/task").glob("*/comm"):
        try:
            names.add(task.read_text().strip())
        except OSError:
            continue
    return names


def _class(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _signers(modules: list[tuple[str, ModuleType]]) -> Iterator[Finding]:
    kinds = [(_class(module, name), remedy) for module, name, remedy in _SIGNERS]
    for path, value in long_lived(modules):
        for cls, remedy in kinds:
            if cls is not None and issubclass(type(value), cls) and not _follows(value):
                yield Finding(
                    "long-lived-signer",
                    DANGER,
                    f"this {type(value).__name__} keeps the key that it was made with for as long "
                    "as the process lives: no rotation reaches it",
                    remedy,
                    object=path,
                )
                break


def _follows(signer: Any) -> bool:
    """Whether it takes its keys from a ring: it is ours, or what it keeps of Django is."""
    return is_ours(signer) or is_ours(getattr(signer, "__dict__", {}).get("key"))


def _framework(found: Application) -> Iterator[Finding]:
    if found.framework == "flask":
        yield from _flask(found, version_of("flask"))
    elif found.framework == "django":
        yield from _django(found)
    elif found.framework in ("fastapi", "starlette"):
        yield from _starlette(found)


def _flask(found: Application, version: str | None) -> Iterator[Finding]:
    if version == "3.1.0" and not found.live:
        yield Finding(
            "flask-3.1.0",
            DANGER,
            "Flask 3.1.0 signs with the last of SECRET_KEY_FALLBACKS in place of SECRET_KEY",
            "install Flask 3.1.1 or later",
        )
    app = found.target
    if found.key is not None and not found.live:
        yield _static_key(found, 'keywheel.flask.init_app(app, session="web")')
    if "csrf" in app.extensions and not _takes(app, "wtf") and not _has_csrf_key(app):
        yield _ignores_fallbacks("Flask-WTF", "forms that were open", "wtf")
    if hasattr(app, "login_manager") and not _takes(app, "login"):
        yield _ignores_fallbacks("Flask-Login", "users that are remembered", "login")


def _takes(app: Any, option: str) -> bool:
    """Whether `keywheel.flask.init_app` takes care of an extension: if it was not told to leave it.

    Of a configuration that is live only the names of its settings are read.
    """
    ours = app.extensions.get("keywheel")
    if ours is None:
        return False
    if option == "wtf":
        return "WTF_CSRF_SECRET_KEY" in getattr(app.config, "keywheel_live", ())
    return getattr(ours, "_choices", {}).get(option) is not False


def _has_csrf_key(app: Any) -> bool:
    """Whether the tokens of forms have a key of their own, that nothing turns."""
    return dict.get(app.config, "WTF_CSRF_SECRET_KEY") is not None


def _ignores_fallbacks(name: str, what: str, option: str) -> Finding:
    return Finding(
        f"{name.lower()}-one-key",
        DANGER,
        f"{name} knows one key and ignores SECRET_KEY_FALLBACKS: {what} fail with each rotation",
        f'keywheel.flask.init_app(app, session="web"), without {option}=False',
    )


def _django(found: Application) -> Iterator[Finding]:
    lines = 'SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key("web")'
    if not found.live:
        yield _static_key(found, lines)
    elif not is_ours(found.fallbacks):
        yield Finding(
            "django-fallbacks-not-live",
            DANGER,
            "SECRET_KEY turns and SECRET_KEY_FALLBACKS does not: what was signed before a "
            "rotation is refused after it",
            lines,
        )
    backend = _class("rest_framework_simplejwt.state", "token_backend")
    if backend is not None and not is_ours(backend):
        yield Finding(
            "simplejwt-keeps-key",
            DANGER,
            "SimpleJWT reads its key when it is imported and goes on signing with it",
            'INSTALLED_APPS += ["keywheel.django"], with a SECRET_KEY or SIGNING_KEY of a ring',
        )


def _starlette(found: Application) -> Iterator[Finding]:
    for cls, options in session_middlewares(found.target):
        if cls.__module__.partition(".")[0] == "keywheel":
            continue
        lines = 'app.add_middleware(keywheel.asgi.SessionMiddleware, ring=keywheel.ring("web"))'
        if isinstance(options.get("secret_key"), (list, tuple, set, frozenset)):
            yield Finding(
                "starlette-key-list",
                DANGER,
                "SessionMiddleware is given a list of keys and takes its text for the key: none of "
                "them signs, and whoever reads the list's text can forge sessions",
                lines,
            )
        else:
            yield _static_key(found, lines)


def _static_key(found: Application, remedy: str) -> Finding:
    return Finding(
        "static-key",
        ADVICE,
        f"{found.setting} is read once: to change it, every worker must restart, and meanwhile "
        "each refuses what the others signed",
        remedy,
    )

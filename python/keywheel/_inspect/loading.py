"""Loads an application by the name that its server is given, and nothing else of it."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

# How many wrappers are looked through: WhiteNoise, a proxy's, a profiler's.
_WRAPPERS_MAX = 8
_WRAPPED = ("app", "application", "wsgi_app", "wrapped")
_FRAMEWORKS = ("flask", "django", "fastapi", "starlette", "celery")


class NotLoadedError(Exception):
    """The application could not be loaded; says the cause and the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


def load(name: str) -> Any:
    """The application ``module:attribute``; ``module:factory()`` calls the factory.

    Without an attribute it is ``app`` or ``application``, as servers guess too.
    """
    module_name, _, attribute = name.partition(":")
    module = _imported(module_name)
    if not attribute:
        attribute = next((guess for guess in ("app", "application") if hasattr(module, guess)), "")
        if not attribute:
            raise NotLoadedError(
                f"{module_name} has neither `app` nor `application`", "name it: module:attribute"
            )
    factory = attribute.endswith("()")
    found: Any = module
    for part in attribute.removesuffix("()").split("."):
        if not hasattr(found, part):
            raise NotLoadedError(
                f"{module_name} has no `{part}`", "name it as your server does: module:attribute"
            )
        found = getattr(found, part)
    return _called(found, attribute) if factory else found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # an application may do anything, sys.exit() too
        raise _failed(f"importing {name}", error) from error


def _called(factory: Any, name: str) -> Any:
    try:
        return factory()
    except BaseException as error:  # the same
        raise _failed(f"calling {name}", error) from error


def _failed(what: str, error: BaseException) -> NotLoadedError:
    """The error as its last line says it, with the place in the application that raised it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        # Neither the machinery of imports, nor this file.
        if not frame.filename.startswith("<frozen ") and frame.filename != __file__
        if os.path.basename(os.path.dirname(frame.filename)) != "importlib"
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    said = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()
    return NotLoadedError(
        f"{what} failed: {said[-1] if said else type(error).__name__}{place}",
        "run it in the folder, with the interpreter (--python-bin) and the environment in which "
        "the application starts",
    )


def unwrapped(app: Any) -> tuple[str, Any]:
    """The framework and its application, below what is wrapped around it."""
    found = app
    for _ in range(_WRAPPERS_MAX):
        framework = _framework(found)
        if framework is not None:
            return framework, found
        inner = (vars(found).get(name) for name in _WRAPPED if hasattr(found, "__dict__"))
        below = next((candidate for candidate in inner if candidate is not None), None)
        if below is None:
            break
        found = below
    return ("django", app) if _django_is_set_up() else ("other", app)


def _framework(app: Any) -> str | None:
    for cls in type(app).__mro__:
        top = cls.__module__.partition(".")[0]
        if top in _FRAMEWORKS:
            return top
    return None


def _django_is_set_up() -> bool:
    conf = sys.modules.get("django.conf")
    return conf is not None and bool(conf.settings.configured)

"""Jobs that an application runs inside itself, and whether they turn keys.

N workers run such a job N times, each with a key of its own; preloaded, its thread is left behind
in the parent and no worker runs it at all.
"""

from __future__ import annotations

import dis
import functools
import re
import sys
import threading
from collections.abc import Iterator
from types import CodeType
from typing import Any

from keywheel._inspect.finding import DANGER, Finding

_TURNS = "rotat|regenerat|renew|refresh|replace|roll|turn|change|new"
_KEY = "keys?|secrets?|credentials?"
_BY_NAME = re.compile(
    rf"({_TURNS})\w*?({_KEY})(\b|_)|({_KEY})\w*?({_TURNS})", re.IGNORECASE | re.ASCII
)
_KEY_SETTING = re.compile(r"(secret|signing|session|jwt|fernet)\w*key", re.IGNORECASE | re.ASCII)
_WRAPPERS_MAX = 8


def look(objects: list[Any], app: Any) -> Iterator[Finding]:
    """Every job that turns keys, with who runs it."""
    for scheduler, name, function in _jobs(objects, app):
        if _turns_keys(name, function):
            yield Finding(
                "in-process-rotation",
                DANGER,
                f"{scheduler} runs `{name}` inside the application, and it turns keys: each worker "
                "makes a key of its own, or none does when the application is preloaded",
                "remove the job and let the server turn the ring: rotate_every in keywheel.toml",
                object=_place(function),
            )


def _jobs(objects: list[Any], app: Any) -> Iterator[tuple[str, str, Any]]:
    yield from _apscheduler(objects)
    yield from _schedule(objects)
    yield from _celery(objects, app)
    for thread in threading.enumerate():
        function = getattr(thread, "function", None) or getattr(thread, "_target", None)
        if function is not None:
            yield f"the thread {thread.name!r}", _name(function), function


def _instances(objects: list[Any], module: str, cls: str) -> list[Any]:
    """The instances of a class, if its module was imported."""
    wanted: Any = getattr(sys.modules.get(module), cls, None)
    if wanted is None:
        return []
    # Not isinstance: that asks proxies what they stand for, and outside of a request they raise.
    return [found for found in objects if issubclass(type(found), wanted)]


def _apscheduler(objects: list[Any]) -> Iterator[tuple[str, str, Any]]:
    for scheduler in _instances(objects, "apscheduler.schedulers.base", "BaseScheduler"):
        try:
            jobs = list(scheduler.get_jobs())
        except Exception:  # its store may be a database that is not here  # noqa: S112
            continue
        for job in jobs:
            yield "APScheduler", str(job.name), job.func


def _schedule(objects: list[Any]) -> Iterator[tuple[str, str, Any]]:
    for scheduler in _instances(objects, "schedule", "Scheduler"):
        for job in list(scheduler.jobs):
            yield "schedule", _name(job.job_func), job.job_func


def _celery(objects: list[Any], app: Any) -> Iterator[tuple[str, str, Any]]:
    if "celery" not in sys.modules:
        return
    apps = {id(found): found for found in _instances(objects, "celery.app.base", "Celery")}
    for found in apps.values():
        for entry in list(dict(found.conf.beat_schedule or {}).values()):
            name = str(entry.get("task", ""))
            task = found.tasks.get(name)
            yield "Celery beat", name, getattr(task, "run", None)


def _unwrapped(function: Any) -> Any:
    for _ in range(_WRAPPERS_MAX):
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        else:
            break
    return function


def _name(function: Any) -> str:
    function = _unwrapped(function)
    return str(getattr(function, "__qualname__", type(function).__name__))


def _place(function: Any) -> str | None:
    function = _unwrapped(function)
    module = getattr(function, "__module__", None)
    return f"{module}.{_name(function)}" if module and function is not None else None


def _turns_keys(name: str, function: Any) -> bool:
    if _BY_NAME.search(name) or (function is not None and _BY_NAME.search(_name(function))):
        return True
    code = getattr(_unwrapped(function), "__code__", None)
    return isinstance(code, CodeType) and _writes_a_key(code)


def _writes_a_key(code: CodeType) -> bool:
    """Whether it assigns to something that is named as keys are."""
    subscript: Any = None
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name in ("STORE_ATTR", "STORE_GLOBAL") and _KEY_SETTING.search(str(instruction.argval)):
            return True
        if name == "STORE_SUBSCR" and isinstance(subscript, str) and _KEY_SETTING.search(subscript):
            return True
        subscript = instruction.argval if name == "LOAD_CONST" else None
    return False

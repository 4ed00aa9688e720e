"""The modules that are the application's own: not the interpreter's, and no library's."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_LIBRARIES = ("site-packages", "dist-packages")
# How much of a container in a module's namespace is looked at.
_MEMBERS_MAX = 1000


def own_modules() -> list[tuple[str, ModuleType]]:
    """The application's modules by name, each once."""
    paths = sysconfig.get_paths()
    standard = tuple({paths[key] + "/" for key in ("stdlib", "platstdlib")})
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in ("keywheel", "__main__") or not isinstance(file, str):
            continue
        if file.startswith(standard) or any(part in _LIBRARIES for part in Path(file).parts):
            continue
        found.append((name, module))
    return found


def long_lived(modules: list[tuple[str, ModuleType]]) -> Iterator[tuple[str, Any]]:
    """Every object in a module's namespace, in a class of it, or in a container there, named."""
    seen: set[int] = set()
    for module_name, module in modules:
        for name, value in list(vars(module).items()):
            if name.startswith("__"):
                continue
            for path, found in _with_members(module_name, f"{module_name}.{name}", value):
                if id(found) not in seen:
                    seen.add(id(found))
                    yield path, found


def _with_members(module_name: str, path: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield path, value
    members: list[tuple[str, Any]] = []
    if type(value) is dict:
        members = [(f"[{key!r}]", member) for key, member in list(value.items())[:_MEMBERS_MAX]]
    elif type(value) in (list, tuple):
        members = [(f"[{index}]", member) for index, member in enumerate(value[:_MEMBERS_MAX])]
    elif isinstance(value, type) and value.__module__ == module_name:
        members = [(f".{name}", member) for name, member in list(vars(value).items())]
    for suffix, member in members:
        yield path + suffix, member

"""What the source of an application shows, where no object does: lists given to PyJWT as keys."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import ModuleType

from keywheel._inspect.finding import DANGER, Finding

_CALLS = ("encode", "decode", "decode_complete")


def look(modules: list[tuple[str, ModuleType]]) -> Iterator[Finding]:
    """Each call of PyJWT whose key is a list, which it refuses with a TypeError."""
    for _, module in modules:
        file = module.__file__ or ""
        try:
            with open(file, "rb") as source:
                tree = ast.parse(source.read())
        except (OSError, SyntaxError, ValueError):
            continue
        for line in _calls(tree, module):
            yield Finding(
                "pyjwt-key-list",
                DANGER,
                "PyJWT is given a list of keys, and takes one: the call raises TypeError",
                "use keywheel.jwt.encode and decode, which find the key by the kid of the token",
                file=file,
                line=line,
            )


def _calls(tree: ast.Module, module: ModuleType) -> Iterator[int]:
    modules, functions = _names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        is_jwt = (
            isinstance(called, ast.Attribute)
            and called.attr in _CALLS
            and isinstance(called.value, ast.Name)
            and called.value.id in modules
        ) or (isinstance(called, ast.Name) and called.id in functions)
        key = next((word.value for word in node.keywords if word.arg == "key"), None)
        if key is None and len(node.args) > 1:
            key = node.args[1]
        if is_jwt and key is not None and _is_list(key, module):
            yield node.lineno


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """What the file calls the module `jwt`, and its functions."""
    modules: set[str] = set()
    functions: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.asname or name.name for name in node.names if name.name == "jwt"}
        elif isinstance(node, ast.ImportFrom) and node.module == "jwt" and node.level == 0:
            functions |= {name.asname or name.name for name in node.names if name.name in _CALLS}
    return modules, functions


def _is_list(key: ast.expr, module: ModuleType) -> bool:
    if isinstance(key, (ast.List, ast.Tuple, ast.ListComp)):
        return True
    if isinstance(key, ast.Name):
        return type(vars(module).get(key.id)) in (list, tuple)
    if isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name):
        holder = vars(module).get(key.value.id)
        return isinstance(holder, ModuleType) and type(vars(holder).get(key.attr)) in (list, tuple)
    return False

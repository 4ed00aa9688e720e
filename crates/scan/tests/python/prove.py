"""Runs cases, changes the key under them, and compares what happens with what is claimed.

Each line of the file that is named is a case: its text, how it gets its key (`env NAME`,
`file NAME`, `settings MODULE.NAME`, `entry MODULE.NAME KEY`, `flask`, `django`), and the claim. A case offers `use()`, which
gives something that depends on the key alone. Where a library is not installed, its cases are left
out and that is said.
"""

import json
import os
import pathlib
import sys
import types

FIRST, SECOND = (
    "first-key-of-the-case-with-some-length-first-key-of-the-case",
    "other-key-of-the-case-with-some-length-other-key-of-the-case",
)
FERNET = (
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY=",
)


def source(how):
    """What puts a key into the source of a case."""
    kind, _, rest = how.partition(" ")
    name, _, form = rest.partition(" ")
    keys = FERNET if form == "fernet" else (FIRST, SECOND)
    if form == "short":
        keys = (FIRST[:32], SECOND[:32])
    if kind == "env":
        return keys, lambda key: os.environ.__setitem__(name, key)
    if kind == "file":
        return keys, lambda key: pathlib.Path(name).write_text(key)
    if kind == "settings":
        module, _, attribute = name.rpartition(".")
        made = sys.modules.setdefault(module, types.ModuleType(module))
        return keys, lambda key: setattr(made, attribute, key)
    if kind == "entry":
        module, _, attribute = name.rpartition(".")
        made = sys.modules.setdefault(module, types.ModuleType(module))
        entries = made.__dict__.setdefault(attribute, {})
        return keys, lambda key: entries.__setitem__(form or "secret_key", key)
    if kind == "flask":
        import flask

        web = sys.modules.setdefault("web", types.ModuleType("web"))
        web.app = flask.Flask("web")
        return keys, lambda key: web.app.config.__setitem__("SECRET_KEY", key)
    if kind == "django":
        import django
        from django.conf import settings

        if not settings.configured:
            settings.configure(SECRET_KEY=FIRST)
            django.setup()
        return keys, lambda key: setattr(settings, "SECRET_KEY", key)
    if kind == "literal":
        return keys, lambda key: None
    raise SystemExit(f"unknown source: {how}")


def prove(case):
    keys, put = source(case["how"])
    put(keys[0])
    space = {"__name__": "case"}
    exec(compile(case["text"], case["name"], "exec"), space)
    before = space["use"]()
    again = space["use"]()
    if before != again:
        return f"use() of {case['name']} is not steady"
    put(keys[1])
    changed = space["use"]() != before
    claim = case["claim"]
    if (claim == "yes" and not changed) or (claim == "no" and changed):
        return f"{case['name']}: claimed {claim}, but the new key {'arrived' if changed else 'did not arrive'}"
    return None


def main():
    wrong = []
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        case = json.loads(line)
        try:
            mistake = prove(case)
        except ModuleNotFoundError as missing:
            print(f"left out, no {missing.name}: {case['name']}")
            continue
        if mistake:
            wrong.append(mistake)
        else:
            print(f"proved {case['claim']}: {case['name']}")
    for mistake in wrong:
        print(mistake, file=sys.stderr)
    sys.exit(bool(wrong))


main()

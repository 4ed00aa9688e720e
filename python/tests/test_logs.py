"""No key stands in anything that an application or the server writes, at their most talkative."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, RefusedError, eventually, secret_ring
from support.search import Search

from keywheel._keywheel import Registry

RINGS = ("taken", "pair", "theirs", "pii")

# Everything that it meets it logs, with tracebacks, and prints what it holds.
APPLICATION = """
import logging, os, pickle, sys, threading, traceback, warnings

logging.basicConfig(filename=sys.argv[1], level=logging.DEBUG)
logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
logging.captureWarnings(True)
warnings.simplefilter("always")
threading.excepthook = lambda hooked: traceback.print_exception(*hooked[:3])
log = logging.getLogger("application")

import flask
import itsdangerous
import keywheel
import keywheel.flask
import keywheel.pyjwt
from keywheel import environ

taken, pair, theirs, pii = map(keywheel.ring, ("taken", "pair", "theirs", "pii"))
app = flask.Flask(__name__)
app.logger.setLevel(logging.DEBUG)
keywheel.flask.init_app(app, session="taken")
environ.bind({"APP_KEY": "ring:taken"}, file=sys.argv[2] + "/app.env")

@app.route("/")
def visit():
    flask.session["seen"] = flask.session.get("seen", 0) + 1
    log.debug("%r %r %r", flask.session, app.session_interface, vars(app.session_interface))
    if flask.request.args:
        raise RuntimeError("on purpose")
    return str(flask.session["seen"])

def attempt(work):
    try:
        log.debug("%r", work())
    except Exception:
        log.exception("refused")
        for _, line in traceback.walk_tb(sys.exc_info()[2]):
            pass

def work():
    for ring in (taken, pair, theirs, pii):
        snapshot = ring.snapshot()
        log.debug("%r %r %r %s", ring, snapshot, vars(type(snapshot)), ring.health())
        for version in snapshot.accepted:
            log.debug("%r %r %s %r", version, version.secret, version.secret, [version.secret])
            attempt(lambda: pickle.dumps(version.secret))
            attempt(lambda: pickle.dumps(version))
            attempt(lambda: pickle.dumps(snapshot))
        with ring.guard() as guard:
            log.debug("%r %r", guard, guard.secret)
    token = keywheel.jwt.encode({"sub": "alice"}, pair)
    attempt(lambda: keywheel.jwt.decode(token, pair)["sub"])
    attempt(lambda: keywheel.jwt.decode(token[:-4] + "AAAA", pair))
    attempt(lambda: keywheel.jwt.decode(token, theirs))
    attempt(lambda: keywheel.jwt.encode({"exp": 1}, pair))
    attempt(lambda: keywheel.hmac(pair).sign(b"x"))
    attempt(lambda: keywheel.hmac(theirs).verify(b"x", keywheel.hmac(theirs).sign(b"x")))
    attempt(lambda: keywheel.fernet("taken").encrypt(b"x"))
    attempt(lambda: keywheel.fernet("pii").decrypt(keywheel.fernet("pii").encrypt(b"x")))
    attempt(lambda: keywheel.fernet("pii").decrypt(b"gAAAAA"))
    attempt(lambda: keywheel.serializer("taken").loads("a.b"))
    attempt(lambda: keywheel.pyjwt.decode("a.b.c", theirs))
    attempt(lambda: pii.secret().reveal() + 1)
    with app.test_client() as client:
        client.get("/")
        client.get("/?fail")

def changed(snapshot):
    log.debug("changed: %r", snapshot)
    raise RuntimeError("a callback fails")

subscriptions = [ring.on_change(changed) for ring in (taken, pair, theirs, pii)]
print("ready", flush=True)
for line in sys.stdin:
    work()
    print(sorted(taken.health()), [ring.snapshot().version for ring in (taken, pair, theirs, pii)])
    print("worked", flush=True)
"""


def pem_of(seed: bytes) -> str:
    """An Ed25519 key in PKCS#8 (RFC 8410): a fixed prefix and the seed."""
    body = base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + seed).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def text_import(text: str) -> dict[str, str]:
    return {"format": "text", "value": encoded(text)}


def policy(kind: str, **more: object) -> dict[str, object]:
    return {
        "kind": kind,
        "longest_lifetime": "3s",
        "skew": "0s",
        "lease_ttl": "2s",
        # A busy machine must not look like an outage.
        "offline_max": "10m",
        "consumer": [{"name": "web", "role": "protect"}],
        **more,
    }


class Watched:
    """A talkative server with keys that the test knows, and what is looked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.search = Search()
        self.installation = Installation(secret_ring("unused"))
        self.installation.start("-vv")
        seed, text = secrets.token_bytes(32), secrets.token_urlsafe(36)
        self.search.add("the seed that was imported", seed)
        imports: dict[str, tuple[dict[str, object], Any]] = {
            "taken": (policy("secret"), text_import(text)),
            "pair": (
                policy("signing", algorithm="EdDSA"),
                {"format": "pem", "value": encoded(pem_of(seed))},
            ),
            "theirs": (policy("external"), text_import(self.another("theirs"))),
            "pii": (policy("encryption", algorithm="Fernet"), None),
        }
        for name, (declared, imported) in imports.items():
            body = {"policy": declared, **({"import": imported} if imported else {})}
            self.installation.call("PUT", f"/v1/rings/{name}", body)
        token = self.installation.token("web", *RINGS)
        self.search.add("the token", token.read_bytes().strip().rpartition(b"_")[2])
        registry = Registry()
        registry.configure(url=self.installation.url, token_file=token)
        self.registry = registry
        self.rings = {name: registry.ring(name) for name in RINGS}
        registry.start()
        self.learn()

    def another(self, name: str) -> str:
        """A key that somebody else makes."""
        text = secrets.token_urlsafe(36)
        self.search.add(f"a key of {name}", text.encode())
        return text

    def learn(self) -> None:
        """Learns every key that is accepted now, as a consumer does."""
        for name, ring in self.rings.items():
            for version in ring.snapshot().accepted:
                assert version.secret is not None
                key = version.secret.reveal_bytes()
                what = f"version {version.number} of {name}"
                if name == "pair":
                    # The seed stands behind a prefix that every such key has.
                    key = key[16:48]
                else:
                    self.search.add(what, base64.urlsafe_b64decode(key + b"=" * (-len(key) % 4)))
                self.search.add(what, key)

    def await_primary(self, name: str, number: int) -> None:
        eventually("it protects", lambda: self.rings[name].snapshot().version == number)

    def accepted(self, name: str) -> list[int]:
        return [version.number for version in self.rings[name].snapshot().accepted]

    def rotate_all(self) -> None:
        for name in RINGS:
            self.rotate(name)
        for name in RINGS:
            self.await_primary(name, 2)
        self.learn()

    def roll_all_back(self) -> None:
        for name in RINGS:
            self.installation.verb(name, "rollback")
            self.await_primary(name, 1)
        self.learn()

    def retire(self, name: str) -> None:
        """Lets the first version end."""

        def is_rotating() -> bool:
            try:
                self.rotate(name)
            except RefusedError:
                # It is still being taken back.
                return False
            return True

        eventually("it rotates again", is_rotating)
        eventually("the first one is retired", lambda: 1 not in self.accepted(name))
        self.learn()

    def rotate(self, name: str) -> None:
        more: dict[str, Any] = {}
        if name == "theirs":
            more["import"] = text_import(self.another(name))
        self.installation.verb(name, "rotate", **more)

    def close(self) -> None:
        self.registry.shutdown()
        self.installation.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.close()


def test_nothing_that_is_written_holds_a_key(watched: Watched) -> None:
    folder = watched.folder
    (folder / "run").mkdir(mode=0o700)
    with (folder / "stderr").open("wb") as stderr:
        application = subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", APPLICATION, folder / "log", folder / "run"],
            env={
                **os.environ,
                **watched.installation.environment("web"),
                "PYTHONFAULTHANDLER": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    assert application.stdin is not None
    assert application.stdout is not None
    said = bytearray()

    def until(word: bytes) -> None:
        for line in application.stdout or ():
            said.extend(line)
            if line.strip() == word:
                return
        raise AssertionError((folder / "stderr").read_text())

    def work() -> None:
        application.stdin.write(b"\n")  # type: ignore[union-attr]
        application.stdin.flush()  # type: ignore[union-attr]
        until(b"worked")

    until(b"ready")
    work()
    for step in (watched.rotate_all, watched.roll_all_back, lambda: watched.retire("taken")):
        step()
        work()
    application.stdin.close()
    said.extend(application.stdout.read())
    assert application.wait() == 0, (folder / "stderr").read_text()

    written = {
        "stdout": bytes(said),
        "stderr": (folder / "stderr").read_bytes(),
        "the log": (folder / "log").read_bytes(),
        "the server's log": (watched.installation.folder / "server.log").read_bytes(),
    }
    assert b"TRACE" in written["the server's log"] or b"DEBUG" in written["the server's log"]
    for word in (b"changed: ", b"refused", b"on purpose", b"redacted", b"a callback fails"):
        assert word in written["stderr"], word
    leaks = {place: watched.search.find(text) for place, text in written.items()}
    assert leaks == {place: set() for place in written}

    # The same search finds what is leaked on purpose.
    environment = (folder / "run/app.env").read_bytes()
    assert any("of taken in raw" in found for found in watched.search.find(environment))
    secret = watched.rings["pii"].snapshot().accepted[0].secret
    assert secret is not None
    key = base64.urlsafe_b64decode(secret.reveal_bytes())
    for form, text in (
        ("raw", b"x" + key),
        ("hex", key.hex().upper().encode()),
        ("base64", base64.b64encode(b"xy" + key + b"z")),
        ("base64", base64.urlsafe_b64encode(b"x" + key)),
    ):
        assert any(found.endswith(f"of pii in {form}") for found in watched.search.find(text))

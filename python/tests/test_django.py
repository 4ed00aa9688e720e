"""Django over a ring, and what it does without one."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
import pytest
from contract import check, check_outage, check_turning
from django.conf import settings
from django.core import signing
from django.core.management import CommandError, call_command
from django.test import override_settings
from support.django_site import (
    KINDS,
    NOT_OURS,
    AccessToken,
    CookieSession,
    Held,
    LongLived,
    ResetLink,
)
from support.installation import Installation, outlasting, secret_ring, signing_ring

import keywheel
import keywheel.django
from keywheel._keywheel import Registry
from keywheel.django import checks
from keywheel.testing import TestRing

Install = Callable[[str], Installation]
NEW = "a new key, that is long enough for a digest of any kind, surely"
OLD = "an old key, that is long enough for a digest of any kind, surely"


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract(kind: type[Held]) -> None:
    check(kind)


def test_the_contract_of_tokens_with_a_ring_that_signs() -> None:
    check(AccessToken, algorithm="HS256")


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage(kind: type[Held], install: Install) -> None:
    installation = install(outlasting(secret_ring("web", lifetime="60d")))
    installation.token("web", "web")
    check_outage(kind, installation, "web")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not AccessToken])
def test_a_key_that_is_swapped_in_one_step_takes_everything_away(kind: type[Held]) -> None:
    """The failure that goes: sessions, links and cookies of everybody are void at once."""
    before = kind.plain(OLD).issue()
    assert not kind.plain(NEW).accepts(before)
    made_by_the_fast = kind.plain(NEW, OLD).issue()
    assert not kind.plain(OLD).accepts(made_by_the_fast), "fallbacks help where they have arrived"

    turned = TestRing("web")
    fast, late = kind(turned.ring), kind(turned.ring)
    turned.publish()
    assert late.accepts(fast.issue())
    turned.promote()
    assert late.accepts(fast.issue())


def test_a_signer_that_was_made_once_keeps_a_plain_key() -> None:
    """The failure that goes: it signs with the old key for as long as the process lives."""
    kept = LongLived.plain(OLD)
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[]):
        assert isinstance(kept, LongLived)
        made = kept.signer.sign("alice")
        with pytest.raises(signing.BadSignature):
            signing.TimestampSigner().unsign(made)


PLAIN_SIMPLEJWT = f"""
import django
from django.conf import settings
settings.configure(SECRET_KEY={OLD!r}, INSTALLED_APPS=["django.contrib.contenttypes",
    "django.contrib.auth"], SIMPLE_JWT={{}})
django.setup()
import jwt
from rest_framework_simplejwt.tokens import AccessToken
settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = {NEW!r}, [{OLD!r}]
jwt.decode(str(AccessToken()), {OLD!r}, algorithms=["HS256"])
print("signed with the old key")
"""


def test_plain_simplejwt_goes_on_with_the_key_of_its_import() -> None:
    """The failure that goes: the key is swapped, and SimpleJWT signs with the old one."""
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN_SIMPLEJWT], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "signed with the old key\n"


def test_what_django_signed_with_the_same_key_is_accepted_and_the_reverse(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}", "{OLD}"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    for kind in KINDS:
        live = kind(registry.ring("web"))
        if kind is not AccessToken:
            assert live.accepts(kind.plain(NEW).issue())
            assert live.accepts(kind.plain(OLD).issue())
            assert kind.plain(NEW).accepts(live.issue())


def test_tokens_from_before_the_ring_name_no_key_and_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}", "{OLD}"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    live = AccessToken(registry.ring("web"))
    made = live.issue()
    assert jwt.get_unverified_header(made)["kid"] == "web.2"
    claims = jwt.decode(made, NEW, algorithms=["HS256"])
    assert live.accepts(jwt.encode(claims, OLD, algorithm="HS256"))
    assert not live.accepts(jwt.encode(claims, NOT_OURS, algorithm="HS256"))
    assert not live.accepts(jwt.encode(claims, OLD, algorithm="HS256", headers={"kid": "web.2"}))
    assert not live.accepts(jwt.encode({**claims, "exp": 1}, NEW, algorithm="HS256"))
    assert not live.accepts("nonsense")


def test_the_two_halves_of_the_settings_are_never_torn() -> None:
    """Django reads the key and the fallbacks one after the other, while the ring turns."""
    turned = TestRing("web")
    key, fallbacks = keywheel.django.secret_key(turned.ring)
    signer = signing.Signer(key=key, fallback_keys=fallbacks)
    made: list[str] = []
    refused: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for value in made[-2:]:
                try:
                    signer.unsign(value)
                except signing.BadSignature:
                    refused.append(value)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(60):
        turned.rotate()
        made.append(signer.sign(str(number)))
    done.set()
    reader.join()
    assert refused == []
    assert len(made) == 60


def test_a_login_in_the_database_comes_along_to_the_new_key() -> None:
    from django.test import Client
    from support.django_site import Login, user

    turned = TestRing("web")
    project = Login(turned.ring)
    with project.project():
        browser = Client()
        browser.force_login(user())
        turned.rotate()
        assert browser.get("/me").content == b"alice"
        turned.retire()
        assert browser.get("/me").content == b"alice", "it was seen in time"


def test_a_token_that_is_revoked_is_refused(install: Install) -> None:
    from support.django_site import user

    installation = install(outlasting(signing_ring("api", lifetime="60d")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "api"))
    ring = registry.ring("api")
    live = AccessToken(ring)
    one, two = live.issue(), live.issue()
    assert live.accepts(one)
    ring.revoke(jti=jwt.decode(one, options={"verify_signature": False})["jti"])
    assert [live.accepts(token) for token in (one, two)] == [False, True]
    ring.revoke(subject=str(user().pk))
    assert not live.accepts(two)
    registry.shutdown()


def test_the_settings_are_what_django_asks_of_them() -> None:
    turned = TestRing("web")
    key, fallbacks = keywheel.django.secret_key(turned.ring)
    assert isinstance(fallbacks, list)
    assert str(key)
    first = str(key)
    turned.rotate()
    assert str(key) != first
    assert list(fallbacks) == [str(key), first]
    assert [key, *fallbacks][1:] == [str(key), first]
    assert len(fallbacks) == 2
    assert fallbacks[-1] == first
    assert first in fallbacks
    assert list(reversed(fallbacks)) == [first, str(key)]
    assert ["x", *fallbacks] == ["x"] + fallbacks  # noqa: RUF005
    assert fallbacks + ["x"] == [*fallbacks, "x"]  # noqa: RUF005
    assert fallbacks.copy() == [str(key), first]
    turned.retire()
    assert list(fallbacks) == [str(key)]
    for change in (fallbacks.append, fallbacks.remove):
        with pytest.raises(TypeError, match="add a key to the ring"):
            change("mine")
    with pytest.raises(TypeError, match="add a key to the ring"):
        fallbacks[0] = "mine"


def test_the_settings_show_no_key() -> None:
    key, fallbacks = keywheel.django.secret_key(TestRing("web").ring)
    for shown in (repr(key), repr(fallbacks), repr([key, fallbacks]), str(fallbacks)):
        assert str(key) not in shown
        assert "ring web" in shown
    assert str(key).encode() not in pickle.dumps((key, fallbacks))
    named, _ = pickle.loads(pickle.dumps((key, fallbacks)))
    assert named.ring.name == "web"
    assert copy.deepcopy(key) is key


def messages(**changed: Any) -> list[str]:
    with override_settings(**changed):
        return [message.id or "" for message in checks.check_settings(None)]


def test_the_checks_name_what_a_rotation_would_break() -> None:
    key, fallbacks = keywheel.django.secret_key(TestRing("web").ring)
    _, others = keywheel.django.secret_key(TestRing("other").ring)
    AccessToken(TestRing("web").ring)
    from rest_framework_simplejwt import state

    state.token_backend.signing_key = key
    assert messages(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks) == []
    assert messages(SECRET_KEY=key, SECRET_KEY_FALLBACKS=[]) == ["keywheel.E001"]
    assert messages(SECRET_KEY=key, SECRET_KEY_FALLBACKS=[*fallbacks]) == ["keywheel.E001"]
    assert messages(SECRET_KEY=key, SECRET_KEY_FALLBACKS=others) == ["keywheel.E002"]
    assert messages(SECRET_KEY=NEW) == ["keywheel.W001"]
    state.token_backend.signing_key = NEW
    assert messages(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks) == ["keywheel.W002"]
    state.token_backend.signing_key = key
    nowhere, them = keywheel.django.secret_key(Registry().ring("web"))
    unset = messages(SECRET_KEY=nowhere, SECRET_KEY_FALLBACKS=them)
    assert unset == ["keywheel.E003"]


def test_the_checks_of_a_deployment_look_at_the_keys() -> None:
    def deployed(ring: keywheel.Ring, **changed: Any) -> list[str]:
        key, fallbacks = keywheel.django.secret_key(ring)
        with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks, **changed):
            return [message.id or "" for message in checks.check_keys(None)]

    day = TestRing("web", longest_lifetime=86_400).ring
    assert deployed(day, SESSION_COOKIE_AGE=3600, PASSWORD_RESET_TIMEOUT=3600) == []
    assert deployed(day, PASSWORD_RESET_TIMEOUT=3600) == ["keywheel.W003"]
    assert deployed(day) == ["keywheel.W003", "keywheel.W003"]
    assert deployed(TestRing("api", algorithm="EdDSA").ring) == ["keywheel.E004"]
    unset = Registry()
    unset.configure(url="unix:/nowhere/s", token_file="/nowhere", first_use_timeout=0.1)
    assert deployed(unset.ring("web")) == ["keywheel.E004"]


SETTINGS = """
import keywheel.django
SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key("web")
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "keywheel.django"]
SIMPLE_JWT = {}
USE_TZ = True
"""

PATHS = os.pathsep.join([".", str(Path(keywheel.__file__).parent.parent)])


def python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a project of its own."""
    (folder / "shop_settings.py").write_text(SETTINGS)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYWHEEL_")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **clean,
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": PATHS,
            **environment,
        },
    )


def test_a_project_of_two_lines_is_checked_and_shows_its_rings(
    install: Install, tmp_path: Path
) -> None:
    unset = python(tmp_path, "-m", "django", "check")
    assert unset.returncode == 1
    assert "keywheel.E003" in unset.stderr
    assert "KEYWHEEL_URL" in unset.stderr
    away = {"KEYWHEEL_URL": "unix:/nowhere/s", "KEYWHEEL_TOKEN_FILE": "/nowhere"}
    assert python(tmp_path, "-m", "django", "check", **away).returncode == 0, "it asks no server"

    installation = install(secret_ring("web", lifetime="60d"))
    installation.token("web", "web")
    there = installation.environment("web")
    deployed = python(tmp_path, "-m", "django", "check", "--deploy", **there)
    assert deployed.returncode == 0, deployed.stderr
    assert "keywheel." not in deployed.stderr
    assert "security.W009" not in deployed.stderr
    status = python(tmp_path, "-m", "django", "keywheel_status", **there)
    assert status.returncode == 0, status.stderr
    assert status.stdout.startswith("web: version 1 protects, 1 accepted")


def test_reading_the_settings_asks_and_starts_nothing(tmp_path: Path) -> None:
    """A master of forked workers loads the project; nothing of it may be there before the fork."""
    script = (
        "import os, django\n"
        "django.setup()\n"
        "from django.conf import settings\n"
        "from rest_framework_simplejwt.state import token_backend\n"
        "assert settings.SECRET_KEY is token_backend.signing_key\n"
        "print(type(token_backend).__name__, len(os.listdir('/proc/self/task')))\n"
    )
    away = {"KEYWHEEL_URL": "unix:/nowhere/s", "KEYWHEEL_TOKEN_FILE": "/nowhere"}
    ran = python(tmp_path, "-c", script, **away)
    assert (ran.stdout, ran.stderr) == ("RingTokenBackend 1\n", "")


def test_the_command_says_what_is_missing() -> None:
    with pytest.raises(CommandError, match=r"keywheel\.django\.secret_key"):
        call_command("keywheel_status")
    unset = Registry()
    unset.configure(url="unix:/nowhere/s", token_file="/nowhere", first_use_timeout=0.1)
    key, fallbacks = keywheel.django.secret_key(unset.ring("web"))
    with (
        override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks),
        pytest.raises(CommandError, match="ring web"),
    ):
        call_command("keywheel_status")
    key, fallbacks = keywheel.django.secret_key(TestRing("web").ring)
    shown = StringIO()
    with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks):
        call_command("keywheel_status", "--json", stdout=shown)
        assert str(settings.SECRET_KEY) == str(key)
    assert '"accepted": [1]' in shown.getvalue()


def test_everything_lives_through_rotation_rollback_rotation_and_retirement(
    install: Install,
) -> None:
    installation = install(outlasting(secret_ring("web")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    ring = registry.ring("web")
    check_turning([kind(ring) for kind in KINDS], installation, ring)
    registry.shutdown()


def test_a_process_may_begin_before_the_project_has_a_key(install: Install) -> None:
    project = CookieSession(Registry().ring("web"))
    with pytest.raises(keywheel.ConfigurationError, match="KEYWHEEL_URL"):
        project.issue()
    link = ResetLink(TestRing("web").ring)
    assert link.accepts(link.issue())

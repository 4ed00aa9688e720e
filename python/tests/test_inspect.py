"""``python -m keywheel.inspect``: what it says of small applications, and that it shows no key."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from keywheel._inspect import rules
from keywheel._inspect.application import Application

KEY = "a-key-that-nobody-may-see"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KEYWHEEL_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-m", "keywheel.inspect", *arguments],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def report(folder: Path, source: str, *arguments: str, name: str = "shop:app") -> dict[str, Any]:
    (folder / "shop.py").write_text(source)
    done = run(folder, name, "--json", *arguments)
    assert KEY not in done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    expected = any(finding["weight"] == "danger" for finding in found.get("findings", ()))
    assert done.returncode == int(expected or "error" in found), done.stderr
    return found


def found_rules(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["rule"]: finding for finding in found["findings"]}


FLASK = f"""
from datetime import timedelta
from flask import Flask
app = Flask(__name__)
app.config.update(SECRET_KEY={KEY!r}, SECRET_KEY_FALLBACKS=["older"],
                  PERMANENT_SESSION_LIFETIME=timedelta(days=7))
"""


def test_a_flask_application_says_its_key_state_and_lifetimes(tmp_path: Path) -> None:
    found = report(tmp_path, FLASK)
    assert found["application"]["framework"] == "flask"
    assert found["key"] == {
        "setting": "SECRET_KEY",
        "state": "static",
        "fallbacks": 1,
        "written_bytes": None,
    }
    assert found["lifetimes"] == [{"setting": "PERMANENT_SESSION_LIFETIME", "seconds": 604800}]
    assert list(found_rules(found)) == ["static-key"]


def test_remembered_users_and_open_forms_are_lifetimes_and_know_one_key(tmp_path: Path) -> None:
    more = """
from flask_login import LoginManager
from flask_wtf import CSRFProtect
LoginManager(app); CSRFProtect(app)
"""
    found = report(tmp_path, FLASK + more)
    lifetimes = {entry["setting"]: entry["seconds"] for entry in found["lifetimes"]}
    assert lifetimes["REMEMBER_COOKIE_DURATION"] == 365 * 86_400
    assert lifetimes["WTF_CSRF_TIME_LIMIT"] == 3600
    assert {"flask-wtf-one-key", "flask-login-one-key"} <= set(found_rules(found))


@pytest.mark.parametrize("name", ["shop:application.app", "shop:make()", "shop"])
def test_applications_are_named_as_servers_name_them(tmp_path: Path, name: str) -> None:
    wrapped = "class application:\n    app = app\ndef make():\n    return app\n"
    found = report(tmp_path, FLASK + wrapped, name=name)
    assert found["application"] == {
        **found["application"],
        "name": name,
        "framework": "flask",
    }


def test_the_key_is_written_for_its_owner_alone_and_never_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "web.key"
    found = report(tmp_path, FLASK, "--key-file", str(file))
    assert found["key"]["written_bytes"] == len(KEY)
    assert file.read_text() == KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = report(tmp_path, FLASK, "--key-file", str(file))
    assert "cannot be written: File exists" in again["error"]["cause"]


def test_a_key_that_is_no_text_is_refused_by_its_kind(tmp_path: Path) -> None:
    source = FLASK + "app.secret_key = 7\n"
    found = report(tmp_path, source, "--key-file", str(tmp_path / "web.key"))
    assert "SECRET_KEY is a int" in found["error"]["cause"]
    assert not (tmp_path / "web.key").exists()


def test_what_an_application_prints_is_not_in_the_report(tmp_path: Path) -> None:
    source = FLASK + f"import os\nprint({KEY!r})\nos.write(1, b'past the stream')\n"
    found = report(tmp_path, source)
    assert found["application"]["framework"] == "flask"


def test_an_application_that_cannot_be_loaded_says_where_it_failed(tmp_path: Path) -> None:
    found = report(tmp_path, "import os\nos.environ['SHOP_DATABASE']\n")
    assert "importing shop failed: KeyError: 'SHOP_DATABASE'" in found["error"]["cause"]
    assert report(tmp_path, "raise SystemExit(3)\n")["error"]["remedy"]
    assert "has no `app`" in report(tmp_path, "")["error"]["cause"]
    nowhere = report(tmp_path, "", name="absent:app")
    assert "No module named 'absent'" in nowhere["error"]["cause"]


DJANGO = f"""
from django.conf import settings
settings.configure(SECRET_KEY={KEY!r}, ROOT_URLCONF=__name__, PASSWORD_RESET_TIMEOUT=3600)
import django
from django.core.wsgi import get_wsgi_application
urlpatterns = []
app = get_wsgi_application()
"""


def test_a_django_application_says_its_settings_also_behind_a_wrapper(tmp_path: Path) -> None:
    wrapper = "inner = app\ndef app(environ, start):\n    return inner(environ, start)\n"
    for source in (DJANGO, DJANGO + wrapper):
        found = report(tmp_path, source)
        assert found["application"]["framework"] == "django"
        assert found["key"]["state"] == "static"
        assert found["lifetimes"] == [
            {"setting": "SESSION_COOKIE_AGE", "seconds": 14 * 86_400},
            {"setting": "PASSWORD_RESET_TIMEOUT", "seconds": 3600},
        ]


STARLETTE = """
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware
app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key={key})
"""


def test_a_list_given_to_starlette_is_a_danger_and_one_key_is_static(tmp_path: Path) -> None:
    found = report(tmp_path, STARLETTE.format(key=["new", KEY]))
    assert found["application"]["framework"] == "fastapi"
    assert list(found_rules(found)) == ["starlette-key-list"]
    single = report(tmp_path, STARLETTE.format(key=repr(KEY)))
    assert list(found_rules(single)) == ["static-key"]
    assert single["lifetimes"] == [{"setting": "max_age", "seconds": 14 * 86_400}]


LONG_LIVED = """
from itsdangerous import URLSafeTimedSerializer, TimestampSigner
from cryptography.fernet import Fernet
links = URLSafeTimedSerializer("k")
boxes = {"pii": Fernet(Fernet.generate_key())}
class Mail:
    signer = TimestampSigner("k")
def per_use():
    return URLSafeTimedSerializer("k")
"""


def test_signers_that_live_as_long_as_the_process_are_named(tmp_path: Path) -> None:
    found = report(tmp_path, FLASK + LONG_LIVED)
    places = {f["object"] for f in found["findings"] if f["rule"] == "long-lived-signer"}
    assert places == {"shop.links", "shop.boxes['pii']", "shop.Mail.signer"}


def test_signers_over_a_ring_may_live_as_long_as_they_like(tmp_path: Path) -> None:
    source = FLASK + "import keywheel.itsdangerous as i\nlinks = i.serializer('web', salt='x')\n"
    assert "long-lived-signer" not in found_rules(report(tmp_path, source))


JOBS = """
import functools, threading
from apscheduler.schedulers.background import BackgroundScheduler
import secrets
def change():
    app.config["SECRET_KEY"] = secrets.token_hex()
def rotate_signing_key(): ...
def sweep(): ...
scheduler = BackgroundScheduler()
scheduler.add_job(functools.partial(change), "interval", hours=1)
scheduler.add_job(sweep, "interval", hours=1)
timer = threading.Timer(3600, rotate_signing_key)
timer.daemon = True
timer.start()
"""


def test_jobs_that_turn_keys_are_a_danger_and_other_jobs_are_not(tmp_path: Path) -> None:
    found = report(tmp_path, FLASK + JOBS)
    places = {f["object"] for f in found["findings"] if f["rule"] == "in-process-rotation"}
    assert places == {"shop.change", "shop.rotate_signing_key"}
    assert "threads-at-import" in found_rules(found)


def test_a_beat_of_celery_that_turns_keys_is_found(tmp_path: Path) -> None:
    source = """
from celery import Celery
app = Celery("shop")
@app.task(name="shop.rotate_keys")
def turn(): ...
app.conf.beat_schedule = {"daily": {"task": "shop.rotate_keys", "schedule": 86400.0}}
"""
    assert found_rules(report(tmp_path, source))["in-process-rotation"]["detail"].startswith(
        "Celery beat runs `shop.rotate_keys`"
    )


def test_schedule_that_turns_keys_is_found(tmp_path: Path) -> None:
    source = "import schedule\ndef new_secret(): ...\nschedule.every().day.do(new_secret)\n"
    assert "in-process-rotation" in found_rules(report(tmp_path, FLASK + source))


def test_pyjwt_with_lists_and_with_kept_keys_is_a_danger(tmp_path: Path) -> None:
    source = """
import jwt
KEYS = ["new", "old"]
one = "k"
client = jwt.PyJWKClient("http://localhost/", cache_keys=True)
modest = jwt.PyJWKClient("http://localhost/")
def read(token):
    jwt.decode(token, one, algorithms=["HS256"])
    return jwt.decode(token, KEYS, algorithms=["HS256"])
def write(claims):
    return jwt.encode(claims, key=["new", "old"])
"""
    found = report(tmp_path, FLASK + source)
    lines = [f["line"] for f in found["findings"] if f["rule"] == "pyjwt-key-list"]
    text = (FLASK + source).splitlines()
    assert [text[line - 1].split("(")[0].strip() for line in sorted(lines)] == [
        "return jwt.decode",
        "return jwt.encode",
    ]
    kept = [f["object"] for f in found["findings"] if f["rule"] == "jwk-client-caches-keys"]
    assert kept == ["shop.client"]


AUTHLIB = """
from authlib.integrations.flask_client import OAuth
from authlib.jose import JsonWebKey
from joserfc.jwk import KeySet
oauth = OAuth(app)
oauth.register("shop", client_id="c", server_metadata_url="http://localhost/openid")
plain = oauth.register("plain", client_id="c", access_token_url="http://localhost/token")
fetched = {"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]}
ours = JsonWebKey.import_key_set(fetched)
theirs = {"partner": KeySet.import_key_set(fetched)}
other = {"keys": ["nothing of JOSE"]}
def per_use():
    return JsonWebKey.import_key_set(fetched)
"""


def test_key_sets_that_authlib_keeps_are_named(tmp_path: Path) -> None:
    found = report(tmp_path, FLASK + AUTHLIB)
    places = {f["object"] for f in found["findings"] if f["rule"] == "kept-key-set"}
    assert places == {"shop.fetched", "shop.ours", "shop.theirs['partner']"}
    kept = [f for f in found["findings"] if f["rule"] == "authlib-keeps-key-set"]
    assert [(f["weight"], "the client 'shop'" in f["detail"]) for f in kept] == [("advice", True)]
    assert "since the import" not in kept[0]["detail"]
    fetched = FLASK + AUTHLIB + "oauth.shop.server_metadata['jwks'] = fetched\n"
    assert (
        "since the import"
        in found_rules(report(tmp_path, fetched))["authlib-keeps-key-set"]["detail"]
    )


def test_flask_3_1_0_is_a_danger_and_its_successor_is_not() -> None:
    found = Application("flask", Flask("shop"))
    assert [f.rule for f in rules._flask(found, "3.1.0")] == ["flask-3.1.0"]
    assert list(rules._flask(found, "3.1.1")) == []


LIVE_FLASK = """
from flask import Flask
from flask_login import LoginManager
from flask_wtf import CSRFProtect
import keywheel.flask
app = Flask(__name__)
LoginManager(app); CSRFProtect(app)
keywheel.flask.init_app(app, session="web"{options})
"""


def test_an_application_over_a_ring_has_nothing_to_fear_and_asks_nobody(tmp_path: Path) -> None:
    # No server is configured here, so that whoever asked for a key would raise.
    found = report(tmp_path, LIVE_FLASK.format(options=""))
    assert (found["key"]["state"], found["findings"]) == ("live", [])
    left_out = report(tmp_path, LIVE_FLASK.format(options=", login=False, wtf=False"))
    assert set(found_rules(left_out)) == {"flask-wtf-one-key", "flask-login-one-key"}


LIVE_DJANGO = """
from django.conf import settings
import keywheel.django
key, fallbacks = keywheel.django.secret_key("web")
settings.configure(SECRET_KEY=key, SECRET_KEY_FALLBACKS={fallbacks}, ROOT_URLCONF=__name__,
                   INSTALLED_APPS=["keywheel.django"])
from django.core.wsgi import get_wsgi_application
urlpatterns = []
app = get_wsgi_application()
"""


def test_django_over_a_ring_needs_both_settings(tmp_path: Path) -> None:
    found = report(tmp_path, LIVE_DJANGO.format(fallbacks="fallbacks"))
    assert (found["key"]["state"], found["findings"]) == ("live", [])
    half = report(tmp_path, LIVE_DJANGO.format(fallbacks="['old']"))
    assert list(found_rules(half)) == ["django-fallbacks-not-live"]


def test_starlette_over_a_ring_has_nothing_to_fear(tmp_path: Path) -> None:
    source = """
from fastapi import FastAPI
import keywheel.asgi
app = FastAPI()
app.add_middleware(keywheel.asgi.SessionMiddleware, ring=keywheel.ring("web"))
"""
    found = report(tmp_path, source)
    assert (found["key"]["state"], found["findings"]) == ("live", [])


def test_the_page_for_people_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        FLASK + "import jwt\nkept = jwt.PyJWKClient('http://x', cache_keys=True)\n"
    )
    done = run(tmp_path, "shop:app", WEB_CONCURRENCY="4")
    assert done.stdout.startswith("shop:app: flask ")
    assert "\n  remedy: " in done.stdout

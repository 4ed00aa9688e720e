"""Django as the guide has it, in one file, with everything in it that signs."""

from __future__ import annotations

import os
import time
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import keywheel.django
from servers import where as shared
from servers.where import OK, REFUSED, USER, verdict, where

SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key(os.environ["MATRIX_RING"])
settings.configure(
    SECRET_KEY=SECRET_KEY,
    SECRET_KEY_FALLBACKS=SECRET_KEY_FALLBACKS,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "keywheel.django",
    ],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
app = get_wsgi_application()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.tokens import default_token_generator  # noqa: E402

# No database is asked: a reset link is a digest of what the user's row holds.
_USER = User(pk=7, username=USER, password="md5$a$b", email="alice@example.org")
_SALT = "shop"


def issue(request: HttpRequest) -> JsonResponse:
    """Logs in."""
    request.session["user"] = USER
    artefacts = {
        "bearer": shared.token(),
        "endless token": shared.endless_token(),
        "reset link": default_token_generator.make_token(_USER),
        "blob": shared.blob(),
    }
    response = JsonResponse({**where(), "artefacts": artefacts})
    response.set_signed_cookie("choice", USER, salt=_SALT)
    return response


def check(request: HttpRequest) -> JsonResponse:
    """What is said of each that is shown."""
    time.sleep(float(request.GET["hold"]))
    choice = request.get_signed_cookie("choice", None, salt=_SALT, max_age=3600)
    is_link = default_token_generator.check_token(_USER, request.GET["reset link"])
    verdicts = {
        "cookie:sessionid": OK if request.session.get("user") == USER else REFUSED,
        "cookie:choice": OK if choice == USER else REFUSED,
        "bearer": shared.token_verdict(request.headers["Authorization"].partition(" ")[2]),
        "endless token": verdict(shared.is_endless_token, request.GET["endless token"]),
        "reset link": OK if is_link else REFUSED,
        "blob": verdict(shared.is_blob, request.GET["blob"]),
    }
    return JsonResponse({**where(), "verdicts": verdicts})


def of_where(request: HttpRequest) -> JsonResponse:
    """Says which process this is."""
    time.sleep(float(request.GET["hold"]))
    return JsonResponse(where())


urlpatterns: list[Any] = [
    path("issue", issue),
    path("check", check),
    path("where", of_where),
]

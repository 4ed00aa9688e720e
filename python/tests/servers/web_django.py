"""Django as the guide has it, in one file."""

from __future__ import annotations

import os
import time
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import keywheel.django
from servers.where import ring, token_is_good, where

SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key(os.environ["MATRIX_RING"])
settings.configure(
    SECRET_KEY=SECRET_KEY,
    SECRET_KEY_FALLBACKS=SECRET_KEY_FALLBACKS,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions", "keywheel.django"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)


def issue(request: HttpRequest) -> JsonResponse:
    """Logs in."""
    request.session["user"] = "alice"
    # The session is signed when the answer is sent, after this.
    made = ring.snapshot().version
    found = {**where(), "made": made, "token": keywheel.jwt.encode({"sub": "alice"}, ring)}
    return JsonResponse(found)


def session(request: HttpRequest) -> JsonResponse:
    """Says who is logged in."""
    time.sleep(float(request.GET.get("hold", 0)))
    return JsonResponse({**where(), "user": request.session.get("user")})


def token(request: HttpRequest) -> JsonResponse:
    """Says whose token it is."""
    is_good = token_is_good(request.headers["Authorization"])
    return JsonResponse({"user": "alice" if is_good else None}, status=200 if is_good else 401)


def of_where(request: HttpRequest) -> JsonResponse:
    """Says which process this is."""
    time.sleep(float(request.GET.get("hold", 0)))
    return JsonResponse(where())


urlpatterns: list[Any] = [
    path("issue", issue),
    path("session", session),
    path("token", token),
    path("where", of_where),
]
app = get_wsgi_application()

"""A Django project with everything that has a signature: what its users hold, as subjects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

import keywheel

NOT_OURS = "the key that came before the ring, and was long enough for a digest"

if not settings.configured:
    settings.configure(
        SECRET_KEY=NOT_OURS,
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "keywheel.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        MESSAGE_STORAGE="django.contrib.messages.storage.cookie.CookieStorage",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/password_reset_confirm.html": "{{ validlink }}"},
                        )
                    ]
                },
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        REST_FRAMEWORK={},
        SIMPLE_JWT={},
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)

from django.contrib.auth import SESSION_KEY, get_user_model, views  # noqa: E402
from django.contrib.auth.tokens import default_token_generator  # noqa: E402
from django.contrib.messages import add_message, get_messages  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core import signing  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.utils.encoding import force_bytes  # noqa: E402
from django.utils.http import urlsafe_base64_encode  # noqa: E402
from rest_framework_simplejwt import exceptions as token_errors  # noqa: E402
from rest_framework_simplejwt import state, tokens  # noqa: E402

import keywheel.django  # noqa: E402
import keywheel.django.simplejwt  # noqa: E402


def login(request: HttpRequest) -> HttpResponse:
    request.session["user"] = "alice"
    return HttpResponse("hello")


def me(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session.get("user") or request.user.get_username() or "nobody")


def give(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("here")
    response.set_signed_cookie("choice", "blue", salt="shop")
    return response


def take(request: HttpRequest) -> HttpResponse:
    choice = request.get_signed_cookie("choice", "none", salt="shop", max_age=3600)
    return HttpResponse(choice)


def tell(request: HttpRequest) -> HttpResponse:
    add_message(request, 20, "saved")
    return HttpResponse("told")


def told(request: HttpRequest) -> HttpResponse:
    return HttpResponse(",".join(str(message) for message in get_messages(request)))


urlpatterns = [
    path("login", login),
    path("me", me),
    path("give", give),
    path("take", take),
    path("tell", tell),
    path("told", told),
    path("reset/<uidb64>/<token>/", views.PasswordResetConfirmView.as_view()),
]


def user(name: str = "alice") -> Any:
    """Somebody with a password."""
    made, _ = get_user_model().objects.get_or_create(
        username=name, defaults={"password": "md5$a$b", "email": "alice@example.org"}
    )
    return made


class Held:
    """What a user of the project holds, with the settings of a ring."""

    more: ClassVar[dict[str, Any]] = {}

    def __init__(self, ring: keywheel.Ring) -> None:
        key, fallbacks = keywheel.django.secret_key(ring)
        self.settings = {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": fallbacks, **self.more}
        with self.project():
            self.start()

    @classmethod
    def plain(cls, key: str, *fallbacks: str) -> Held:
        """The project as Django's documentation has it rotate: each key is fixed."""
        made = cls.__new__(cls)
        made.settings = {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": list(fallbacks), **cls.more}
        with made.project():
            made.start()
        return made

    @contextmanager
    def project(self) -> Iterator[None]:
        with override_settings(**self.settings):
            yield

    def issue(self) -> Any:
        with self.project():
            return self.make()

    def accepts(self, artefact: Any) -> bool:
        with self.project():
            return self.take(artefact)

    def start(self) -> None:
        """What the process makes once."""

    def make(self) -> Any:
        raise NotImplementedError

    def take(self, artefact: Any) -> bool:
        raise NotImplementedError


def get(where: str, cookies: dict[str, str] | None = None) -> Any:
    """An answer for a browser that has these cookies and no others."""
    client = Client()
    for name, value in (cookies or {}).items():
        client.cookies[name] = value
    return client.get(where)


class CookieSession(Held):
    """A session in a signed cookie."""

    more: ClassVar[dict[str, Any]] = {
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"
    }

    def make(self) -> str:
        return str(get("/login").cookies["sessionid"].value)

    def take(self, artefact: str) -> bool:
        return bool(get("/me", {"sessionid": artefact}).content == b"alice")


class Login(Held):
    """A login in the database: its session has a digest of the password under the key."""

    more: ClassVar[dict[str, Any]] = {"SESSION_ENGINE": "django.contrib.sessions.backends.db"}

    def make(self) -> dict[str, Any]:
        client = Client()
        client.force_login(user())
        return dict(client.session.items())

    def take(self, artefact: dict[str, Any]) -> bool:
        # Django renews the digest in the session that it sees, so each look has its own copy.
        assert SESSION_KEY in artefact
        store = SessionStore()
        store.update(artefact)
        store.save()
        return bool(get("/me", {"sessionid": str(store.session_key)}).content == b"alice")


class ResetLink(Held):
    """A link that sets a new password."""

    def make(self) -> str:
        # Whoever logs in makes the links void that were made before.
        somebody = user("bob")
        uid = urlsafe_base64_encode(force_bytes(somebody.pk))
        return f"/reset/{uid}/{default_token_generator.make_token(somebody)}/"

    def take(self, artefact: str) -> bool:
        return bool(get(artefact).status_code == 302)


class SignedCookie(Held):
    """A signed cookie."""

    def make(self) -> str:
        return str(get("/give").cookies["choice"].value)

    def take(self, artefact: str) -> bool:
        return bool(get("/take", {"choice": artefact}).content == b"blue")


class Message(Held):
    """A message in a cookie."""

    def make(self) -> str:
        return str(get("/tell").cookies["messages"].value)

    def take(self, artefact: str) -> bool:
        return bool(get("/told", {"messages": artefact}).content == b"saved")


class Dumped(Held):
    """Something of ``django.core.signing``."""

    def make(self) -> str:
        return signing.dumps({"user": 7}, salt="confirm", compress=True)

    def take(self, artefact: str) -> bool:
        try:
            return bool(signing.loads(artefact, salt="confirm", max_age=3600) == {"user": 7})
        except signing.BadSignature:
            return False


class LongLived(Held):
    """What a signer signs that the process made once."""

    def start(self) -> None:
        self.signer = signing.TimestampSigner()

    def make(self) -> str:
        return str(self.signer.sign("alice"))

    def take(self, artefact: str) -> bool:
        try:
            return bool(self.signer.unsign(artefact, max_age=3600) == "alice")
        except signing.BadSignature:
            return False


class AccessToken(Held):
    """A token of SimpleJWT, which made its backend when it was imported."""

    @contextmanager
    def project(self) -> Iterator[None]:
        with super().project():
            state.token_backend.signing_key = self.settings["SECRET_KEY"]
            yield

    def start(self) -> None:
        if isinstance(self.settings["SECRET_KEY"], keywheel.django.LiveKey):
            assert keywheel.django.simplejwt.follow()

    def make(self) -> str:
        return str(tokens.AccessToken.for_user(user()))

    def take(self, artefact: str) -> bool:
        try:
            return bool(tokens.AccessToken(artefact)["user_id"])
        except token_errors.TokenError:
            return False


KINDS: list[type[Held]] = [
    CookieSession,
    Login,
    ResetLink,
    SignedCookie,
    Message,
    Dumped,
    LongLived,
    AccessToken,
]

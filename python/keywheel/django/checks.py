"""What ``manage.py check`` says of a project's keys.

The first checks look at the settings only. Those of ``check --deploy`` wait for the keys. Code that
copied a key, such as ``Signer(key=str(settings.SECRET_KEY))``, no check can see.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # type: ignore[import-untyped]

from keywheel._keywheel import Ring
from keywheel.django import Fallbacks, LiveKey, simplejwt
from keywheel.exceptions import ConfigurationError, KeywheelError

__all__ = ["register_all", "rings"]

# The settings that say how long something with a signature lives, in seconds.
LIFETIMES = ("SESSION_COOKIE_AGE", "PASSWORD_RESET_TIMEOUT")


def register_all() -> None:
    """Registers the checks with Django; Django keeps each once."""
    register(check_settings, Tags.security)
    register(check_keys, Tags.security, deploy=True)


def rings() -> dict[str, Ring]:
    """The rings that the settings name, by their names."""
    found = [settings.SECRET_KEY] if _is_live(settings.SECRET_KEY) else []
    if isinstance(settings.SECRET_KEY_FALLBACKS, Fallbacks):
        found.append(settings.SECRET_KEY_FALLBACKS)
    token_key = getattr(settings, "SIMPLE_JWT", {}).get("SIGNING_KEY")
    if _is_live(token_key):
        found.append(token_key)
    return {one.ring.name: one.ring for one in found}


def _is_live(value: object) -> bool:
    return isinstance(value, LiveKey)


def check_settings(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """What the settings show by themselves. Asks no server."""
    return [*_of_secret_key(), *_of_fallbacks(), *_of_simplejwt(), *_of_configuration()]


def _of_secret_key() -> Iterator[CheckMessage]:
    if not _is_live(settings.SECRET_KEY):
        yield Warning(
            "SECRET_KEY is not that of a ring, so no rotation reaches this project.",
            hint='SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key("…")',
            id="keywheel.W001",
        )


def _of_fallbacks() -> Iterator[CheckMessage]:
    key, fallbacks = settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS
    if not isinstance(key, LiveKey):
        return
    if not isinstance(fallbacks, Fallbacks):
        yield Error(
            "SECRET_KEY follows a ring and SECRET_KEY_FALLBACKS does not, so the first rotation "
            "logs everybody out.",
            hint="Take both from keywheel.django.secret_key, and set neither afterwards.",
            id="keywheel.E001",
        )
    elif fallbacks.ring.name != key.ring.name:
        yield Error(
            f"SECRET_KEY is of ring {key.ring.name} and SECRET_KEY_FALLBACKS of "
            f"{fallbacks.ring.name}.",
            hint="Take both from one call of keywheel.django.secret_key.",
            id="keywheel.E002",
        )


def _of_simplejwt() -> Iterator[CheckMessage]:
    if not simplejwt.is_used():
        return
    try:
        backend = import_module(f"{simplejwt.PACKAGE}.state").token_backend
    except ImportError:
        return
    if backend.algorithm.startswith("HS") and not _is_live(backend.signing_key):
        yield Warning(
            "SimpleJWT signs with a key that was fixed when it was imported.",
            hint='Leave SIGNING_KEY out, or say SIMPLE_JWT = {"SIGNING_KEY": '
            'keywheel.django.key("…")}.',
            id="keywheel.W002",
        )


def _of_configuration() -> Iterator[CheckMessage]:
    for name, ring in rings().items():
        try:
            ring.health()
        except ConfigurationError as error:
            yield Error(
                f"Ring {name}: {error}",
                hint="Set KEYWHEEL_URL and KEYWHEEL_TOKEN_FILE, or call keywheel.configure.",
                id="keywheel.E003",
            )


def check_keys(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """What the keys themselves show. Waits for them as a first request does."""
    messages: list[CheckMessage] = []
    for name, ring in rings().items():
        try:
            ring.secret().reveal()
            with ring.guard() as guard:
                longest = guard.longest_lifetime
        except KeywheelError as error:
            messages.append(
                Error(
                    f"Ring {name}: {error}",
                    hint="SECRET_KEY needs a ring of the kind `secret` that has a version.",
                    id="keywheel.E004",
                )
            )
            continue
        messages += _lifetimes(name, longest)
    return messages


def _lifetimes(name: str, longest: float) -> Iterator[CheckMessage]:
    key = settings.SECRET_KEY
    if not isinstance(key, LiveKey) or key.ring.name != name:
        return
    for setting in LIFETIMES:
        seconds = getattr(settings, setting)
        if seconds > longest:
            yield Warning(
                f"{setting} is {seconds} s and ring {name} promises {longest:.0f} s, so a "
                "rotation may end what is still in use.",
                hint="Raise the ring's longest_lifetime, or lower the setting.",
                id="keywheel.W003",
            )

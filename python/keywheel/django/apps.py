"""The application of Django: it registers the checks, and lets SimpleJWT follow its ring."""

from __future__ import annotations

from django.apps import AppConfig  # type: ignore[import-untyped]


class KeywheelConfig(AppConfig):  # type: ignore[misc]
    """``keywheel.django`` in ``INSTALLED_APPS``."""

    name = "keywheel.django"
    label = "keywheel"
    verbose_name = "keywheel"

    def ready(self) -> None:
        """Registers the checks; imports SimpleJWT only where the settings use it."""
        from keywheel.django import checks, simplejwt

        checks.register_all()
        if simplejwt.is_used():
            simplejwt.follow()

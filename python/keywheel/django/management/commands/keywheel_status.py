"""``manage.py keywheel_status``: how the project's rings stand, as a process of it sees them."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError  # type: ignore[import-untyped]

import keywheel
from keywheel._keywheel import Ring
from keywheel.django.checks import rings
from keywheel.exceptions import KeywheelError


class Command(BaseCommand):  # type: ignore[misc]
    """Shows the rings of the settings, or those that are named."""

    help = "Shows how the rings of this project stand. Fails when one has no key."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The names of rings, and ``--json``."""
        parser.add_argument("rings", nargs="*", help="rings; default: those of the settings")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Raises ``CommandError`` when a ring has no key, or when no ring is named anywhere."""
        asked = {name: keywheel.ring(name) for name in options["rings"]} or rings()
        if not asked:
            raise CommandError(
                "the settings name no ring; take SECRET_KEY from keywheel.django.secret_key"
            )
        found, failed = {}, []
        for name, ring in asked.items():
            try:
                found[name] = _status(ring)
            except KeywheelError as error:
                failed.append(f"ring {name}: {error}")
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            for name, status in found.items():
                self.stdout.write(_line(name, status))
        if failed:
            raise CommandError("\n".join(failed))


def _status(ring: Ring) -> dict[str, Any]:
    snapshot = ring.snapshot()
    return {
        "version": snapshot.version,
        "accepted": [version.number for version in snapshot.accepted],
        "revision": snapshot.revision,
        "health": ring.health(),
    }


def _line(name: str, status: dict[str, Any]) -> str:
    health = status["health"]
    accepted = ", ".join(str(number) for number in status["accepted"])
    words = [f"version {status['version']} protects, {accepted} accepted"]
    words.append("proved" if health["proved"] else "not proved")
    if health["last_contact"] is not None:
        words.append(f"server heard {health['last_contact']:.1f} s ago")
    if health["trouble"]:
        words.append(str(health["trouble"]))
    return f"{name}: {'; '.join(words)}"

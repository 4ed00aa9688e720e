"""The rings of a mode: one that signs, and one that encrypts."""

from __future__ import annotations

from support.installation import encryption_ring, signing_ring

# How long what is signed is good, in seconds: the rings' longest lifetime.
LIFETIME = 3.0


def vault_of(ring: str) -> str:
    """The ring that encrypts, beside one that signs."""
    return f"{ring}-vault"


def rings(name: str) -> str:
    """Both rings of one consumer, which has the name of the first."""
    vault = encryption_ring(vault_of(name), consumer=name)
    return signing_ring(name, lifetime=f"{LIFETIME:.0f}s", consumer=name) + vault

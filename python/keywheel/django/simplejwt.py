"""SimpleJWT over a ring: access and refresh tokens that outlive a rotation.

SimpleJWT makes one backend when it is imported, with one key. Where its ``SIGNING_KEY`` is a
:class:`keywheel.django.LiveKey` (that is its default where ``SECRET_KEY`` is one), the application
``keywheel.django`` gives this backend another class: it signs with the primary, names the key, and
accepts what is accepted, also tokens from before the ring that name none. Tokens that
``ring.revoke`` names, by ``jti`` or with the user's id as ``subject``, are refused::

    SIMPLE_JWT = {"SIGNING_KEY": keywheel.django.key("api"), "ALGORITHM": "HS256"}
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]

from keywheel._rings import accepted, is_revoked
from keywheel.django import LiveKey
from keywheel.exceptions import ConfigurationError

__all__ = ["follow", "is_used"]

PACKAGE = "rest_framework_simplejwt"


def is_used() -> bool:
    """Whether this project uses SimpleJWT, as far as its settings show."""
    rest = getattr(settings, "REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES", ())
    return (
        f"{PACKAGE}.state" in sys.modules
        or hasattr(settings, "SIMPLE_JWT")
        or any(str(app).startswith(PACKAGE) for app in settings.INSTALLED_APPS)
        or any(PACKAGE in str(name) for name in rest)
    )


def follow() -> bool:
    """Gives SimpleJWT's backend the ring of its key; false where its key is not of a ring."""
    backend = import_module(f"{PACKAGE}.state").token_backend
    if not isinstance(backend.signing_key, LiveKey):
        return False
    if not backend.algorithm.startswith("HS"):
        raise ConfigurationError(
            f"SIMPLE_JWT's ALGORITHM is {backend.algorithm}, and only the HS algorithms follow a "
            "ring here; use one of them"
        )
    if not hasattr(backend, "_versions"):
        backend.__class__ = _backend_over_ring(type(backend))
    return True


def _backend_over_ring(plain: Any) -> type:
    jwt = import_module("jwt")
    theirs = import_module(f"{PACKAGE}.exceptions")

    class RingTokenBackend(plain):  # type: ignore[misc]
        """SimpleJWT's backend over the ring of its ``signing_key``."""

        def _with(self, secret: bytes) -> Any:
            """SimpleJWT's own backend with one key."""
            one = plain.__new__(plain)
            kept = {k: v for k, v in vars(self).items() if not k.startswith("prepared_")}
            one.__dict__.update(kept, signing_key=secret)
            return one

        def _versions(self, token: Any) -> Iterator[tuple[Any, Any]]:
            try:
                kid = jwt.get_unverified_header(token).get("kid")
            except jwt.InvalidTokenError:
                kid = None
            for version, secret in accepted(self.signing_key.ring.snapshot()):
                if kid is None or kid == version.kid:
                    yield version, self._with(secret.reveal_bytes())

        def _check_revocations(self, payload: dict[str, Any], kid: str) -> None:
            names = import_module(f"{PACKAGE}.settings").api_settings
            claims = {**payload, "jti": payload.get(names.JTI_CLAIM)}
            try:
                revoked = is_revoked(self.signing_key.ring, claims, names.USER_ID_CLAIM, kid)
            except jwt.InvalidTokenError as error:
                raise theirs.TokenBackendError(str(error)) from error
            if revoked:
                raise theirs.TokenBackendError("Token is revoked")

        def encode(self, payload: dict[str, Any]) -> str:
            """A token with this payload, signed with the primary."""
            claims = dict(payload)
            if self.audience is not None:
                claims["aud"] = self.audience
            if self.issuer is not None:
                claims["iss"] = self.issuer
            with self.signing_key.ring.guard() as guard:
                token: str = jwt.encode(
                    claims,
                    guard.secret.reveal_bytes(),
                    algorithm=self.algorithm,
                    headers={"kid": guard.kid},
                    json_encoder=self.json_encoder,
                )
            return token

        def decode(self, token: Any, verify: bool = True) -> Any:
            """The payload of a token that an accepted version signed."""
            for version, backend in self._versions(token):
                try:
                    payload = backend.decode(token, verify=verify)
                except theirs.TokenBackendError as error:
                    if isinstance(error.__cause__, jwt.InvalidSignatureError):
                        continue
                    raise
                if verify:
                    version.processed()
                    self._check_revocations(payload, version.kid)
                return payload
            raise theirs.TokenBackendError("Token is invalid")

    return RingTokenBackend

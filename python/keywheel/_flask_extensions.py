"""What Flask-Login and Flask-JWT-Extended need to follow a ring.

Neither has a hook that takes more than one key: the first compares one digest, the second asks for
one key. So the functions around these places are replaced by ones that try what is accepted. They
change nothing for applications without a ring.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from flask import Flask, current_app

from keywheel._keywheel import Ring
from keywheel._rings import accepted, is_revoked, text_or_bytes
from keywheel.exceptions import ConfigurationError


def _ring_of_login() -> Ring | None:
    extension = current_app.extensions.get("keywheel")
    ring: Ring | None = None if extension is None else extension.login
    return ring


def follow_login() -> None:
    """Lets the remember cookie of Flask-Login follow the ring of its application."""
    try:
        package = import_module("flask_login")
        utils = import_module("flask_login.utils")
        manager = import_module("flask_login.login_manager")
    except ImportError as error:
        raise ConfigurationError(
            "login= names a ring and Flask-Login is not installed; install it, or leave login= out"
        ) from error
    if hasattr(utils.encode_cookie, "__wrapped__"):
        return
    encode, decode = utils.encode_cookie, utils.decode_cookie

    @functools.wraps(encode)
    def encode_cookie(payload: str, key: Any = None) -> Any:
        ring = _ring_of_login() if key is None else None
        if ring is None:
            return encode(payload, key)
        with ring.guard() as guard:
            return encode(payload, text_or_bytes(guard.secret))

    @functools.wraps(decode)
    def decode_cookie(cookie: str, key: Any = None) -> Any:
        ring = _ring_of_login() if key is None else None
        if ring is None:
            return decode(cookie, key)
        for version, secret in accepted(ring.snapshot()):
            payload = decode(cookie, text_or_bytes(secret))
            if payload is not None:
                version.processed()
                return payload
        return None

    for module in (utils, manager, package):
        vars(module).update(encode_cookie=encode_cookie, decode_cookie=decode_cookie)


#: The kid and the key with which Flask-JWT-Extended works at this moment.
_at_work: ContextVar[tuple[str, bytes]] = ContextVar("keywheel_jwt")


def follow_jwt(app: Flask, ring: Ring) -> None:
    """Lets Flask-JWT-Extended sign with the primary, and accept what is not revoked."""
    algorithm = str(app.config.get("JWT_ALGORITHM", "HS256"))
    if not algorithm.startswith("HS"):
        raise ConfigurationError(
            f"JWT_ALGORITHM is {algorithm}, and only the HS algorithms follow a ring here; use "
            "keywheel.jwt for the others"
        )
    jwt = import_module("jwt")
    manager = app.extensions["flask-jwt-extended"]
    encode, decode = manager._encode_jwt_from_config, manager._decode_jwt_from_config
    headers = manager._jwt_additional_header_callback

    def encode_live(*arguments: Any, **options: Any) -> Any:
        with ring.guard() as guard:
            before = _at_work.set((guard.kid, guard.secret.reveal_bytes()))
            try:
                return encode(*arguments, **options)
            finally:
                _at_work.reset(before)

    def decode_live(encoded_token: Any, *arguments: Any, **options: Any) -> Any:
        # The application may have named a blocklist of its own since.
        _follow_blocklist(manager, app, ring)
        kid = jwt.get_unverified_header(encoded_token).get("kid")
        for version, secret in accepted(ring.snapshot()):
            # A token from before the ring names no key.
            if kid is not None and kid != version.kid:
                continue
            before = _at_work.set((version.kid, secret.reveal_bytes()))
            try:
                claims = decode(encoded_token, *arguments, **options)
            except jwt.InvalidSignatureError:
                if kid is not None:
                    version.rejected()
                continue
            finally:
                _at_work.reset(before)
            version.processed()
            return claims
        raise jwt.InvalidSignatureError("Signature verification failed")

    manager._encode_jwt_from_config = encode_live
    manager._decode_jwt_from_config = decode_live
    manager.encode_key_loader(lambda _identity: _at_work.get()[1])
    manager.decode_key_loader(lambda _header, _claims: _at_work.get()[1])
    manager.additional_headers_loader(
        lambda identity: {**headers(identity), "kid": _at_work.get()[0]}
    )


def _follow_blocklist(manager: Any, app: Flask, ring: Ring) -> None:
    theirs = manager._token_in_blocklist_callback
    if getattr(theirs, "ring", None) is ring:
        return

    def in_blocklist(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        subject = str(app.config.get("JWT_IDENTITY_CLAIM", "sub"))
        kid = str(header.get("kid", ""))
        return bool(theirs(header, claims)) or is_revoked(ring, claims, subject, kid)

    vars(in_blocklist)["ring"] = ring
    manager.token_in_blocklist_loader(in_blocklist)

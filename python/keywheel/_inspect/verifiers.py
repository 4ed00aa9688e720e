"""What verifies with the public keys of others, and keeps them for longer than they may be kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from keywheel._inspect.finding import ADVICE, DANGER, Finding
from keywheel._inspect.modules import long_lived

_KEY_SETS = (("authlib.jose", "KeySet"), ("joserfc.jwk", "KeySet"))
_OPEN_ID = (
    ("authlib.integrations.base_client.sync_openid", "OpenIDMixin"),
    ("authlib.integrations.base_client.async_openid", "AsyncOpenIDMixin"),
)


def look(objects: list[Any], modules: list[tuple[str, ModuleType]]) -> Iterator[Finding]:
    """Every client and every set of keys that goes on accepting a key which was retired."""
    names = {id(value): path for path, value in long_lived(modules)}
    yield from _jwk_clients(objects, names)
    yield from _key_sets(modules)
    yield from _open_id_clients(objects, names)


def _classes(named: tuple[tuple[str, str], ...]) -> tuple[Any, ...]:
    """Those of the classes whose modules were imported."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in named)
    return tuple(cls for cls in found if cls is not None)


def _jwk_clients(objects: list[Any], names: dict[int, str]) -> Iterator[Finding]:
    clients = _classes((("jwt", "PyJWKClient"),))
    for found in objects:
        # `cache_keys` leaves no attribute: it puts a cache over the method of this instance.
        if issubclass(type(found), clients) and "get_signing_key" in vars(found):
            yield Finding(
                "jwk-client-caches-keys",
                DANGER,
                "PyJWKClient(cache_keys=True) goes on accepting a key that was retired, for as "
                "long as the process lives",
                "leave cache_keys out: the set of keys is cached for 300 s anyway",
                object=names.get(id(found)),
            )


def _key_sets(modules: list[tuple[str, ModuleType]]) -> Iterator[Finding]:
    classes = _classes(_KEY_SETS)
    for path, value in long_lived(modules):
        if issubclass(type(value), classes) or _is_jwk_set(value):
            yield Finding(
                "kept-key-set",
                DANGER,
                "this set of keys is that of the import: a key that comes later is refused, and "
                "one that was retired is accepted for as long as the process lives",
                "fetch it where it is used, with a cache of some minutes, as jwt.PyJWKClient does; "
                "within the application's own rings, use keywheel.jwt",
                object=path,
            )


def _is_jwk_set(value: Any) -> bool:
    """Whether a dictionary is a JWK set, as a server answers it."""
    keys = value.get("keys") if type(value) is dict else None
    return type(keys) is list and bool(keys) and all(type(k) is dict and "kty" in k for k in keys)


def _open_id_clients(objects: list[Any], names: dict[int, str]) -> Iterator[Finding]:
    clients = _classes(_OPEN_ID)
    for found in objects:
        kept = getattr(found, "__dict__", {}) if issubclass(type(found), clients) else {}
        metadata = kept.get("server_metadata") or {}
        if kept.get("_server_metadata_url") or "jwks_uri" in metadata:
            fetched = ", and has it since the import" if "jwks" in metadata else ""
            yield Finding(
                "authlib-keeps-key-set",
                ADVICE,
                f"the client {kept.get('name')!r} of Authlib fetches the set of keys once and "
                f"keeps it until a token with an unknown kid comes{fetched}: until then it goes on "
                "accepting a key that was retired",
                "where a ring of yours signs, say in its `passive` how long that may be "
                '("authlib=0s/1h"), and call the client\'s fetch_jwk_set(force=True) as often',
                object=names.get(id(found)),
            )

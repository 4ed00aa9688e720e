"""What the applications of the matrix share: their rings, which process answers, and what it holds.

And what no framework does by itself: links and marks of itsdangerous, blobs of Fernet, tokens. The
objects that make them live as long as the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import itsdangerous
import jwt
from cryptography.fernet import InvalidToken

import keywheel
import keywheel.pyjwt
from keywheel.exceptions import InvalidTokenError
from servers.rings import vault_of

ring = keywheel.ring(os.environ["MATRIX_RING"])
vault = keywheel.ring(vault_of(os.environ["MATRIX_RING"]))

if os.environ.get("MATRIX_USE_AT_IMPORT"):
    # The worst that a preloaded application can do: the parent is a client itself by the fork.
    ring.snapshot()

_links = keywheel.serializer(ring, salt="reset")
_marks = keywheel.signer(ring, salt="mark")
_boxes = keywheel.fernet(vault)

USER = "alice"
OK = "ok"
REFUSED = "refused"


def where() -> dict[str, Any]:
    """Which process this is, and what it holds."""
    return {
        "pid": os.getpid(),
        "instance": ring.health()["instance"],
        "version": ring.snapshot().version,
        "vault": vault.snapshot().version,
    }


def token() -> str:
    """A token that ends when the ring's longest lifetime is over."""
    return keywheel.jwt.encode({"sub": USER}, ring)


def token_verdict(text: str) -> str:
    """Whether the ring accepts a token, or the one word for why not."""
    try:
        claims = keywheel.jwt.decode(text, ring)
    except InvalidTokenError as error:
        return str(getattr(error, "kind", REFUSED))
    return OK if claims["sub"] == USER else REFUSED


def link() -> str:
    """What a link to set a new password carries, where itsdangerous signs it."""
    return str(_links.dumps(USER))


def mark() -> str:
    """What itsdangerous signs as it is, for a cookie."""
    return str(_marks.sign(USER).decode())


def blob() -> str:
    """Something encrypted."""
    return _boxes.encrypt(USER.encode()).decode()


def endless_token() -> str:
    """A token that PyJWT makes and that never ends, so that only the ring can refuse it."""
    return keywheel.pyjwt.encode({"sub": USER}, ring)


def is_endless_token(text: str) -> bool:
    """Whether PyJWT takes the token, with the keys of the ring."""
    return bool(keywheel.pyjwt.decode(text, ring)["sub"] == USER)


def is_link(text: str) -> bool:
    """Whether the link is taken."""
    return bool(_links.loads(text, max_age=3600) == USER)


def is_mark(text: str) -> bool:
    """Whether the mark is taken."""
    return bool(_marks.unsign(text) == USER.encode())


def is_blob(text: str) -> bool:
    """Whether the blob can be read."""
    return bool(_boxes.decrypt(text) == USER.encode())


def verdict(accepts: Callable[[str], bool], text: str) -> str:
    """What one of the above, or of a framework, says of what it is shown."""
    try:
        return OK if accepts(text) else REFUSED
    except (itsdangerous.BadData, InvalidToken, jwt.InvalidTokenError) as error:
        return f"{REFUSED}: {type(error).__name__}"

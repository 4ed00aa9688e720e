"""What can go wrong, each with its cause and its remedy in the text.

The exceptions about tokens are also those of PyJWT where that is installed, so that code which
catches ``jwt.ExpiredSignatureError`` goes on to work. They are made when they are first asked for,
because importing PyJWT takes longer than importing this package.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ClaimsError",
    "ConfigurationError",
    "KeyFileWarning",
    "KeywheelError",
    "NotTextError",
    "ProtectError",
    "RefusedError",
    "RevocationsStaleError",
    "SealedValueError",
    "UnavailableError",
    "UnknownKeyError",
]


class KeywheelError(Exception):
    """The base of everything that this package raises about keys and tokens."""


class ConfigurationError(KeywheelError, ValueError):
    """What was configured cannot work."""


class UnavailableError(KeywheelError):
    """No key has arrived in this process, or the client was shut down."""


class RefusedError(KeywheelError):
    """The server does not do what it was asked for: see the text for why."""


class ProtectError(KeywheelError):
    """Nothing may be protected now: see the text for why."""


class UnknownKeyError(KeywheelError):
    """No accepted version made this."""


class RevocationsStaleError(KeywheelError):
    """Nobody knows what was revoked, and the ring's policy lets nothing pass then."""


class SealedValueError(KeywheelError, ValueError):
    """It is no sealed value of this ring, or nothing that the ring can seal."""


class NotTextError(KeywheelError, ValueError):
    """A key is bytes and was asked for as text."""


class ClaimsError(KeywheelError, ValueError):
    """Claims that cannot become a token of this ring."""


class KeyFileWarning(UserWarning):
    """Other users of the machine may read a file with keys."""


# The name of each class, the kinds of refusal that it stands for, and its base in PyJWT.
_TOKEN_CLASSES: dict[str, tuple[tuple[str, ...], str]] = {
    "MalformedTokenError": (("malformed", "duplicate_name", "too_long", "critical"), "DecodeError"),
    "TokenSignatureError": (("signature",), "InvalidSignatureError"),
    "TokenAlgorithmError": (("algorithm",), "InvalidAlgorithmError"),
    "UnknownKidError": (("unknown_kid",), "InvalidSignatureError"),
    "TokenTypeError": (("typ",), "InvalidTokenError"),
    "ExpiredTokenError": (("expired",), "ExpiredSignatureError"),
    "ImmatureTokenError": (("not_yet_valid", "issued_in_future"), "ImmatureSignatureError"),
    "MissingClaimError": (("missing_claim",), "MissingRequiredClaimError"),
    "IssuerError": (("issuer",), "InvalidIssuerError"),
    "AudienceError": (("audience",), "InvalidAudienceError"),
    "SubjectError": (("subject",), "InvalidTokenError"),
    "ClaimTypeError": (("claim_type",), "InvalidTokenError"),
    "RevokedTokenError": (("revoked",), "InvalidTokenError"),
    "StaleRevocationsError": (("revocations_stale",), "InvalidTokenError"),
}


def _base(name: str) -> tuple[type[Exception], ...]:
    """The class of PyJWT, where it is installed."""
    try:
        import jwt.exceptions as theirs
    except ImportError:
        return ()
    found = getattr(theirs, name, None)
    return (found,) if isinstance(found, type) else ()


def _make(name: str) -> type[KeywheelError]:
    module = sys.modules[__name__]
    made = module.__dict__.get(name)
    if made is not None:
        return made  # type: ignore[no-any-return]
    namespace: dict[str, Any] = {"__module__": __name__}
    if name == "InvalidTokenError":
        namespace["__doc__"] = (
            "A token that is not accepted. ``kind`` says why, in one stable word."
        )
        namespace["kind"] = "invalid"
        made = type(name, (KeywheelError, *_base("InvalidTokenError")), namespace)
    else:
        kinds, theirs = _TOKEN_CLASSES[name]
        namespace["__doc__"] = f"A token that is not accepted: {', '.join(kinds)}."
        namespace["kind"] = kinds[0]
        made = type(name, (_make("InvalidTokenError"), *_base(theirs)), namespace)
    # Two threads may make it at once; the first one that arrives is the one that stays.
    return module.__dict__.setdefault(name, made)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    if name == "InvalidTokenError" or name in _TOKEN_CLASSES:
        return _make(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _refusal(kind: str, message: str, claim: str | None) -> Exception:
    """The exception for a refusal of the native half."""
    names = (name for name, (kinds, _) in _TOKEN_CLASSES.items() if kind in kinds)
    made = _make(next(names, "InvalidTokenError"))
    error = made.__new__(made, message)
    # The constructor of PyJWT's class takes the name of the claim and not a message.
    Exception.__init__(error, message)
    error.kind = kind  # type: ignore[attr-defined]
    error.claim = claim  # type: ignore[attr-defined]
    return error

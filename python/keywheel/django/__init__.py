"""Django's ``SECRET_KEY``, with the versions of a ring.

Two lines of ``settings.py``::

    import keywheel.django

    SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key("web")
    INSTALLED_APPS += ["keywheel.django"]  # system checks, keywheel_status, SimpleJWT

Sessions, signed cookies, password reset links, messages and all of ``django.core.signing`` are then
signed with the primary and accepted from every version that is accepted, also by a ``Signer`` that
lives as long as the process. An application that is in use brings its key along: import it into the
ring first (``keywheel ring import``), and everybody stays logged in.

Nothing is asked or started while the settings are read. What signs raises
:class:`keywheel.UnavailableError` while no key has arrived, and :class:`keywheel.ProtectError`
while nothing may be protected. Django compares by itself, so what it accepts is counted for no
version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.utils.functional import lazy  # type: ignore[import-untyped]

from keywheel._keywheel import Ring
from keywheel._rings import RingOrName, accepted, ring_of

if TYPE_CHECKING:
    from typing_extensions import Never

__all__ = ["Fallbacks", "LiveKey", "key", "secret_key"]


def _reveal(ring: Ring) -> str:
    return ring.secret().reveal()


# Django's own proxy for text that is computed when it is used; it has a class for each function.
_Proxy: Any = type(lazy(_reveal, str)(None))


class LiveKey(_Proxy):  # type: ignore[misc]
    """A ``SECRET_KEY`` that is read from its ring each time it is used.

    It behaves as text does and is no ``str``: ``str(key)`` is the key of that moment.
    """

    def __init__(self, ring: RingOrName) -> None:
        #: The ring whose primary it is.
        self.ring: Ring = ring_of(ring)
        super().__init__((self.ring,), {})

    def __bool__(self) -> bool:
        # Django asks this of each SECRET_KEY that it reads, also where the key is not used.
        return True

    def __repr__(self) -> str:
        return f"<key of keywheel ring {self.ring.name}>"

    def __reduce__(self) -> tuple[type[LiveKey], tuple[str]]:
        return type(self), (self.ring.name,)


class Fallbacks(list[str]):
    """The accepted keys of a ring, read anew whenever the list is used. It cannot be changed.

    The primary is among them: Django reads ``SECRET_KEY`` at another moment than these, and
    whatever comes between the two must not be missing from both.
    """

    def __init__(self, ring: RingOrName) -> None:
        super().__init__()
        #: The ring whose versions they are.
        self.ring = ring_of(ring)

    def _now(self) -> list[str]:
        return [secret.reveal() for _, secret in accepted(self.ring.snapshot())]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._now())

    def __len__(self) -> int:
        return len(self.ring.snapshot().accepted)

    def __getitem__(self, index: Any) -> Any:
        return self._now()[index]

    def __contains__(self, key: object) -> bool:
        return key in self._now()

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list[Any]:
        return [*other, *self]

    def copy(self) -> list[str]:
        """The accepted keys of this moment."""
        return self._now()

    def __repr__(self) -> str:
        return f"<keys of keywheel ring {self.ring.name}>"

    def __reduce__(self) -> tuple[type[Fallbacks], tuple[str]]:
        return type(self), (self.ring.name,)

    def __deepcopy__(self, _memo: object) -> Fallbacks:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fallbacks) and other.ring.name == self.ring.name

    __hash__ = None

    def _fixed(self, *_arguments: Any, **_options: Any) -> Never:
        raise TypeError(
            f"these are the keys of ring {self.ring.name}; add a key to the ring (keywheel ring "
            "import), or write [*SECRET_KEY_FALLBACKS, key] for a list that no longer moves"
        )


# To a type checker these are the methods of a list, and no code should call them here.
for _name in ["append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"]:
    setattr(Fallbacks, _name, Fallbacks._fixed)
for _name in ["setitem", "delitem", "iadd", "imul"]:
    setattr(Fallbacks, f"__{_name}__", Fallbacks._fixed)


def secret_key(ring: RingOrName) -> tuple[LiveKey, Fallbacks]:
    """``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS`` over a ring of the kind ``secret``.

    Asks nobody and starts nothing; the first use of a key waits until it has arrived.
    """
    found = ring_of(ring)
    return LiveKey(found), Fallbacks(found)


def key(ring: RingOrName) -> LiveKey:
    """The key of a ring for a setting other than ``SECRET_KEY``, such as SimpleJWT's.

    Asks nobody and starts nothing.
    """
    return LiveKey(ring)

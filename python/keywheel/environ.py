"""Keys in ``os.environ``, and in a file, for code that reads them there again and again.

::

    keywheel.environ.bind({
        "SECRET_KEY": "ring:web",
        "SECRET_KEY_FALLBACKS": "ring:web?fallbacks",
    })

This is for code that cannot be changed to use a ring. It protects with what it has read and says
nothing about it, so it is given a second: it must read a variable anew for each use. What read the
variable once, when it was imported, keeps the old key for ever.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import keywheel
from keywheel import _worker
from keywheel.exceptions import ConfigurationError, KeywheelError, UnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Binding", "bind"]

# So many seconds may pass between reading a variable and protecting with what was read.
LINGER = 1.0

# So many seconds after something could not be shown it is tried again.
RETRY = 1.0

_log = logging.getLogger("keywheel")

_TARGET = re.compile(r"ring:(?P<ring>[^?]+)(?P<fallbacks>\?fallbacks)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]*")


def bind(
    variables: Mapping[str, str],
    *,
    file: str | os.PathLike[str] | None = None,
    separator: str = ",",
    rings: Mapping[str, keywheel.Ring] | None = None,
) -> Binding:
    """Sets the variables now, and again with each change of their rings until it is closed.

    ``ring:NAME`` is the primary's key. ``ring:NAME?fallbacks`` is every key that is accepted, with
    ``separator`` between them, the primary first: so whoever reads the two one after the other, and
    a rotation in between, has them all. ``file`` is written beside, for programs that read their
    environment from one: lines of ``NAME=value``, mode 0600, always the whole of it or the one
    before. ``rings`` gives rings by name that are not those of :func:`keywheel.ring`, for tests.

    What cannot be shown later, because the file cannot be written for example, is logged and tried
    again; until it is shown, a rotation waits for the key that is still there.

    A forked worker goes on with its own copy: with the hooks of this package at once, otherwise
    with the first change. Under uWSGI that needs ``--enable-threads``.

    Raises :class:`keywheel.ConfigurationError` for a variable that cannot be, and what the first
    use of a ring raises, and ``OSError`` for a file that cannot be written.
    """
    binding = Binding(variables, file, separator, rings or {})
    try:
        binding._begin()
    except BaseException:
        binding.close()
        raise
    return binding


class Binding:
    """Variables that follow their rings; a ``with`` block ends it."""

    def __init__(
        self,
        variables: Mapping[str, str],
        file: str | os.PathLike[str] | None,
        separator: str,
        rings: Mapping[str, keywheel.Ring],
    ) -> None:
        self._targets: dict[str, tuple[keywheel.Ring, bool]] = {}
        for name, target in variables.items():
            found = _TARGET.fullmatch(target)
            if not _NAME.fullmatch(name) or found is None:
                # What stands there may be the key itself, by mistake, so it is not quoted.
                raise ConfigurationError(
                    f"{name} binds nothing; write a variable's name, and ring:NAME or "
                    "ring:NAME?fallbacks"
                )
            called = found["ring"]
            ring = rings[called] if called in rings else keywheel.ring(called)
            self._targets[name] = (ring, found["fallbacks"] is not None)
        self._rings = {ring.name: ring for ring, _ in self._targets.values()}
        self._file = None if file is None else Path(file)
        self._separator = separator
        self._before = {name: os.environ.get(name) for name in self._targets}
        self._subscriptions: list[keywheel.Subscription] = []
        # The guard of what is shown next, or is shown, and those of what may be there until then.
        self._guards: dict[str, keywheel.Guard] = {}
        self._former: list[keywheel.Guard] = []
        self._lingering: dict[keywheel.Guard, threading.Timer] = {}
        self._retry: threading.Timer | None = None
        self._trouble: str | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_closed = False

    def _begin(self) -> None:
        with self._lock:
            self._follow(self._rings.values())
        self._subscriptions = [ring.on_change(self._changed) for ring in self._rings.values()]
        # A change before the subscription was told to nobody.
        self._update(self._rings.values())
        _worker.at_start(self._begin_again)

    def _changed(self, snapshot: keywheel.Snapshot) -> None:
        """In a thread of the package, after each change."""
        self._update([self._rings[snapshot.ring]])

    def _begin_again(self) -> None:
        """In a worker that was forked: the guards of the parent are not its own."""
        self._update(self._rings.values())

    def _update(self, rings: Iterable[keywheel.Ring]) -> None:
        with self._own_lock():
            if self._is_closed:
                return
            try:
                # Where the parent has forked, this process has no guard yet.
                missing = [ring for ring in self._rings.values() if ring.name not in self._guards]
                self._follow({ring.name: ring for ring in [*rings, *missing]}.values())
            except Exception as error:
                self._try_later(error)
            else:
                self._trouble = None

    def _follow(self, rings: Iterable[keywheel.Ring]) -> None:
        """Shows what is held now; until that has been done, what was shown stays guarded."""
        for ring in rings:
            self._take(ring)
        self._show()
        former, self._former = self._former, []
        for guard in former:
            timer = threading.Timer(LINGER, self._release, (guard,))
            timer.daemon = True
            self._lingering[guard] = timer
            timer.start()

    def _try_later(self, error: Exception) -> None:
        # The text of other exceptions may quote a key.
        is_ours = isinstance(error, (KeywheelError, OSError))
        trouble = str(error) if is_ours else type(error).__name__
        if trouble != self._trouble:
            names = ", ".join(self._targets)
            _log.warning("%s could not be set, which is tried again: %s", names, trouble)
            self._trouble = trouble
        # A ring that was shut down, or has no keys, tells when it has some.
        if self._retry is None and not isinstance(error, UnavailableError):
            self._retry = threading.Timer(RETRY, self._try_again)
            self._retry.daemon = True
            self._retry.start()

    def _try_again(self) -> None:
        with self._own_lock():
            self._retry = None
        self._update(self._rings.values())

    def _own_lock(self) -> threading.Lock:
        """The lock. What the parent held when it forked would never be let go of here."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
            self._guards, self._former, self._lingering = {}, [], {}
            self._retry = self._trouble = None
        return self._lock

    def _take(self, ring: keywheel.Ring) -> None:
        """Guards what the variable will hold, before it holds it."""
        guard = ring.guard()
        guard.__enter__()
        former = self._guards.get(ring.name)
        self._guards[ring.name] = guard
        if former is None:
            return
        if former.version == guard.version:
            former.__exit__(None, None, None)
        else:
            self._former.append(former)

    def _release(self, guard: keywheel.Guard) -> None:
        with self._own_lock():
            if self._lingering.pop(guard, None) is not None:
                guard.__exit__(None, None, None)

    def _show(self) -> None:
        values = {}
        for name, (ring, is_fallbacks) in self._targets.items():
            if is_fallbacks:
                secrets = [version.secret for version in ring.snapshot().accepted]
                keys = [secret.reveal() for secret in secrets if secret is not None]
                if any(self._separator in key for key in keys):
                    raise ConfigurationError(
                        f"a key of ring {ring.name} contains {self._separator!r}, which stands "
                        f"between the keys of {name}; give another separator"
                    )
                values[name] = self._separator.join(keys)
            else:
                values[name] = self._guards[ring.name].secret.reveal()
        # The fallbacks first: they accept both the key that was and the one that comes.
        for name in sorted(values, key=lambda name: not self._targets[name][1]):
            os.environ[name] = values[name]
        if self._file is not None:
            _write(self._file, values)

    def close(self) -> None:
        """Ends it: the variables are what they were before, and the file stays as it is."""
        for subscription in self._subscriptions:
            subscription.close()
        _worker.not_at_start(self._begin_again)
        with self._own_lock():
            if self._is_closed:
                return
            self._is_closed = True
            if self._retry is not None:
                self._retry.cancel()
            for timer in self._lingering.values():
                timer.cancel()
            for guard in [*self._lingering, *self._former, *self._guards.values()]:
                guard.__exit__(None, None, None)
            self._guards, self._former, self._lingering = {}, [], {}
            for name, value in self._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def __enter__(self) -> Self:
        """Gives itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()


def _write(file: Path, values: Mapping[str, str]) -> None:
    """Puts a new file in the place of the old one, readable for its owner alone."""
    text = "".join(f"{name}={_quoted(name, value)}\n" for name, value in values.items())
    # It is made with mode 0600.
    descriptor, made = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.replace(made, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(made)
        raise


def _quoted(name: str, value: str) -> str:
    """As shells, systemd and the readers of ``.env`` files have it."""
    if _PLAIN.fullmatch(value):
        return value
    if not value.isprintable():
        raise ConfigurationError(
            f"the key for {name} has characters that no environment file can hold; use the ring "
            "in the code instead"
        )
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'

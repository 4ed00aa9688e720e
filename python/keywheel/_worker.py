"""What the hooks of all servers share: how a worker begins, and how it ends.

It follows its rings and proves what it holds before anybody asks it for anything, and says goodbye.

Nobody's worker fails to begin because keys are not there yet, or cannot be put where somebody wants
them: what is wrong is logged, and the first use of a ring raises it again.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable

import keywheel
from keywheel.exceptions import ConfigurationError, KeywheelError

# How long the start of a worker waits for keys, in seconds. Celery kills a worker after four.
PATIENCE = 2.0

_log = logging.getLogger("keywheel")


# What else begins anew in a process that was forked.
_at_start: list[Callable[[], None]] = []


def at_start(begin: Callable[[], None]) -> None:
    """Has ``begin`` called in each worker, after its rings have arrived."""
    _at_start.append(begin)


def not_at_start(begin: Callable[[], None]) -> None:
    """Takes it back."""
    if begin in _at_start:
        _at_start.remove(begin)


def _begin() -> None:
    keywheel.start()
    # uWSGI does not tell Python that it has forked.
    keywheel._registry.revive()
    for begin in list(_at_start):
        try:
            begin()
        except KeywheelError:
            raise
        except Exception as error:
            # Under uWSGI what is raised here keeps the application from being loaded. The text of
            # an exception that is not this package's may quote a key.
            reason = error if isinstance(error, OSError) else type(error).__name__
            _log.warning("process %d goes on without what failed: %s", os.getpid(), reason)


def start() -> None:
    """Follows every ring that was named, and waits until each has arrived or could not."""
    try:
        _begin()
    except KeywheelError as error:
        _log.warning("process %d has no keys yet: %s", os.getpid(), error)


def start_soon(patience: float = PATIENCE) -> None:
    """The same for at most ``patience`` seconds; what takes longer goes on in a thread."""
    thread = threading.Thread(target=start, name="keywheel-start", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        # An interpreter that ends must find no thread in the middle of native code.
        atexit.register(_end, thread)


def start_child() -> None:
    """The start of a child whose author asked for nothing.

    It waits for nothing, and where no server is configured nobody is told so.
    """
    thread = threading.Thread(target=_start_unasked, name="keywheel-start", daemon=True)
    thread.start()
    atexit.register(_end, thread)


def _end(thread: threading.Thread) -> None:
    keywheel.shutdown()
    thread.join(PATIENCE)


def stop() -> None:
    """Says goodbye, so that no rotation waits for this process."""
    keywheel.shutdown()


def _start_unasked() -> None:
    try:
        _begin()
    except ConfigurationError as error:
        _log.debug("process %d follows no ring: %s", os.getpid(), error)
    except KeywheelError as error:
        _log.warning("process %d has no keys yet: %s", os.getpid(), error)

"""Children of ``multiprocessing`` follow their rings from the beginning, without any hook.

This module is imported with the package, so it imports nothing that is not there anyway.

``multiprocessing`` itself calls what is put into its way here, and only in a child that goes on to
run Python; a child that was forked to execute another program never meets the server. It does so
for each way to start a child, if this package is imported before the child's target runs; with
``spawn`` and ``forkserver`` that is where the main module imports it.

``KEYWHEEL_START_CHILDREN=0`` turns it off: then a child begins with its first use of a ring.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Children:
    def __init__(self) -> None:
        self._armed = False

    def arm(self) -> None:
        """Lets children of this process begin by themselves, if it can have any."""
        util: Any = sys.modules.get("multiprocessing.util")
        if self._armed or util is None or os.environ.get("KEYWHEEL_START_CHILDREN") == "0":
            return
        self._armed = True
        # For children that are forked, by a fork server too.
        util.register_after_fork(self, _Children._begin)
        process: Any = sys.modules["multiprocessing.process"]
        if getattr(process.current_process(), "_inheriting", False):
            # This is a spawned child that imports its main module. What comes next is this method,
            # where multiprocessing does nothing.
            context: Any = sys.modules["multiprocessing.context"]
            context.SpawnProcess._after_fork = staticmethod(self._begin)

    def _begin(self) -> None:
        """In a child, before its target runs."""
        from multiprocessing import util

        from keywheel import _worker

        # Such a child ends without the interpreter's own farewell.
        util.Finalize(None, _worker.stop, exitpriority=0)
        _worker.start_child()


# The registry of multiprocessing does not keep it alive.
_children = _Children()


def watch() -> None:
    """From now on."""
    _children.arm()
    # It may be imported later: then the child itself notices, before multiprocessing comes to it.
    os.register_at_fork(after_in_child=_children.arm)

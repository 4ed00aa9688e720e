"""A hook for uWSGI: each worker, also one that nobody asks for anything, proves what it holds.

At the end of the module that uWSGI loads, where the rings have been named::

    import keywheel.uwsgi

    keywheel.uwsgi.install()

It makes no difference whether the application is loaded before the fork or after it
(``--lazy-apps``), nor whether threads are enabled. uWSGI needs its master process
(``--master``) to call hooks.

A worker says goodbye when it ends, unless it is busy: then uWSGI calls nobody, and a rotation waits
until it has been silent for long enough. The same holds for the master if it has used a ring, so
only name rings while the module is loaded.
"""

from __future__ import annotations

import importlib
from typing import Any

from keywheel import _worker

__all__ = ["install"]


def install() -> None:
    """Has each worker follow its rings; does nothing outside of uWSGI.

    The worker waits for the keys as the first use of a ring would, ten seconds at most: without
    ``--enable-threads`` no thread could go on waiting behind the requests.
    """
    try:
        uwsgi: Any = importlib.import_module("uwsgi")
    except ImportError:
        return
    if uwsgi.worker_id() > 0 or uwsgi.masterpid() == 0:
        # The fork is behind us, or there is none.
        _worker.start()
        return
    decorators: Any = importlib.import_module("uwsgidecorators")
    decorators.postfork(_worker.start)

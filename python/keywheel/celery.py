"""Hooks for Celery: each process of a worker, also an idle one, proves what it holds.

Where the application is made::

    app = Celery("shop")
    keywheel.celery.install(app)
"""

from __future__ import annotations

import importlib
from typing import Any

from keywheel import _worker

__all__ = ["install"]


def install(app: Any = None) -> None:
    """Has each process that runs tasks follow the rings that were named by then.

    Those are the children of the prefork pool, or the worker itself where the pool is of threads.
    The signals of Celery know no application, so it is all the same which ``app`` is given.
    """
    signals: Any = importlib.import_module("celery.signals")
    signals.worker_process_init.connect(_begin, dispatch_uid="keywheel.begin")
    signals.worker_process_shutdown.connect(_end, dispatch_uid="keywheel.end")
    signals.worker_ready.connect(_ready, dispatch_uid="keywheel.ready")
    signals.worker_shutdown.connect(_end, dispatch_uid="keywheel.shutdown")


def _begin(**_: Any) -> None:
    _worker.start_soon()


def _ready(sender: Any = None, **_: Any) -> None:
    """The parent of a prefork pool runs no task, so it uses no key."""
    pool = type(getattr(sender, "pool", None))
    if pool.__module__ not in ("celery.concurrency.prefork", "celery.concurrency.solo"):
        _worker.start_soon()


def _end(**_: Any) -> None:
    _worker.stop()

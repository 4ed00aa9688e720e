"""Hooks for gunicorn: each worker, also one that nobody asks for anything, proves what it holds.

In ``gunicorn.conf.py``::

    from keywheel.gunicorn import post_fork, worker_exit

It makes no difference whether the application is preloaded.
"""

from __future__ import annotations

from typing import Any

from keywheel import _worker

__all__ = ["post_fork", "post_worker_init", "worker_exit"]


def post_fork(server: Any, worker: Any) -> None:
    """Has the worker follow its rings as soon as it has loaded the application, which names them.

    A ``post_worker_init`` of your own goes on to be called.
    """
    theirs = worker.cfg.post_worker_init

    def both(worker: Any) -> None:
        post_worker_init(worker)
        theirs(worker)

    if theirs is not post_worker_init:
        # This is the copy of the configuration that the worker has for itself.
        worker.cfg.set("post_worker_init", both)


def post_worker_init(worker: Any) -> None:
    """Follows every ring that the application has named; waits at most two seconds for the keys."""
    _worker.start_soon()


def worker_exit(server: Any, worker: Any) -> None:
    """Says goodbye to the server, so that no rotation waits for this worker."""
    _worker.stop()

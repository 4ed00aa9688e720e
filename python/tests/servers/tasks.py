"""The application as tasks of Celery, over a Redis of its own."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

import keywheel.celery
from servers import apps

address = f"redis+socket://{os.environ['MATRIX_FOLDER']}/redis"
app = Celery("matrix", broker=address, backend=address)
app.conf.worker_prefetch_multiplier = 1
keywheel.celery.install(app)


@app.task(name="respond")  # type: ignore[untyped-decorator]
def respond(path: str, query: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    time.sleep(float(query.get("hold", 0)))
    return apps.respond(path, query)

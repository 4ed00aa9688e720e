"""What is written again and again: an application that rotates its key by itself, on a schedule.

Beside it stands the same application with a ring.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from apscheduler.schedulers.background import BackgroundScheduler

from servers.where import ring

RUNS = Path(os.environ["MATRIX_FOLDER"]) / "runs"

keys = [secrets.token_hex()]


def rotate() -> None:
    """The job."""
    keys.append(secrets.token_hex())
    with RUNS.open("a") as runs:
        runs.write(f"{os.getpid()}\n")


scheduler = BackgroundScheduler()
scheduler.add_job(rotate, "interval", seconds=0.2)
scheduler.start()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Says which process answers, with which key, how often it was rotated, and who rotated."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    time.sleep(float(query.get("hold", 0)))
    answer = {
        "pid": os.getpid(),
        "rotations": len(keys) - 1,
        "first": keys[0],
        "key": keys[-1],
        "runs": [int(line) for line in RUNS.read_text().split()] if RUNS.exists() else [],
        "ring": ring.snapshot().version,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]

"""How a worker begins: nothing that goes wrong then keeps it from serving."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from support.installation import Installation, secret_ring

import keywheel
from keywheel import _worker

WORKER = """
    import logging, os, sys
    import keywheel
    from keywheel import _worker, environ

    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    folder, away = sys.argv[1:]
    environ.bind({"APP_KEY": "ring:web"}, file=folder + "/app.env")
    os.rename(folder, away)
    _worker.start()
    print("it serves with", len(os.environ["APP_KEY"]))
"""


def test_a_file_that_cannot_be_written_keeps_no_worker_from_serving(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    installation = install(secret_ring("web"))
    installation.token("web", "web")
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKER), tmp_path / "run", tmp_path / "away"],
        env={**os.environ, **installation.environment("web")},
        capture_output=True,
        text=True,
        check=True,
    )
    said, serves = done.stdout.splitlines()
    assert "app.env" in said
    assert serves.startswith("it serves with ")


@pytest.mark.parametrize("error", [OSError("no space left"), RuntimeError("s3cr3t")])
def test_what_fails_at_the_start_is_logged_and_the_rest_begins(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = []

    def fails() -> None:
        raise error

    monkeypatch.setattr(keywheel, "start", lambda: None)
    monkeypatch.setattr(_worker, "_at_start", [fails, lambda: begun.append(True)])
    _worker.start()
    assert begun == [True]
    assert "goes on" in caplog.text
    assert "s3cr3t" not in caplog.text

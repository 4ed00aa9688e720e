"""Fixtures of every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.installation import Installation, installed


@pytest.fixture
def install() -> Iterator[Callable[[str], Installation]]:
    """Makes installations that end with the test."""
    with ExitStack() as stack:
        yield lambda rings: stack.enter_context(installed(rings))

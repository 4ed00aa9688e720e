"""Fixtures for tests of applications: a ring that turns when the test says so, and asks no server.

def test_old_cookies_are_accepted(keywheel_ring, client):
    client.get("/login")
    keywheel_ring.rotate()
    assert client.get("/me").status_code == 200
"""

from __future__ import annotations

import pytest

from keywheel.testing import TestRing


@pytest.fixture
def keywheel_ring() -> TestRing:
    """A ring of the kind ``secret`` that its test turns by hand; see :class:`TestRing`."""
    return TestRing("test")

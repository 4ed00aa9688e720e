"""The soak in small."""

from __future__ import annotations

import soak


def test_what_a_keyset_brings_leaves_with_it() -> None:
    growth = soak.by_hand(2_000)
    # A version that stays behind is more than a kilobyte, a thread or a file shows by itself.
    assert growth.kib_per_thousand < 1_000, growth
    assert growth.threads <= 0, growth
    assert growth.files <= 0, growth


def test_nothing_stays_behind_of_a_real_server() -> None:
    growth = soak.on_a_server(15)
    assert growth.threads <= 0, growth
    assert growth.files <= 1, growth

"""Looks for known secrets: as they are, in hexadecimal, and in base64 wherever it begins.

The same forms are looked for in what command and server say (``crates/cli/tests/leaks.rs``).
"""

from __future__ import annotations

import base64

# A part of a secret counts as a leak when it is as long as this.
PART_BYTES = 16


class Search:
    """Known secrets, and everything that they may look like."""

    def __init__(self) -> None:
        self._patterns: dict[bytes, str] = {}

    def add(self, name: str, secret: bytes) -> None:
        """Adds a secret; its first and last bytes count by themselves."""
        assert len(secret) >= PART_BYTES, f"{name} is too short to be told from noise"
        for part in (secret[:PART_BYTES], secret[-PART_BYTES:]):
            self._patterns[part] = f"{name} in raw"
            self._patterns[part.hex().encode()] = f"{name} in hex"
            self._patterns[part.hex().upper().encode()] = f"{name} in hex"
            for shift in range(3):
                shifted = bytes(shift) + part
                # Only the characters that no neighbouring byte has a part in.
                whole = slice(-(-8 * shift // 6), 8 * len(shifted) // 6)
                for encode in (base64.b64encode, base64.urlsafe_b64encode):
                    self._patterns[encode(shifted)[whole]] = f"{name} in base64"

    def find(self, text: bytes) -> set[str]:
        """Which secrets are in it, and in which form."""
        return {name for pattern, name in self._patterns.items() if pattern in text}

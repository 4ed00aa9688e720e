"""What the pages show of the package is so."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, encryption_ring, eventually, outlasting

import keywheel
from keywheel._keywheel import Registry

ROOT = Path(__file__).parent.parent.parent


def blocks(page: Path, language: str) -> list[str]:
    parts = page.read_text().split(f"```{language}\n")[1:]
    return [part.partition("\n```")[0] for part in parts]


@pytest.mark.parametrize("page", ["docs/how-to/python.md", "python/README.md"])
def test_python_on_pages_is_python(page: str) -> None:
    found = blocks(ROOT / page, "python")
    assert found
    for block in found:
        ast.parse(block)


def test_the_guard_of_the_page_works_through_a_rotation(
    install: Callable[[str], Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = install(outlasting(encryption_ring("columns", "AES-256-GCM")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "columns"))
    monkeypatch.setattr(keywheel, "ring", registry.ring)
    page: dict[str, Any] = {}
    (block,) = (b for b in blocks(ROOT / "docs/how-to/python.md", "python") if ".guard()" in b)
    exec(compile(block, "python.md", "exec"), page)
    encrypt, decrypt, ring = page["encrypt"], page["decrypt"], page["columns"]
    first = encrypt(b"070-1740605", b"7")
    installation.rotate("columns")
    eventually("the second version protects", lambda: ring.snapshot().version == 2)
    second = encrypt(b"070-1740605", b"7")
    assert first.partition(b":")[0] != second.partition(b":")[0]
    assert decrypt(first, b"7") == decrypt(second, b"7") == b"070-1740605"
    eventually("its use is counted", lambda: _processed(installation).keys() == {"1", "2"})
    with pytest.raises(keywheel.UnknownKeyError):
        decrypt(b"nobody" + second, b"7")
    assert registry.shutdown()


def _processed(installation: Installation) -> dict[str, Any]:
    (consumer,) = installation.ring("columns")["consumers"]
    counts = consumer["instances"][0].get("counts", {})
    return {version: found for version, found in counts.items() if found["processed"]}


@pytest.mark.parametrize("example", ["flask", "fastapi", "django"])
def test_what_a_page_adds_to_an_application_stands_in_it(example: str) -> None:
    folder = ROOT / "examples" / example
    source = "\n".join(file.read_text() for file in folder.rglob("*.py"))
    added = [
        line[1:].strip()
        for block in blocks(folder / "README.md", "diff")
        for line in block.splitlines()
        if line.startswith("+")
    ]
    assert len(added) >= 2
    # A line may carry a comment for linters behind what the page shows.
    assert [line for line in added if line not in source] == []

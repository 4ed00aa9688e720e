"""What the pages show of the package is so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

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

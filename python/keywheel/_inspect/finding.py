"""What is said about an application, and where it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Some requests will fail, or a key that was retired goes on being accepted.
DANGER = "danger"
#: Good to know, and no failure by itself.
ADVICE = "advice"


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed. No value of a setting stands in it."""

    rule: str
    weight: str
    detail: str
    remedy: str
    #: The name of an object, as ``module.name``.
    object: str | None = None
    #: A file with its line.
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What is known of it."""
        return {name: value for name, value in vars(self).items() if value is not None}

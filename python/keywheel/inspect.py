"""Looks at an application for ``keywheel init --from-app`` and ``keywheel doctor --python``.

``python -m keywheel.inspect module:app`` imports the application as its server would, and says what
it found: settings, lifetimes, and what would stand in the way of a rotation. It calls no view,
opens no ring, and shows no key. Whatever the application prints goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from keywheel._inspect import application, rules
from keywheel._inspect.finding import DANGER
from keywheel._inspect.loading import NotLoadedError, load

__all__ = ["main"]

#: Grows when a field changes its meaning.
FORMAT = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives the exit code: 0 well, 1 a danger or no application, 2 usage."""
    options = _parser().parse_args(arguments)
    out = _claim_output()
    report: dict[str, Any]
    try:
        # As for a server that is started here.
        sys.path.insert(0, os.getcwd())
        report = _report(options.application, options.key_file)
    except NotLoadedError as error:
        report = {"format": FORMAT, "error": {"cause": str(error), "remedy": error.remedy}}
    if options.json:
        json.dump(report, out)
        out.write("\n")
    else:
        _show(report, out)
    out.flush()
    failed = "error" in report or any(
        finding["weight"] == DANGER for finding in report.get("findings", ())
    )
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keywheel.inspect",
        description="Says what of an application matters for rotations; never shows a key.",
    )
    parser.add_argument(
        "application", help="module:attribute, or module:factory(), as its server is told"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="write the present key there, a new file of mode 0600, for `keywheel ring import`",
    )
    return parser


def _claim_output() -> TextIO:
    """Keeps standard output for the report: what others print from now on goes to standard error.

    Also what is written past Python's own streams.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _report(name: str, key_file: str | None) -> dict[str, Any]:
    found = application.look(load(name))
    written = None
    if key_file is not None and found.key is not None and not found.live:
        try:
            written = application.write_key(found, key_file)
        except OSError as error:
            raise NotLoadedError(
                f"{key_file} cannot be written: {error.strerror}",
                "name a file that does not exist yet",
            ) from error
        except TypeError as error:
            raise NotLoadedError(str(error), "leave --key-file out, and import it by hand") from (
                error
            )
    state = "absent" if found.key is None else "static"
    return {
        "format": FORMAT,
        "application": {
            "name": name,
            "framework": found.framework,
            "version": application.version_of(found.framework),
            "python": ".".join(str(part) for part in sys.version_info[:3]),
        },
        "key": {
            "setting": found.setting,
            "state": "live" if found.live else state,
            "fallbacks": found.fallback_count,
            "written_bytes": written,
        },
        "lifetimes": [
            {"setting": setting, "seconds": seconds} for setting, seconds in found.lifetimes
        ],
        "processes": application.processes(),
        "findings": [finding.as_json() for finding in rules.look(found)],
    }


def _show(report: dict[str, Any], out: TextIO) -> None:
    if "error" in report:
        error = report["error"]
        out.write(f"error: {error['cause']}\n  remedy: {error['remedy']}\n")
        return
    about = report["application"]
    out.write(f"{about['name']}: {about['framework']} {about['version'] or ''}".rstrip() + "\n")
    for finding in report["findings"]:
        out.write(f"{finding['weight']}: {finding['rule']}: {finding['detail']}\n")
        place = finding.get("object") or finding.get("file")
        if place:
            line = f":{finding['line']}" if "line" in finding else ""
            out.write(f"  at: {place}{line}\n")
        out.write(f"  remedy: {finding['remedy']}\n")


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Threads that the application started, and its farewells, have no say in when this ends.
    os._exit(code)

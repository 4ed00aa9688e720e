"""Measures scanners over trees: `bench_scan.py SPEED BIN NAME=PATH[:PATH…]…`.

SPEED is the example of crates/scan that scans once, BIN a folder in which the programs of others
are looked for first; one that is not there is left out. The programs take turns, twice after
one that is not counted. What is printed is Markdown.
"""

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 2
PATTERN = r"(?i)secret|jwt|hmac|api.?key|private.?key|encrypt|fernet|passphrase"


def programs(speed: str, folder: str) -> dict[str, list[str]]:
    """What is run, without the paths."""
    path = os.pathsep.join([folder, os.environ["PATH"]])
    known = {
        "keywheel": [speed],
        "kingfisher": [
            "kingfisher", "scan", "--no-validate", "--git-history", "none", "--no-update-check",
            "--confidence", "low", "--quiet", "--format", "json",
        ],
        "ripgrep -j1, one pattern": ["rg", "-j1", "--no-ignore", "--hidden", "-c", PATTERN],
    }  # fmt: skip
    there = {}
    for name, (program, *arguments) in known.items():
        binary = shutil.which(program, path=path)
        if binary is not None:
            there[name] = [binary, *arguments]
    return there


def once(command: list[str], paths: list[str]) -> tuple[float, int]:
    """The CPU seconds of a run with all its threads, and its largest size in KiB."""
    devnull = subprocess.DEVNULL
    child = subprocess.Popen([*command, *paths], stdout=devnull, stderr=devnull)
    _, _, used = os.wait4(child.pid, 0)
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def size(paths: list[str]) -> tuple[int, int]:
    """How many files and bytes stand below the paths."""
    files = bytes_ = 0
    for path in paths:
        for where, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name != ".git"]
            for name in names:
                file = Path(where, name)
                if file.is_file() and not file.is_symlink():
                    files, bytes_ = files + 1, bytes_ + file.stat().st_size
    return files, bytes_


def main() -> None:
    speed, folder, *trees = sys.argv[1:]
    print("| tree | program | CPU s | of keywheel's | MB per CPU s | peak MiB |")
    print("|---|---|---|---|---|---|")
    for tree in trees:
        name, _, paths = tree.partition("=")
        roots = paths.split(":")
        files, bytes_ = size(roots)
        megabytes = bytes_ / 1e6
        title = f"{name}, {files:,} files, {megabytes:.0f} MB"
        commands = programs(speed, folder)
        taken: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
        for turn in range(ROUNDS + 1):
            for program, command in commands.items():
                one = once(command, roots)
                if turn:
                    taken[program].append(one)
        own = statistics.median(cpu for cpu, _ in taken["keywheel"])
        for program, runs in taken.items():
            cpu = statistics.median(cpu for cpu, _ in runs)
            peak = max(peak for _, peak in runs) / 1024
            print(
                f"| {title} | {program} | {cpu:.2f} | {cpu / own:.2f}× "
                f"| {megabytes / cpu:.0f} | {peak:.0f} |",
                flush=True,
            )
            title = ""


if __name__ == "__main__":
    main()

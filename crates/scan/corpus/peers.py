"""Counts how many labelled lines scanners of others report: `peers.py TEXTS [BIN…]`.

TEXTS is the folder that README.md speaks of, BIN are folders with the programs; a program that
is not there is left out. semgrep needs rules too, which SEMGREP_RULES names. A label is found when a tool reports its line, or one of the lines of the
call that begins there, whatever it takes it for. What is printed is Markdown.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
CALL_LINES = 40
KEYS = r"(?i)secret|jwt|hmac|api.?key|private.?key|sign(ing)?.?key|encrypt|fernet|passphrase|_key\b"


def rows(name):
    for path in sorted(HERE.glob(f"{name}*.jsonl")):
        one_set = [json.loads(line) for line in path.read_text().splitlines() if line]
        yield one_set


def second_half():
    """The repositories nobody looked at while the rules were made, as evaluate.rs takes them."""
    chosen = set()
    for files in rows("files"):
        repos = sorted({(row["repo"].rsplit("/")[-1].lower(), row["repo"]) for row in files})
        chosen.update(repo for _, repo in repos[(len(repos) + 1) // 2 :])
    return chosen


def end_of(lines, line):
    """The last line of what begins on a line: that on which all its brackets are closed."""
    depth = 0
    for number in range(line, line + CALL_LINES):
        if number > len(lines):
            return number
        text = lines[number - 1]
        depth += sum(text.count(sign) for sign in "([{") - sum(text.count(sign) for sign in ")]}")
        if depth <= 0:
            return number
    return line


def detect_secrets(run, folder):
    found = json.loads(run("detect-secrets", "scan", "--all-files", "--no-verify", "."))
    for path, all_of_it in found["results"].items():
        for one in all_of_it:
            yield path, one["line_number"]


def bandit(run, folder):
    text = run("bandit", "-q", "-r", ".", "-t", "B105,B106,B107", "-f", "json", "--exit-zero")
    for one in json.loads(text)["results"]:
        yield one["filename"], one["line_number"]


def credsweeper(run, folder):
    out = folder.parent / "credsweeper.json"
    run("credsweeper", "--path", ".", "--save-json", str(out))
    for one in json.loads(out.read_text()):
        for line in one["line_data_list"]:
            yield line["path"], line["line_num"]


def kingfisher(run, folder):
    text = run(
        "kingfisher", "scan", ".", "--no-validate", "--git-history", "none", "--confidence", "low",
        "--no-update-check", "--format", "json", "--no-dedup",
    )  # fmt: skip
    for line in text.splitlines():
        if line.startswith(("{", "[")):
            yield from places_in(json.loads(line))


def places_in(value):
    """Every path and line in a report, wherever it keeps them."""
    if isinstance(value, dict):
        if "path" in value and isinstance(value.get("line"), int):
            yield value["path"], value["line"]
        for inner in value.values():
            yield from places_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places_in(inner)


def ripsecrets(run, folder):
    yield from by_colons(run("ripsecrets", "."))


def semgrep(run, folder):
    rules = os.environ.get("SEMGREP_RULES")
    if rules is None:
        raise Absent("rules of semgrep")
    # Without this file, semgrep leaves out tests and samples, of which people labelled some.
    (folder / ".semgrepignore").write_text("")
    text = run(
        "semgrep", "scan", "--config", rules, "--metrics", "off", "--disable-version-check",
        "--no-git-ignore", "--max-target-bytes", "0", "--quiet", "--json", ".",
    )  # fmt: skip
    for one in json.loads(text)["results"]:
        yield one["path"], one["start"]["line"]


def one_regex(run, folder):
    yield from by_colons(run("rg", "--no-ignore", "--hidden", "-n", "--no-heading", KEYS, "."))


def by_colons(text):
    for line in text.splitlines():
        parts = re.match(r"(.+?):(\d+):", line)
        if parts:
            yield parts[1], int(parts[2])


TOOLS = {
    "detect-secrets": detect_secrets,
    "bandit, B105 to B107": bandit,
    "credsweeper": credsweeper,
    "ripsecrets": ripsecrets,
    "kingfisher, low confidence": kingfisher,
    "ripgrep with one pattern": one_regex,
    "semgrep": semgrep,
}


class Absent(Exception):
    """A program that is not there."""


def main():
    texts, path = Path(sys.argv[1]), os.pathsep.join([*sys.argv[2:], os.environ["PATH"]])
    files = [row for one_set in rows("files") for row in one_set]
    unseen = second_half()
    labels, doubtful = defaultdict(list), defaultdict(set)
    for row in (row for one_set in rows("labels") for row in one_set):
        labels[row["repo"], row["path"]].append(row)
    for row in (row for one_set in rows("doubtful") for row in one_set):
        doubtful[row["repo"], row["path"]].add(row["line"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "texts"
        for row in files:
            target = folder / row["local"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(texts / row["local"], target)

        def run(program, *arguments):
            binary = shutil.which(program, path=path)
            if binary is None:
                raise Absent(program)
            done = subprocess.run(
                [binary, *arguments],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            return done.stdout.decode(errors="replace")

        print("| tool | labels found | in unseen repositories | literals in code | lines reported "
              "| of them with a label | CPU s |")
        print("|---|---|---|---|---|---|---|")
        for name, tool in TOOLS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            try:
                found = defaultdict(set)
                for where, line in tool(run, folder):
                    found[os.path.normpath(os.path.relpath(folder / where, folder))].add(line)
            except Absent:
                continue
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(counted(name, files, unseen, labels, doubtful, found, folder, cpu))


def counted(name, files, unseen, labels, doubtful, found, folder, cpu):
    hits, new, literals, reported, right = [0, 0], [0, 0], [0, 0], 0, 0
    for row in files:
        here = (row["repo"], row["path"])
        lines = (folder / row["local"]).read_text(errors="replace").splitlines()
        said = found.get(os.path.normpath(row["local"]), set())
        spans = []
        for label in labels[here]:
            span = range(label["line"], end_of(lines, label["line"]) + 1)
            spans.append(span)
            is_hit = any(line in span for line in said)
            for count, counts in (
                (hits, True),
                (new, row["repo"] in unseen),
                (literals, label["kind"] == "hardcoded"),
            ):
                count[0] += is_hit and counts
                count[1] += counts
        judged = [line for line in said if line not in doubtful[here]]
        reported += len(judged)
        right += sum(any(line in span for span in spans) for line in judged)
    of = " | ".join(f"{one} of {whole}" for one, whole in (hits, new, literals))
    return f"| {name} | {of} | {reported} | {right} | {cpu:.1f} |"


if __name__ == "__main__":
    main()

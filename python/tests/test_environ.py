"""Keys in the environment, for code that rereads it: the contract, and what an environment is."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from contract import check, check_outage
from dotenv import dotenv_values
from support.installation import Installation, eventually, outlasting, secret_ring

import keywheel
from keywheel import environ
from keywheel._keywheel import Registry
from keywheel.exceptions import ConfigurationError
from keywheel.testing import TestRing

VARIABLES = {"APP_KEY": "ring:web", "APP_KEYS": "ring:web?fallbacks"}


def seal(key: str) -> str:
    return hmac.new(key.encode(), b"alice", hashlib.sha256).hexdigest()


def accepted_of(ring: keywheel.Ring) -> list[str]:
    secrets = [version.secret for version in ring.snapshot().accepted]
    return [secret.reveal() for secret in secrets if secret is not None]


def await_step(ring: keywheel.Ring) -> None:
    """Waits until the environment is in step: changes are told in another thread."""

    def is_in_step() -> bool:
        keys = accepted_of(ring)
        return os.environ["APP_KEYS"].split(",") == keys and os.environ["APP_KEY"] == keys[0]

    eventually("the environment is in step", is_in_step)


class Rereading:
    """Code that knows nothing but two variables, and reads them anew for each use."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._ring = ring

    def issue(self) -> str:
        await_step(self._ring)
        return seal(os.environ["APP_KEY"])

    def accepts(self, artefact: str) -> bool:
        await_step(self._ring)
        return artefact in map(seal, os.environ["APP_KEYS"].split(","))


class OfTheStart(Rereading):
    """Code that read its variables when it began, as most does."""

    def __init__(self, ring: keywheel.Ring) -> None:
        super().__init__(ring)
        self._key, self._keys = os.environ["APP_KEY"], os.environ["APP_KEYS"].split(",")

    def issue(self) -> str:
        return seal(self._key)

    def accepts(self, artefact: str) -> bool:
        return artefact in map(seal, self._keys)


@pytest.fixture
def bound() -> Iterator[Callable[[keywheel.Ring], environ.Binding]]:
    """Binds rings for the time of a test."""
    bindings = []

    def bind(ring: keywheel.Ring, file: Path | None = None) -> environ.Binding:
        bindings.append(environ.bind(VARIABLES, rings={"web": ring}, file=file))
        return bindings[-1]

    yield bind
    for binding in bindings:
        binding.close()


def test_the_contract(bound: Callable[[keywheel.Ring], environ.Binding]) -> None:
    def make(ring: keywheel.Ring) -> Rereading:
        bound(ring)
        return Rereading(ring)

    check(make)


def test_an_outage(
    install: Callable[[str], Installation], bound: Callable[[keywheel.Ring], environ.Binding]
) -> None:
    def make(ring: keywheel.Ring) -> Rereading:
        bound(ring)
        return Rereading(ring)

    installation = install(outlasting(secret_ring("web", lifetime="10m")))
    installation.token("web", "web")
    check_outage(make, installation, "web")


def test_code_that_read_its_variables_once_keeps_the_old_key(
    bound: Callable[[keywheel.Ring], environ.Binding],
) -> None:
    def make(ring: keywheel.Ring) -> OfTheStart:
        bound(ring)
        return OfTheStart(ring)

    with pytest.raises(AssertionError, match="what is retired is refused"):
        check(make)


def test_the_file_is_private_whole_and_readable_by_others(
    tmp_path: Path, keywheel_ring: TestRing
) -> None:
    file = tmp_path / "app.env"
    ring = keywheel_ring.ring
    with environ.bind(VARIABLES, rings={"web": ring}, file=file):
        for _ in range(2):
            await_step(ring)
            keys = accepted_of(ring)
            expected = {"APP_KEY": keys[0], "APP_KEYS": ",".join(keys)}
            eventually(
                "the file is in step", lambda expected=expected: dotenv_values(file) == expected
            )
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert os.listdir(tmp_path) == ["app.env"]
            keywheel_ring.rotate()


def test_a_file_holds_every_key_that_a_line_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = 'with blanks, "quotes", back\\slash, $HOME and `ticks`'
    (tmp_path / "keys.toml").write_text(f"[odd]\nkeys = ['''{key}''']\n")
    registry = Registry()
    registry.configure(url=f"file:{tmp_path}/keys.toml")
    file = tmp_path / "app.env"
    with environ.bind({"ODD": "ring:odd"}, rings={"odd": registry.ring("odd")}, file=file):
        assert os.environ["ODD"] == key
    shown = subprocess.run(
        ["sh", "-c", f'. {file}; printf %s "$ODD"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == key
    with pytest.raises(ConfigurationError, match="another separator"):
        environ.bind({"ODD": "ring:odd?fallbacks"}, rings={"odd": registry.ring("odd")})


def test_what_was_there_before_comes_back(
    monkeypatch: pytest.MonkeyPatch, keywheel_ring: TestRing
) -> None:
    monkeypatch.setenv("APP_KEY", "of before")
    monkeypatch.delenv("APP_KEYS", raising=False)
    binding = environ.bind(VARIABLES, rings={"web": keywheel_ring.ring})
    assert os.environ["APP_KEY"] != "of before"
    binding.close()
    binding.close()
    assert os.environ["APP_KEY"] == "of before"
    assert "APP_KEYS" not in os.environ
    keywheel_ring.rotate()
    assert os.environ["APP_KEY"] == "of before"


def test_what_stands_in_place_of_a_ring_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY") as caught:
        environ.bind({"SECRET_KEY": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_the_old_key_stays_guarded_while_the_file_holds_it(
    install: Callable[[str], Installation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(environ, "LINGER", 0.0)
    monkeypatch.setattr(environ, "RETRY", 0.5)
    written, write = [], environ._write

    def counted(file: Path, values: Mapping[str, str]) -> None:
        written.append(values["APP_KEY"])
        write(file, values)

    monkeypatch.setattr(environ, "_write", counted)
    installation = install(outlasting(secret_ring("web")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    ring = registry.ring("web")
    folder, away = tmp_path / "run", tmp_path / "away"
    folder.mkdir()
    file = folder / "app.env"
    with environ.bind(VARIABLES, rings={"web": ring}, file=file):
        first = dotenv_values(file)["APP_KEY"]
        folder.rename(away)
        installation.rotate("web")
        eventually("the new version protects", lambda: ring.snapshot().version == 2)
        second = accepted_of(ring)[0]
        # Long enough for a rotation that waits for nobody to be over.
        eventually("it is tried again and again", lambda: written.count(second) > 12)
        assert installation.ring("web")["stage"] != "rest"
        assert len(accepted_of(ring)) == 2, "what the file holds is not retired"
        assert dotenv_values(away / "app.env")["APP_KEY"] == first
        away.rename(folder)
        eventually("it is written", lambda: dotenv_values(file)["APP_KEY"] == second)
        eventually("the rotation is over", lambda: _is_over(installation))
        eventually("the old one is retired", lambda: len(accepted_of(ring)) == 1)
    warnings = [record.getMessage() for record in caplog.records if record.name == "keywheel"]
    assert any("could not be set" in warning for warning in warnings)
    assert not any(key in warning for warning in warnings for key in (first or "", second))
    registry.shutdown()


def test_a_key_that_cannot_be_shown_leaves_the_old_one_guarded(
    install: Callable[[str], Installation], caplog: pytest.LogCaptureFixture
) -> None:
    installation = install(outlasting(secret_ring("web")))
    registry = Registry()
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    ring = registry.ring("web")
    # Every key contains nothing at all.
    with environ.bind(VARIABLES, rings={"web": ring}) as binding:
        first = os.environ["APP_KEY"]
        binding._separator = ""
        installation.rotate("web")
        eventually("it is said", lambda: "another separator" in caplog.text)
        eventually("the new version protects", lambda: ring.snapshot().version == 2)
        eventually("the old one is guarded", lambda: [g.version for g in binding._former] == [1])
        assert os.environ["APP_KEY"] == first
        binding._separator = ","
        await_step(ring)
        assert os.environ["APP_KEY"] != first
        eventually("the rotation is over", lambda: _is_over(installation))
    registry.shutdown()


def test_what_cannot_be_bound_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keywheel_ring: TestRing
) -> None:
    monkeypatch.setenv("APP_KEY", "of before")
    with pytest.raises(OSError, match="missing"):
        environ.bind(VARIABLES, rings={"web": keywheel_ring.ring}, file=tmp_path / "missing/env")
    assert os.environ["APP_KEY"] == "of before"


@pytest.mark.parametrize("variables", [{"A": "web"}, {"A": "ring:"}, {"A B": "ring:web"}])
def test_what_binds_nothing_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="binds nothing"):
        environ.bind(variables)


WORKERS = """
    import multiprocessing, os, sys
    import keywheel
    from keywheel import environ
    environ.bind({"APP_KEY": "ring:web"})

    def work(asked, answers):
        while asked.get():
            answers.put((os.getpid(), os.environ["APP_KEY"]))

    context = multiprocessing.get_context("fork")
    asked, answers = context.Queue(), context.Queue()
    children = [context.Process(target=work, args=(asked, answers), daemon=True) for _ in "ab"]
    for child in children:
        child.start()
    for line in sys.stdin:
        for _ in "abcdefgh":
            asked.put(True)
        found = dict(answers.get() for _ in "abcdefgh")
        found[os.getpid()] = os.environ["APP_KEY"]
        print(len(found), *sorted(set(found.values())), flush=True)
"""


def test_every_process_follows_and_a_rotation_waits_until_it_has(
    install: Callable[[str], Installation],
) -> None:
    installation = install(outlasting(secret_ring("web")))
    installation.token("web", "web")
    environment = {**os.environ, **installation.environment("web")}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKERS)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None

        def ask() -> list[str]:
            assert parent.stdin is not None
            assert parent.stdout is not None
            print(file=parent.stdin, flush=True)
            return parent.stdout.readline().split()

        def ask_all() -> set[str]:
            found: list[str] = eventually(
                "all three answer", lambda: answer if (answer := ask())[0] == "3" else None
            )
            return set(found[1:])

        try:
            first = ask_all()
            assert len(first) == 1
            eventually("three have proved", lambda: len(_proved(installation)) == 3)
            installation.rotate("web")
            # Once all have switched, nobody holds the old key in a variable any more.
            eventually("the rotation is over", lambda: _is_over(installation))
            second = ask_all()
            assert len(second) == 1
            assert second != first
        finally:
            # Its children too, which would wait for their next question for ever.
            os.killpg(parent.pid, signal.SIGKILL)


def _proved(installation: Installation) -> list[str]:
    status = installation.ring("web")
    found = [one for consumer in status["consumers"] for one in consumer["instances"]]
    return [one["id"] for one in found if one.get("holds") == status["keyset_revision"]]


def _is_over(installation: Installation) -> bool:
    status = installation.ring("web")
    return bool(status["primary"] == 2 and status["stage"] == "rest")

"""The examples, as their pages say: each under its own server, through rotations under load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from support.installation import PATIENCE, Connection, Installation, eventually, installed

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
# In the place of weeks, so that a replaced version is retired while the test looks.
YOUNG_SECONDS = 4.0
LIFETIME = 'longest_lifetime = "4s"\nskew = "0s"\nlease_ttl = "2s"\noffline_max = "20s"'


@dataclass
class Answer:
    status: int
    text: str
    cookie: str


@dataclass
class Site:
    """An example that runs."""

    folder: Path
    installation: Installation
    json_login: bool = False

    def ask(
        self,
        path: str,
        cookie: str = "",
        form: dict[str, str] | None = None,
        bearer: str = "",
    ) -> Answer:
        connection = Connection(str(self.folder / "web"))
        headers = {"Connection": "close", "Cookie": cookie}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        body = None
        if form is not None:
            kind = "json" if self.json_login else "x-www-form-urlencoded"
            headers["Content-Type"] = f"application/{kind}"
            body = json.dumps(form) if self.json_login else urlencode(form)
        try:
            connection.request("GET" if form is None else "POST", path, body, headers)
            answer = connection.getresponse()
            cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            return Answer(answer.status, answer.read().decode(), cookie)
        finally:
            connection.close()

    def login(self) -> Answer:
        return self.ask("/login", form={"user": "ada"})

    def status(self) -> dict[str, object]:
        return self.installation.ring("web-session")

    def states(self) -> dict[int, str]:
        versions = self.installation.ring("web-session")["versions"]
        return {version["number"]: version["state"] for version in versions}

    def settle(self, verb: str) -> None:
        """Takes a step and waits until it is over."""
        before = self.status()["primary"]
        self.installation.verb("web-session", verb)

        def is_over() -> bool:
            status = self.status()
            return status["primary"] != before and status["stage"] == "rest"

        eventually(f"{verb} is over", is_over)


@dataclass
class Held:
    """Something from before a step, and the version that signed it."""

    version: int
    show: Callable[[], Answer]


@dataclass
class Load:
    """Users who log in and come back, and what they were given before each step."""

    site: Site
    more: list[Callable[[], Answer]] = field(default_factory=list)
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        targets = [self._users, self._users, self._returning]
        threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join(PATIENCE)

    def hold(self, show: Callable[[], Answer]) -> None:
        """To be called while the ring rests, so that it is known what signed it."""
        primary = self.site.status()["primary"]
        assert isinstance(primary, int)
        self.held.append(Held(primary, show))

    def _expect(self, answer: Answer, what: str) -> None:
        self.requests += 1
        if answer.status >= 400:
            self.failures.append(f"{what}: {answer.status} {answer.text}")

    def _users(self) -> None:
        while not self._end.is_set():
            try:
                at = time.monotonic()
                login = self.site.login()
                self._expect(login, "login")
                for _ in range(3):
                    answer = self.site.ask("/me", login.cookie)
                    # On a busy machine it may have outlived its version by now.
                    if time.monotonic() - at < YOUNG_SECONDS:
                        self._expect(answer, "a session of now")
                for ask in self.more:
                    self._expect(ask(), "another request")
            except Exception as error:
                self.failures.append(repr(error))

    def _returning(self) -> None:
        while not self._end.wait(0.02):
            for held in list(self.held):
                try:
                    answer = held.show()
                    # The server retires first, and then the workers let go.
                    gone = self.site.states()[held.version] in ("retired", "destroyed")
                    if answer.status < 400 or not gone:
                        self._expect(answer, f"what v{held.version} signed")
                except Exception as error:
                    self.failures.append(repr(error))


@contextmanager
def example(name: str, *consumers: str) -> Iterator[Site]:
    """The files of an example in a folder of their own, and its rings at a server."""
    folder = Path(tempfile.mkdtemp(prefix="kwe"))
    shutil.copytree(EXAMPLES / name, folder / "x")
    text = (folder / "x/keywheel.toml").read_text()
    rings = text[text.index("[ring.") :]
    for line in rings.splitlines():
        if line.startswith("longest_lifetime") and 'd"' in line:
            rings = rings.replace(line, LIFETIME)
    try:
        with installed(rings) as installation:
            names = [line[6:-1] for line in rings.splitlines() if line.startswith("[ring.")]
            for consumer in consumers:
                installation.token(consumer, *names)
            yield Site(folder / "x", installation)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def process(site: Site, consumer: str, *command: str) -> Iterator[None]:
    """One of its processes, started as its page says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KEYWHEEL_")}
    environment.update(site.installation.environment(consumer))
    with (site.folder / f"{consumer}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=site.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
        assert started.poll() is None, (site.folder / f"{consumer}.log").read_text()
    finally:
        started.terminate()
        try:
            started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def answers(site: Site) -> bool:
    try:
        return site.ask("/me").status == 401
    except OSError:
        return False


def turn(site: Site, load: Load, give: Callable[[], list[Callable[[], Answer]]]) -> None:
    """Rotation, rollback, rotation and retirement, while everybody goes on."""
    with load.going_on():
        for verb in ("rotate", "rollback", "rotate"):
            for show in give():
                load.hold(show)
            site.settle(verb)
        primary = site.status()["primary"]
        others = [held for held in load.held if held.version != primary]
        eventually(
            "the old versions are retired",
            lambda: all(site.states()[held.version] in ("retired", "destroyed") for held in others),
        )
        for held in others:
            eventually(
                "what a retired version signed is refused",
                lambda shown=held.show: shown().status in (401, 403),
            )
    assert not load.failures, load.failures[:5]
    assert load.requests > 50
    assert others


def sessions(site: Site) -> list[Callable[[], Answer]]:
    cookie = site.login().cookie
    return [lambda: site.ask("/me", cookie)]


def test_flask_under_gunicorn() -> None:
    with (
        example("flask", "web") as site,
        process(site, "web", "gunicorn", "--no-control-socket", "--bind", "unix:web", "app:app"),
    ):
        eventually("it answers", lambda: answers(site))
        turn(site, Load(site), lambda: sessions(site))


def test_fastapi_under_uvicorn() -> None:
    with (
        example("fastapi", "web") as site,
        process(site, "web", "uvicorn", "--workers", "2", "--uds", "web", "app:app"),
    ):
        site.json_login = True
        eventually("it answers", lambda: answers(site))
        # Tokens live for a quarter of an hour, so none of them is refused in this test.
        token = json.loads(site.login().text)["access_token"]
        load = Load(site, more=[lambda: site.ask("/api/me", bearer=token)])
        turn(site, load, lambda: sessions(site))
        site.installation.rotate("access-token")
        eventually(
            "the key of tokens turned",
            lambda: site.installation.ring("access-token")["primary"] == 2,
        )
        assert site.ask("/api/me", bearer=token).status == 200
        assert site.ask("/api/me", bearer=token + "x").status == 401


def test_django_under_gunicorn_with_celery() -> None:
    with example("django", "web", "tasks") as site:
        for name in ("queue", "control"):
            (site.folder / name).mkdir()
        celery = ("celery", "-A", "shop", "worker", "--concurrency", "2", "-l", "warning")
        gunicorn = ("gunicorn", "--no-control-socket", "--bind", "unix:web", "shop.wsgi")
        with process(site, "web", *gunicorn), process(site, "tasks", *celery):
            eventually("it answers", lambda: answers(site))
            orders = iter(range(1000))

            def given() -> list[Callable[[], Answer]]:
                number = str(next(orders))
                session = site.login().cookie
                sent = site.ask("/order", session, form={"order": number})
                assert sent.status == 202, sent
                mail = site.folder / "outbox" / f"{number}.txt"
                eventually("the receipt is sent", mail.exists)
                link = mail.read_text().strip()
                return [lambda: site.ask("/me", session), lambda: site.ask(link)]

            turn(site, Load(site), given)

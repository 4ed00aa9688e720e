"""Where keys come from when no server is asked, and in which order what is configured counts."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from support.installation import Installation, secret_ring

import keywheel
from keywheel._keywheel import Registry
from keywheel.exceptions import ConfigurationError, InvalidTokenError, KeyFileWarning

Install = Callable[[str], Installation]

OLD, NEW = "o" * 43, "n" * 43


def _revealed(ring: keywheel.Ring) -> list[str]:
    secrets = [version.secret for version in ring.snapshot().accepted]
    return [secret.reveal() for secret in secrets if secret is not None]


def _ring(url: str, name: str = "web") -> keywheel.Ring:
    registry = Registry()
    registry.configure(url=url)
    return registry.ring(name)


def test_a_file_gives_keys_the_newest_first(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}", "{OLD}"]\n')
    ring = _ring(f"file:{file}")
    assert _revealed(ring) == [NEW, OLD]
    with ring.guard() as guard:
        assert (guard.version, guard.secret.reveal()) == (2, NEW)
    assert not ring.health()["proved"], "nobody is told what this process holds"


def test_a_file_that_others_may_read_is_warned_of_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}"]\n')
    file.chmod(0o640)
    ring = _ring(f"file:{file}")
    with pytest.warns(KeyFileWarning, match=rf"{file} has the mode 0640.*run chmod 600") as warned:
        ring.snapshot()
    assert len(warned) == 1
    file.chmod(0o600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ring.secret()
        _ring(f"file:{file}").snapshot()
    file.chmod(0o604)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ring = _ring(f"file:{file}")
        with pytest.raises(KeyFileWarning):
            ring.snapshot()
        assert _revealed(ring) == [NEW]


def test_a_key_keeps_its_kid_when_a_newer_one_is_put_before_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[api]\nalgorithm = "HS256"\nkeys = ["{OLD}"]\n')
    token = keywheel.jwt.encode({"sub": "alice"}, _ring(f"file:{file}", "api"))
    file.write_text(f'[api]\nalgorithm = "HS256"\nkeys = ["{NEW}", "{OLD}"]\n')
    assert keywheel.jwt.decode(token, _ring(f"file:{file}", "api"))["sub"] == "alice"
    file.write_text(f'[api]\nalgorithm = "HS256"\nkeys = ["{NEW}"]\n')
    with pytest.raises(InvalidTokenError):
        keywheel.jwt.decode(token, _ring(f"file:{file}", "api"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'[web]\nkeys = ["{NEW}"', "line 2"),
        (f'[web]\nkey = "{NEW}"\n', "cannot be understood"),
        (f'[other]\nkeys = ["{NEW}"]\n', "has no ring [web]"),
        ("[web]\nkeys = []\n", "the keys are none"),
    ],
)
def test_a_file_that_is_wrong_is_named_and_never_quoted(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        _ring(f"file:{file}").snapshot()
    assert says in str(refused.value)
    assert NEW not in str(refused.value)


def test_the_environment_gives_keys_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYWHEEL_URL", "env:")
    monkeypatch.setenv("KEYWHEEL_RING_WEB_SESSION", f"{NEW}\n{OLD}\n")
    assert _revealed(Registry().ring("web-session")) == [NEW, OLD]
    with pytest.raises(ConfigurationError, match="KEYWHEEL_RING_OTHER is not set"):
        Registry().ring("other").snapshot()


def test_arguments_count_more_than_the_environment_and_that_more_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {}
    for name in ("argument", "environment", "file"):
        keys[name] = tmp_path / f"{name}.toml"
        keys[name].write_text(f'[web]\nkeys = ["{name.ljust(43, "x")}"]\n')
    config = tmp_path / "client.toml"
    config.write_text(f'url = "file:{keys["file"]}"\n')

    def first(**options: str) -> str:
        registry = Registry()
        registry.configure(**options)
        return _revealed(registry.ring("web"))[0].rstrip("x")

    monkeypatch.setenv("KEYWHEEL_CLIENT_CONFIG", str(config))
    assert first() == "file"
    monkeypatch.setenv("KEYWHEEL_URL", f"file:{keys['environment']}")
    assert first() == "environment"
    assert first(url=f"file:{keys['argument']}") == "argument"
    config.write_text('\nadress = "a-secret"\n')
    with pytest.raises(ConfigurationError, match="line 2") as refused:
        first()
    assert "a-secret" not in str(refused.value)


def test_the_configuration_of_the_command_is_another_kind_of_file(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = install(secret_ring("web"))
    file = installation.folder / "keywheel.toml"
    registry = Registry()
    monkeypatch.setenv("KEYWHEEL_CLIENT_CONFIG", str(file))
    with pytest.raises(ConfigurationError, match=r"\[server\].* KEYWHEEL_URL and KEYWHEEL_TOKEN"):
        registry.ring("web").snapshot()
    # The variable of the command says nothing to an application that inherits it.
    monkeypatch.delenv("KEYWHEEL_CLIENT_CONFIG")
    monkeypatch.setenv("KEYWHEEL_CONFIG", str(file))
    registry.configure(url=installation.url, token_file=installation.token("web", "web"))
    assert registry.ring("web").snapshot().version == 1
    assert registry.shutdown()


def test_what_is_in_use_is_not_configured_anew(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[web]\nkeys = ["{NEW}"]\n')
    registry = Registry()
    registry.configure(url=f"file:{file}")
    registry.ring("web").snapshot()
    with pytest.raises(ConfigurationError, match="before the first use"):
        registry.configure(url="env:")


def test_a_token_of_another_consumer_is_refused(install: Install) -> None:
    installation = install(secret_ring("web"))
    registry = Registry()
    file = installation.token("web", "web")
    registry.configure(url=installation.url, token_file=file, consumer="api", first_use_timeout=60)
    with pytest.raises(keywheel.UnavailableError, match="belongs to consumer web"):
        registry.ring("web").snapshot()
    assert registry.shutdown()


APPLICATION_TEST = """
from keywheel.itsdangerous import serializer

def test_links_outlive_a_rotation(keywheel_ring):
    links = serializer(keywheel_ring.ring)
    link = links.dumps({"user": 7})
    assert keywheel_ring.rotate() == 2
    assert links.loads(link) == {"user": 7}
    assert keywheel_ring.rollback() == 1

def test_each_test_has_a_ring_of_its_own(keywheel_ring):
    assert keywheel_ring.ring.snapshot().version == 1
"""


def test_the_plugin_gives_an_application_a_ring_that_its_test_turns(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(APPLICATION_TEST)
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:schemathesis",
        "-p",
        "no:cacheprovider",
    ]
    output = subprocess.run(pytest_, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in output.stdout, output.stdout + output.stderr

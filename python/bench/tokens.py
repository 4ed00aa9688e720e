"""Tokens beside the libraries of others, in one process: CPU time, interleaved, medians of rounds.

``cargo xtask bench python`` runs it with an interpreter that has PyJWT, joserfc, Authlib,
python-jose and, from Python 3.12 on, ryjwt, and with this package on its path, built with the
profile ``dist`` and the feature ``bench``. ``--older`` names a folder with another PyJWT, each
``--build`` one with this package as it was built in some way. Prints a section of the benchmarks.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Union

import builds

import keywheel
from keywheel._keywheel import Bare  # type: ignore[attr-defined]
from keywheel.testing import TestRing

REVOKED = 1_000_000
ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
AUDIENCE, ISSUER = "orders", "https://issuer.example"
BARE = "aws-lc-rs, bare"
Operation = Callable[[Any], Any]


def claims(number: int) -> dict[str, Any]:
    """Seven claims, as an access token has them."""
    now = int(time.time())
    return {
        "iss": ISSUER,
        "sub": f"user-{number}",
        "aud": AUDIENCE,
        "exp": now + 3_600,
        "iat": now,
        "jti": f"{number:032x}",
        "scope": "read write",
    }


@dataclass
class Bulk:
    """Work on all the inputs that loops by itself, so often."""

    run: Callable[[int], Any]


Work = Union[Operation, Bulk]
#: The microseconds of each in each round.
Taken = dict[str, list[float]]


class Case:
    """One algorithm: the tokens, and for each library how it makes and verifies them."""

    def __init__(self, algorithm: str, older: Any) -> None:
        self.algorithm = algorithm
        turned = TestRing("bench", algorithm=algorithm)
        turned.rotate()
        turned.rotate()
        self.ring = turned.ring
        for number in range(REVOKED):
            self.ring.revoke(jti=f"{number:x}-revoked", expires=4_102_444_800)
        self.claims = [claims(number) for number in range(200)]
        self.tokens = [keywheel.jwt.encode(one, self.ring) for one in self.claims]
        primary = self.ring.snapshot().primary
        assert primary is not None
        assert primary.secret is not None
        self.kid = primary.kid
        self.text = as_pem(primary.secret.reveal_bytes(), algorithm)
        self.encoders: dict[str, Work] = {}
        self.decoders: dict[str, Work] = {}
        self._keywheel()
        bare = Bare(algorithm, primary.secret.reveal_bytes(), self.tokens)
        self.decoders[BARE], self.encoders[BARE] = Bulk(bare.verify), Bulk(bare.sign)
        self._cryptography()
        self._pyjwt("PyJWT", importlib.import_module("jwt"))
        if older is not None:
            self._pyjwt("PyJWT", older)
        for add in (self._joserfc, self._authlib, self._jose, self._ryjwt):
            try:
                add()
            except ImportError as error:
                print(f"left out: {error}", file=sys.stderr)

    def keys(self) -> tuple[Any, Any]:
        """The key to sign with and the key to verify with, prepared."""
        if self.algorithm == "HS256":
            return self.text, self.text
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        private = load_pem_private_key(self.text, None)
        return private, private.public_key()

    def public_pem(self) -> bytes:
        """The half that verifies, as PEM; a secret as it is."""
        if self.algorithm == "HS256":
            return self.text
        from cryptography.hazmat.primitives import serialization as serial

        return self.keys()[1].public_bytes(
            serial.Encoding.PEM, serial.PublicFormat.SubjectPublicKeyInfo
        )

    def _keywheel(self) -> None:
        ring, decode, encode = self.ring, keywheel.jwt.decode, keywheel.jwt.encode
        verifier = keywheel.jwt.Verifier(ring, audience=AUDIENCE, issuer=ISSUER)
        self.encoders["keywheel"] = lambda one: encode(one, ring)
        some = {"sub": "user-1", "aud": AUDIENCE, "scope": "read write"}
        self.encoders["keywheel, completing them"] = lambda _: encode(some, ring)
        self.decoders["keywheel"] = lambda t: decode(t, ring, audience=AUDIENCE, issuer=ISSUER)
        self.decoders["keywheel, Verifier"] = verifier.decode

    def _cryptography(self) -> None:
        """The signature alone, as whatever stands on `cryptography` has it at best."""
        if self.algorithm == "HS256":
            return
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.hashes import SHA256

        words: tuple[Any, ...] = {
            "RS256": (padding.PKCS1v15(), SHA256()),
            "ES256": (ec.ECDSA(SHA256()),),
            "EdDSA": (),
        }[self.algorithm]
        sign, verify = self.keys()
        message = self.tokens[0].rsplit(".", 1)[0].encode()
        signature = sign.sign(message, *words)
        label = "cryptography, bare"
        self.decoders[label] = lambda _: verify.verify(signature, message, *words)
        self.encoders[label] = lambda _: sign.sign(message, *words)

    def _pyjwt(self, name: str, jwt: Any) -> None:
        sign, verify = self.keys()
        headers, algorithm = {"kid": self.kid}, self.algorithm
        ring = {self.kid: verify, "b": verify, "c": verify}

        def decode(token: str) -> Any:
            key = ring[jwt.get_unverified_header(token)["kid"]]
            return jwt.decode(token, key, [algorithm], audience=AUDIENCE, issuer=ISSUER)

        label = f"{name} {jwt.__version__}"
        self.encoders[label] = lambda one: jwt.encode(one, sign, algorithm, headers=headers)
        self.decoders[f"{label}, one key"] = lambda token: jwt.decode(
            token, verify, [algorithm], audience=AUDIENCE, issuer=ISSUER
        )
        self.decoders[f"{label}, by kid"] = decode

    def _joserfc(self) -> None:
        from importlib.metadata import version

        from joserfc import jwk, jwt

        kind = {"HS256": "oct", "RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[self.algorithm]
        key = jwk.import_key(self.text, kind, {"kid": self.kid})
        keys = jwk.KeySet([key])
        name = "Ed25519" if self.algorithm == "EdDSA" else self.algorithm
        header, algorithms = {"alg": self.algorithm, "kid": self.kid}, [self.algorithm, name]
        wanted = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
        )

        def decode(token: str) -> Any:
            found = jwt.decode(token, keys, algorithms=algorithms).claims
            wanted.validate(found)
            return found

        label = f"joserfc {version('joserfc')}"
        self.encoders[label] = lambda one: jwt.encode(header, one, key, algorithms=algorithms)
        self.decoders[label] = decode

    def _authlib(self) -> None:
        from importlib.metadata import version

        from authlib.jose import JsonWebKey, JsonWebToken

        tokens = JsonWebToken([self.algorithm])
        kind = {"HS256": "oct", "RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[self.algorithm]
        key = JsonWebKey.import_key(self.text, {"kty": kind, "kid": self.kid})
        header = {"alg": self.algorithm, "kid": self.kid}
        wanted = {
            "iss": {"essential": True, "value": ISSUER},
            "aud": {"essential": True, "value": AUDIENCE},
            "exp": {"essential": True},
        }

        def decode(token: str) -> Any:
            found = tokens.decode(token, key, claims_options=wanted)
            found.validate()
            return found

        label = f"Authlib {version('authlib')}"
        self.encoders[label] = lambda one: tokens.encode(header, dict(one), key)
        self.decoders[label] = decode

    def _jose(self) -> None:
        from importlib.metadata import version

        from jose import jwk, jwt

        if self.algorithm == "EdDSA":
            return
        sign = jwk.construct(self.text, self.algorithm)
        verify = jwk.construct(self.public_pem(), self.algorithm)
        headers, algorithm = {"kid": self.kid}, self.algorithm
        label = f"python-jose {version('python-jose')}"
        self.encoders[label] = lambda one: jwt.encode(one, sign, algorithm, headers=headers)
        self.decoders[label] = lambda token: jwt.decode(
            token, verify, [algorithm], audience=AUDIENCE, issuer=ISSUER
        )

    def _ryjwt(self) -> None:
        from importlib.metadata import version

        import ryjwt

        wanted = {"algorithms": [self.algorithm], "audience": AUDIENCE, "issuer": ISSUER}
        key: Any
        if self.algorithm == "HS256":
            key = verify = ryjwt.SecretKey(self.text, **wanted)
        else:
            key = ryjwt.PrivateKey(self.text.decode(), **wanted)
            verify = ryjwt.PublicKey(self.public_pem().decode(), **wanted)
        decode, unverified = verify.decode, ryjwt.unverified_header
        keys = {self.kid: verify, "b": verify, "c": verify}
        label = f"ryjwt {version('ryjwt')}"
        self.encoders[label] = key.encode
        self.decoders[f"{label}, one key"] = decode
        self.decoders[f"{label}, by kid"] = lambda t: keys[unverified(t)["kid"]].decode(t)


def as_pem(key: bytes, algorithm: str) -> bytes:
    """A private key as most libraries want it; a secret as it is."""
    if algorithm == "HS256":
        return key
    from cryptography.hazmat.primitives import serialization as serial

    return serial.load_der_private_key(key, None).private_bytes(
        serial.Encoding.PEM, serial.PrivateFormat.PKCS8, serial.NoEncryption()
    )


def micros(operation: Work, inputs: list[Any], repeats: int) -> float:
    """CPU time of one call, of all threads of the process, in microseconds."""
    began = time.process_time_ns()
    if isinstance(operation, Bulk):
        assert operation.run(repeats)
    else:
        for _ in range(repeats):
            for one in inputs:
                operation(one)
    return (time.process_time_ns() - began) / repeats / len(inputs) / 1_000


def measure(operations: dict[str, Work], inputs: list[Any], rounds: int) -> Taken:
    """Each over interleaved rounds; slow ones get fewer calls."""
    repeats = {}
    for name, operation in operations.items():
        few = inputs if isinstance(operation, Bulk) else inputs[:20]
        try:
            once = micros(operation, few, 1)
        except Exception as error:
            print(f"left out: {name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        repeats[name] = max(1, int(30_000 / max(once, 0.1) / len(inputs)))
    taken: Taken = {name: [] for name in repeats}
    for _ in range(rounds):
        for name, often in repeats.items():
            taken[name].append(micros(operations[name], inputs, often))
    return taken


def ratio(taken: Taken, name: str, to: str) -> float:
    """How much one takes of another: the median of the ratios within each round."""
    return median(one / other for one, other in zip(taken[name], taken[to]))


def older_pyjwt(folder: str | None) -> Any:
    """Another PyJWT beside the installed one."""
    if folder is None:
        return None
    kept = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "jwt"
    }
    sys.path.insert(0, folder)
    try:
        older = importlib.import_module("jwt")
    finally:
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.split(".")[0] == "jwt"]:
            del sys.modules[name]
        sys.modules.update(kept)
    return older


def table(title: str, results: dict[str, Taken]) -> None:
    """Prints one table: microseconds, and how often keywheel fits in."""
    print(f"\n{title}, CPU µs (times keywheel):\n")
    print("| | " + " | ".join(results) + " |")
    print("|---|" + "--:|" * len(results))
    names = list(dict.fromkeys(name for found in results.values() for name in found))
    for name in names:
        cells = []
        for found in results.values():
            taken = found.get(name)
            times = f"({ratio(found, name, 'keywheel'):.2f}×)" if taken else ""
            cells.append(f"{median(taken):.2f} {times}" if taken else "–")
        print(f"| {name} | " + " | ".join(cells) + " |")


def primitives(decoded: dict[str, Taken], encoded: dict[str, Taken]) -> None:
    """Prints what a whole token costs beside its signature."""
    print("\n**To the bare primitive of aws-lc-rs**, within each round:\n")
    print("| | " + " | ".join(decoded) + " |")
    print("|---|" + "--:|" * len(decoded))
    rows = [
        (decoded, "keywheel", "decode"),
        (decoded, "keywheel, Verifier", "the same, `Verifier`"),
    ]
    rows.append((encoded, "keywheel", "encode"))
    for results, name, label in rows:
        cells = (f"{ratio(found, name, BARE):.2f}×" for found in results.values())
        print(f"| {label} | " + " | ".join(cells) + " |")


def reads(rounds: int) -> dict[str, float]:
    """What reading a ring costs beside a plain attribute, in nanoseconds without the loop."""

    class Plain:
        def __init__(self) -> None:
            self.key = "x"

    ring, plain, calls = TestRing("bench").ring, Plain(), 200_000
    ring.snapshot()

    def empty() -> None:
        for _ in range(calls):
            pass

    def attribute() -> None:
        for _ in range(calls):
            plain.key  # noqa: B018

    def snapshot() -> None:
        for _ in range(calls):
            ring.snapshot()

    def secret() -> None:
        for _ in range(calls):
            ring.secret()

    def ensure_fresh() -> None:
        for _ in range(calls):
            ring.ensure_fresh()

    def guard() -> None:
        for _ in range(calls):
            with ring.guard():
                pass

    loops = (empty, attribute, snapshot, secret, ensure_fresh, guard)
    taken: dict[str, list[float]] = {loop.__name__: [] for loop in loops}
    for _ in range(rounds):
        for loop in loops:
            began = time.process_time_ns()
            loop()
            taken[loop.__name__].append((time.process_time_ns() - began) / calls)
    bare = median(taken.pop("empty"))
    return {name: median(all_taken) - bare for name, all_taken in taken.items()}


def import_time(rounds: int) -> tuple[float, float, int]:
    """CPU milliseconds of an interpreter, of importing this package in one, and its threads."""
    script = "import time,os;a=time.process_time_ns();{};b=time.process_time_ns();print(b,b-a,{})"
    threads = "len(os.listdir('/proc/self/task'))"
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def once(what: str) -> tuple[int, int, int]:
        command = [sys.executable, "-c", script.format(what, threads)]
        answer = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
        whole, part, running = answer.split()
        return int(whole), int(part), int(running)

    once("import keywheel")
    bare, ours, running = [], [], 0
    for _ in range(rounds):
        bare.append(once("pass")[0] / 1e6)
        _, part, running = once("import keywheel")
        ours.append(part / 1e6)
    return median(bare), median(ours), running


def print_reads(rounds: int) -> None:
    """Prints what is no token."""
    found = reads(rounds)
    plain = found.pop("attribute")
    print(f"\n**Reading a ring**; a plain attribute takes {plain:.0f} ns:\n")
    print("| | CPU ns |\n|---|--:|")
    for name, label in (
        ("snapshot", "`ring.snapshot()`"),
        ("ensure_fresh", "`ring.ensure_fresh()`"),
        ("secret", "`ring.secret()`"),
        ("guard", "`with ring.guard():`"),
    ):
        print(f"| {label} | {found[name]:.0f} |")
    bare, ours, running = import_time(rounds)
    print(
        f"\n`import keywheel` takes {ours:.1f} ms of CPU in an interpreter that took {bare:.1f} ms "
        f"to begin, and leaves {running} thread(s)."
    )


def main() -> None:
    """Measures everything and prints the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--older", help="a folder with another PyJWT")
    parser.add_argument("--build", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    older = older_pyjwt(given.older)
    decoded, encoded = {}, {}
    for algorithm in ALGORITHMS:
        case = Case(algorithm, older)
        decoded[algorithm] = measure(case.decoders, case.tokens, given.rounds)
        encoded[algorithm] = measure(case.encoders, case.claims, given.rounds)
    print(
        f"CPython {sys.version.split()[0]}, {given.rounds} interleaved rounds, medians; the ratios "
        "are medians of those within each round. Seven claims; issuer, audience and expiry are "
        f"checked. keywheel has three versions, finds the key by kid and asks if the token was "
        f"revoked, among {REVOKED:,} others; “one key” does neither. *Bare* is the signature of "
        "what is there as bytes with a key that was parsed before: that of aws-lc-rs in a loop of "
        "Rust, that of `cryptography` called from Python. *Completing them* adds `jti`, `iat` and "
        "`exp`."
    )
    table("**Decode to a dict**", decoded)
    table("**Encode a dict**", encoded)
    primitives(decoded, encoded)
    print_reads(given.rounds)
    if given.build:
        builds.section(dict(build.split("=", 1) for build in given.build), given.rounds)


if __name__ == "__main__":
    main()

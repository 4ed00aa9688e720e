"""Tokens beside the libraries of others, in one process: CPU time, interleaved, medians of rounds.

Run it with an interpreter that has this package (built with the profile ``dist``), PyJWT 2.15.1,
joserfc, Authlib, python-jose and, from Python 3.12 on, ryjwt. ``--older`` names a folder with
another PyJWT (``pip install --target FOLDER pyjwt==2.13.0``). Prints a section of the benchmarks.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import keywheel
from keywheel.testing import TestRing

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
AUDIENCE, ISSUER = "orders", "https://issuer.example"
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


class Case:
    """One algorithm: the tokens, and for each library how it makes and verifies them."""

    def __init__(self, algorithm: str, older: Any) -> None:
        self.algorithm = algorithm
        turned = TestRing("bench", algorithm=algorithm)
        turned.rotate()
        turned.rotate()
        self.ring = turned.ring
        self.claims = [claims(number) for number in range(200)]
        self.tokens = [keywheel.jwt.encode(one, self.ring) for one in self.claims]
        primary = self.ring.snapshot().primary
        assert primary is not None
        assert primary.secret is not None
        self.kid = primary.kid
        self.text = as_pem(primary.secret.reveal_bytes(), algorithm)
        self.encoders: dict[str, Operation] = {}
        self.decoders: dict[str, Operation] = {}
        self._keywheel()
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
        self.decoders["keywheel"] = lambda t: decode(t, ring, audience=AUDIENCE, issuer=ISSUER)
        self.decoders["keywheel, Verifier"] = verifier.decode

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


def micros(operation: Operation, inputs: list[Any], repeats: int) -> float:
    """CPU time of one call, of all threads of the process, in microseconds."""
    began = time.process_time_ns()
    for _ in range(repeats):
        for one in inputs:
            operation(one)
    return (time.process_time_ns() - began) / repeats / len(inputs) / 1_000


def measure(operations: dict[str, Operation], inputs: list[Any], rounds: int) -> dict[str, float]:
    """The median of each over interleaved rounds; slow ones get fewer calls."""
    working, repeats = {}, {}
    for name, operation in operations.items():
        try:
            once = micros(operation, inputs[:20], 1)
        except Exception as error:
            print(f"left out: {name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        working[name] = operation
        repeats[name] = max(1, int(30_000 / max(once, 0.1) / len(inputs)))
    taken: dict[str, list[float]] = {name: [] for name in working}
    for _ in range(rounds):
        for name, operation in working.items():
            taken[name].append(micros(operation, inputs, repeats[name]))
    return {name: median(all_taken) for name, all_taken in taken.items()}


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


def table(title: str, results: dict[str, dict[str, float]]) -> None:
    """Prints one table: microseconds, and how often keywheel fits in."""
    print(f"\n{title}, microseconds of CPU (times keywheel):\n")
    print("| | " + " | ".join(results) + " |")
    print("|---|" + "---:|" * len(results))
    names = list(dict.fromkeys(name for found in results.values() for name in found))
    for name in names:
        cells = []
        for found in results.values():
            own, taken = found["keywheel"], found.get(name)
            cells.append("–" if taken is None else f"{taken:.2f} ({taken / own:.2f}×)")
        print(f"| {name} | " + " | ".join(cells) + " |")


def snapshots(rounds: int) -> tuple[float, float, float]:
    """A snapshot, a secret and a plain attribute, in nanoseconds without the loop."""

    class Plain:
        def __init__(self) -> None:
            self.key = "x"

    ring, plain = TestRing("bench").ring, Plain()
    ring.snapshot()

    def loop(kind: str) -> float:
        began = time.process_time_ns()
        if kind == "snapshot":
            for _ in range(200_000):
                ring.snapshot()
        elif kind == "secret":
            for _ in range(200_000):
                ring.secret()
        elif kind == "plain":
            for _ in range(200_000):
                plain.key  # noqa: B018
        else:
            for _ in range(200_000):
                pass
        return (time.process_time_ns() - began) / 200_000

    kinds = ("empty", "snapshot", "secret", "plain")
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            taken[kind].append(loop(kind))
    empty = median(taken["empty"])
    return tuple(median(taken[kind]) - empty for kind in kinds[1:])  # type: ignore[return-value]


def import_time(rounds: int) -> tuple[float, float, int]:
    """CPU milliseconds of an interpreter without and with this package, and its threads then."""
    script = "import time,os{};print(time.process_time_ns(),len(os.listdir('/proc/self/task')))"

    def once(more: str) -> tuple[float, int]:
        done = subprocess.run(
            [sys.executable, "-c", script.format(more)], capture_output=True, text=True, check=True
        )
        nanos, threads = done.stdout.split()
        return int(nanos) / 1e6, int(threads)

    bare, with_us = [], []
    for _ in range(rounds):
        bare.append(once("")[0])
        with_us.append(once(",keywheel"))
    return median(bare), median(taken for taken, _ in with_us), with_us[-1][1]


def main() -> None:
    """Measures everything and prints the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--older", help="a folder with another PyJWT")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    older = older_pyjwt(given.older)
    decoded, encoded = {}, {}
    for algorithm in ALGORITHMS:
        case = Case(algorithm, older)
        decoded[algorithm] = measure(case.decoders, case.tokens, given.rounds)
        encoded[algorithm] = measure(case.encoders, case.claims, given.rounds)
    print("<!-- bench:python -->")
    load = os.getloadavg()[0]
    print(
        f"CPython {sys.version.split()[0]}, load {load:.1f} on {os.cpu_count()} cores, "
        f"{given.rounds} interleaved rounds, medians. Seven claims; issuer, audience and expiry "
        "are checked. keywheel has three versions, finds the key by kid and asks if the token was "
        "revoked; “one key” does neither."
    )
    table("Decode to a dict", decoded)
    table("Encode a dict", encoded)
    snapshot, secret, plain = snapshots(given.rounds)
    bare, with_us, threads = import_time(given.rounds)
    print(
        f"\n`ring.snapshot()` {snapshot:.0f} ns, `ring.secret()` {secret:.0f} ns, a plain "
        f"attribute {plain:.0f} ns. `import keywheel` takes {with_us - bare:.1f} ms of CPU beyond "
        f"{bare:.1f} ms of an interpreter, and leaves {threads} thread(s)."
    )


if __name__ == "__main__":
    main()

"""Answers for PyJWT and joserfc: one JSON object a line in, one out.

{"sign": claims, "alg": …, "key": …}    -> {"pyjwt": token, "joserfc": token}
{"verify": token, "alg": …, "key": …}   -> {"pyjwt": claims or null, "joserfc": claims or null}

A key is {"pem": private, "public": public} or {"secret": text}.
"""

import json
import sys
import warnings

import jwt as pyjwt
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

warnings.simplefilter("ignore")
KID = "the-kid"
HEADER = {"kid": KID}
EXPECTED = {"iss": {"essential": True, "value": "issuer"},
            "aud": {"essential": True, "value": "app"},
            "exp": {"essential": True}}


def joserfc_key(key, public):
    if "secret" in key:
        return joserfc_jwk.OctKey.import_key(key["secret"])
    text = key["public"] if public else key["pem"]
    for kind in (joserfc_jwk.RSAKey, joserfc_jwk.ECKey, joserfc_jwk.OKPKey):
        try:
            return kind.import_key(text)
        except Exception:
            continue
    raise ValueError("no key")


def sign(ask):
    key, alg, claims = ask["key"], ask["alg"], ask["sign"]
    secret = key.get("secret") or key["pem"]
    header = {"alg": alg, "kid": KID}
    return {
        "pyjwt": pyjwt.encode(dict(claims), secret, algorithm=alg, headers=HEADER),
        "joserfc": joserfc_jwt.encode(header, dict(claims), joserfc_key(key, False), algorithms=[alg]),
    }


def by_pyjwt(ask):
    key = ask["key"].get("secret") or ask["key"]["public"]
    return pyjwt.decode(ask["verify"], key, algorithms=[ask["alg"]], audience="app",
                        issuer="issuer", options={"require": ["exp", "iss", "aud"]})


def by_joserfc(ask):
    token = joserfc_jwt.decode(ask["verify"], joserfc_key(ask["key"], True), algorithms=[ask["alg"]])
    joserfc_jwt.JWTClaimsRegistry(**EXPECTED).validate(token.claims)
    return token.claims


def attempt(judge, ask):
    try:
        return judge(ask)
    except Exception:
        return None


for line in sys.stdin:
    ask = json.loads(line)
    if "sign" in ask:
        answer = sign(ask)
    else:
        answer = {"pyjwt": attempt(by_pyjwt, ask), "joserfc": attempt(by_joserfc, ask)}
    print(json.dumps(answer))

"""A small application whose users stay logged in, or do not: its sessions are what a rotation must
not break. Where SECRET_FILE is set, keys come from that file when a worker starts; else from the
environment."""

import hashlib
import hmac
import os

from flask import Flask, jsonify, request, session


def read_keys():
    values = dict(os.environ)
    if "SECRET_FILE" in os.environ:
        with open(os.environ["SECRET_FILE"], encoding="utf-8") as file:
            values = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    others = [key for key in values["SECRET_KEY_FALLBACKS"].split(",") if key]
    shown = {name: values[name] for name in ("KEY_ID", "KEY_FP")}
    return values["SECRET_KEY"], others, values["KEY_IDS"].split(","), shown


app = Flask(__name__)
app.secret_key, fallbacks, key_ids, shown_of_key = read_keys()
app.config["SECRET_KEY_FALLBACKS"] = fallbacks


@app.get("/healthz")
def healthz():
    return "ok"


@app.get("/sign/<name>")
def sign(name):
    session["name"] = name
    return name


@app.get("/check")
def check():
    name = session.get("name")
    return (name, 200) if name else ("nobody", 401)


@app.get("/who")
def who():
    return jsonify(pid=os.getpid(), primary=shown_of_key["KEY_ID"], accepted=key_ids)


@app.get("/proof")
def proof():
    """Accepts what any of the keys has made; for probes."""
    shown = request.headers.get("X-Proof", "")
    accepted = [app.secret_key, *fallbacks]
    right = [hmac.new(key.encode(), b"a probe", hashlib.sha256).hexdigest() for key in accepted]
    status = 204 if any(hmac.compare_digest(shown, one) for one in right) else 401
    return "", status, {"X-Pid": str(os.getpid()), "X-Key-Fp": shown_of_key["KEY_FP"]}

"""Reads tokens, one a line, and says of each whether Authlib's OpenID client accepts it.

Arguments: the address of the JWK set. Authlib keeps it until a kid is not in it; there is no time
that could be set.
"""

import sys

from authlib.integrations.flask_client import OAuth
from flask import Flask

app = Flask(__name__)
client = OAuth(app).register(
    "keywheel",
    client_id="app",
    jwks_uri=sys.argv[1],
    issuer="https://issuer.example",
    id_token_signing_alg_values_supported=["ES256"],
)
with app.app_context():
    for line in sys.stdin:
        token = {"id_token": line.strip(), "access_token": "unused"}
        try:
            client.parse_id_token(token, nonce=None)
            print("ok", flush=True)
        except Exception as error:
            print("fail", type(error).__name__, error, flush=True)

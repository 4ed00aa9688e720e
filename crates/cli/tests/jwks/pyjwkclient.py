"""Reads tokens, one a line, and says of each whether PyJWT accepts it with its PyJWKClient.

Arguments: the address of the JWK set, and how long it is kept and not fetched again, in seconds;
without the latter the defaults of PyJWT hold.
"""

import sys

import jwt

url, *times = sys.argv[1:]
options = {}
if times:
    options = {"lifespan": float(times[0]), "cooldown_duration": float(times[1])}
client = jwt.PyJWKClient(url, **options)
for line in sys.stdin:
    token = line.strip()
    try:
        key = client.get_signing_key_from_jwt(token)
        jwt.decode(
            token, key, algorithms=["ES256"], audience="app", issuer="https://issuer.example"
        )
        print("ok", flush=True)
    except Exception as error:
        print("fail", type(error).__name__, error, flush=True)

"""What a team writes to ask whether a token was revoked: redis-py with hiredis, a set of jti.

First as its documentation begins, over TCP with its pool of connections; then in the cheapest way
that it has, over a unix socket on one connection that is never given back.
"""

import json
import os
import sys
import time

import hiredis
import redis

SOCKET, PORT, REVOKED_FILE, ABSENT_FILE, PRESENT_FILE, SECONDS = sys.argv[1:]
KEY = "revoked"


def lines(path):
    with open(path) as file:
        return file.read().split()


def server_nanos(pid):
    """Time on the CPU of all threads of the server, as the scheduler counts it."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


client = redis.Redis(unix_socket_path=SOCKET, single_connection_client=True)
pooled = redis.Redis(host="127.0.0.1", port=int(PORT))
client.ping()
if "Hiredis" not in type(client.connection._parser).__name__:
    sys.exit("redis-py does not read answers with hiredis")
info = client.info()
pid = info["process_id"]

revoked = lines(REVOKED_FILE)
for start in range(0, len(revoked), 10_000):
    client.sadd(KEY, *revoked[start : start + 10_000])
if client.scard(KEY) != len(revoked):
    sys.exit("redis does not keep what it was given")
del revoked


def measure(client, texts, answer):
    """Nanoseconds of CPU of the client and of the server for one question, and on the wall."""
    sismember, asked = client.sismember, 0
    until = time.monotonic() + float(SECONDS)
    before = time.process_time_ns(), server_nanos(pid), time.monotonic_ns()
    while time.monotonic() < until:
        for text in texts[asked % len(texts) :][:1_000]:
            if sismember(KEY, text) != answer:
                sys.exit(f"redis answers wrongly about {text}")
            asked += 1
    after = time.process_time_ns(), server_nanos(pid), time.monotonic_ns()
    return [(late - early) / asked for early, late in zip(before, after)]


absent, present = lines(ABSENT_FILE), lines(PRESENT_FILE)
measure(client, absent, 0)
measure(pooled, absent, 0)
print(json.dumps({
    "server": info["redis_version"],
    "client": redis.__version__,
    "parser": hiredis.__version__,
    "bytes": client.memory_usage(KEY, samples=0),
    "pooled": [measure(pooled, absent, 0), measure(pooled, present, 1)],
    "kept": [measure(client, absent, 0), measure(client, present, 1)],
}))

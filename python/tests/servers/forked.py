"""Children of ``multiprocessing`` that serve the application from one socket.

    python -m servers.forked METHOD CHILDREN SOCKET

Nobody calls a hook here: the children begin because the package notices them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from wsgiref.handlers import SimpleHandler

from servers import apps

SIGNALS = {signal.SIGTERM, signal.SIGINT}


def serve(listener: socket.socket) -> None:
    """Answers one request after the other, each over a connection of its own."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer:
            line = reader.readline().decode()
            if not line:
                continue
            while reader.readline().strip():
                pass
            path, _, query = line.split()[1].partition("?")
            environ = {
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": "GET",
                "SERVER_PROTOCOL": "HTTP/1.0",
            }
            handler = SimpleHandler(reader, writer, sys.stderr, environ)
            handler.origin_server = True
            handler.run(apps.wsgi)  # type: ignore[arg-type]


def main() -> None:
    """Starts the children and waits for the end."""
    method, children, path = sys.argv[1:]
    context = multiprocessing.get_context(method)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(64)
        all_of_them = [
            context.Process(target=serve, args=(listener,), daemon=True)  # type: ignore[attr-defined]
            for _ in range(int(children))
        ]
        for child in all_of_them:
            child.start()
        signal.sigwait(SIGNALS)
    os._exit(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    main()

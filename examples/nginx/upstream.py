"""The application behind nginx.

It accepts whatever backend key stands in the file that keywheel writes for it, and reads that for
each request: a rotation needs no restart. Run it with the folder of the example.
"""

import hmac
import json
import pathlib
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

FOLDER = pathlib.Path(sys.argv[1])


def accepted(file: str, shown: str) -> bool:
    keys = json.loads((FOLDER / file).read_text())["keys"]
    return any(hmac.compare_digest(key.encode(), shown.encode()) for key in keys)


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests carry keys, so none is logged."""


class App(Service):
    def do_GET(self) -> None:
        if self.path != "/legacy":
            self.answer(200, f"hello, {self.headers.get('X-User', 'nobody')}\n")
        elif accepted("app.json", self.headers.get("X-Backend-Key", "")):
            self.answer(200, "hello, nginx\n")
        else:
            self.answer(502, "nginx showed a key that the application does not accept\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def serve(name: str, service: type[Service]) -> Server:
    path = FOLDER / name
    path.unlink(missing_ok=True)
    server = Server(str(path), service)
    # nginx's workers are other users where nginx is started by root.
    path.chmod(0o666)
    return server


if __name__ == "__main__":
    serve("app.sock", App).serve_forever()

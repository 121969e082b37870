"""A server that answers every POST, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Asked(ThreadingHTTPServer):
    """It refuses all requests if `refuse` is set; `seen` are path, body and key of each."""

    refuse = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, Any, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """An answer without content."""
        own = self.server
        assert isinstance(own, Asked)
        own.seen.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))), self.headers["authorization"]))
        self.send_response(400 if own.refuse else 200)
        self.end_headers()
        self.wfile.write(b"the request exceeds the context size" if own.refuse else b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def asked() -> Iterator[Asked]:
    """The server while it runs."""
    server = Asked()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

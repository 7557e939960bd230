"""Pebble, the ACME server of Let's Encrypt's that is for tests (RFC 8555), and an answer to its challenge."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ecosystem.transport import server_certificate
from support import missing

__all__ = ["ADDRESS", "answering", "pebble"]

ADDRESS = "127.0.0.1"
SECONDS = 30
ATTEMPTS = 5


@contextmanager
def answering(said: dict[str, str]) -> Iterator[int]:
    """The port where HTTP answers a path with what `said` has for it."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = said.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((ADDRESS, 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((ADDRESS, port), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


@contextmanager
def pebble(home: Path, challenged: int) -> Iterator[tuple[str, Path]]:
    """Its directory, and the file of the authority that its own certificate has. challenged: the port that it asks."""
    command = shutil.which("pebble") or missing("command:pebble")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, written = home / "pebble.crt", home / "pebble.key"
    certificate.write_bytes(server_certificate(key).public_bytes(serialization.Encoding.PEM))
    written.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for _ in range(ATTEMPTS):
        port = _free_port()
        settings = {
            "listenAddress": f"{ADDRESS}:{port}",
            "managementListenAddress": f"{ADDRESS}:0",
            "certificate": str(certificate),
            "privateKey": str(written),
            "httpPort": challenged,
            "tlsPort": challenged,
        }
        (home / "pebble.json").write_text(json.dumps({"pebble": settings}))
        environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
        with (home / "log").open("wb") as log:
            server = subprocess.Popen([command, "-config", home / "pebble.json"], env=environ, stdout=log, stderr=log)
        try:
            if _answers(port, server):
                yield f"https://localhost:{port}/dir", certificate
                return
        finally:
            server.kill()
            server.wait()
    raise AssertionError((home / "log").read_text())

"""uvicorn with a key in a token, which asks its clients for certificates."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interop.tls_identity import SECONDS

if TYPE_CHECKING:
    from interop.tls_identity import Identity

__all__ = ["uvicorn_serves"]

APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})
"""


@contextmanager
def uvicorn_serves(identity: Identity) -> Iterator[str]:
    """Its address: "https://127.0.0.1:PORT", where it says "served"."""
    (identity.home / "application.py").write_text(APPLICATION)
    keys = ["--ssl-keyfile", "server.pem", "--ssl-certfile", "server.crt", "--ssl-ca-certs", "ca.crt"]
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "--lifespan", "off", *keys, "--ssl-cert-reqs", "2"]
    log = identity.home / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            [*command, "application:app"], cwd=identity.home, env=identity.environ, stdout=output, stderr=output
        )
    try:
        yield _address(child, log)
        child.send_signal(signal.SIGINT)
        child.wait(SECONDS)
    finally:
        child.kill()
        child.wait()


def _address(child: subprocess.Popen[Any], log: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if told := re.search(r"running on (https://[\d.]+:\d+)", log.read_text()):
            return told[1]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")

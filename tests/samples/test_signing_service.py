"""docs/examples/signing_service.py serves under load: uvicorn, one key in a token."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import needs_module

from hwcng.bcrypt import (
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptOpenAlgorithmProvider,
    BCryptVerifySignature,
)

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
REQUESTS = 200
PATIENCE_SECONDS = 30


@pytest.fixture
def key(provider: Provider) -> Iterator[Any]:
    made = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    BCryptFinalizeKeyPair(made)
    made.persist("signing-service")
    yield made
    provider.delete_key("signing-service")


@pytest.fixture
def service(key: Any, token_uri: str, token_pin: str, tmp_path: Path) -> Iterator[str]:
    for module in ("fastapi", "uvicorn", "httpx"):
        needs_module(module)
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(token_pin)
    uri = token_uri.replace("?", ";object=signing-service;type=private?", 1) + f"&pin-source=file:{pin}"
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "--log-level", "info", "signing_service:app"]
    log = tmp_path / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            command, cwd=EXAMPLES, env={**os.environ, "HWCNG_KEY": uri}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield _address(child, log)
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE_SECONDS) in (0, -signal.SIGINT), log.read_text()
    finally:
        child.kill()
        child.wait()
    assert token_pin not in log.read_text()


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if told := re.search(r"running on (http://[\d.]+:\d+)", log.read_text()):
            return told[1]
        time.sleep(0.02)
    raise AssertionError(f"the service did not start:\n{log.read_text()}")


def test_it_signs_what_many_clients_send(service: str, key: Any) -> None:
    import httpx

    async def load() -> list[bytes]:
        async with httpx.AsyncClient(base_url=service, timeout=PATIENCE_SECONDS) as client:
            posts = [client.post("/signatures", content=b"%d" % number) for number in range(REQUESTS)]
            healthy = client.get("/health")
            *answers, health = await asyncio.gather(*posts, healthy)
        assert health.json() == {"status": "ok"}
        return [bytes.fromhex(answer.raise_for_status().json()["signature"]) for answer in answers]

    signatures = asyncio.run(load())
    assert len(set(signatures)) == REQUESTS
    for number, signature in enumerate(signatures):
        BCryptVerifySignature(key, None, hashlib.sha256(b"%d" % number).digest(), signature)

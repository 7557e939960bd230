"""Workers of a real uWSGI: the master loads the program and forks in C, without Python's hooks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from conftest import NSS_PIN
from isolation.child import ROOT
from support import missing

from hwcng.testing.nss import NssDatabase

WORKERS = 3
REQUESTS = 300
SECONDS = 60

APPLICATION = """
import os
import hwcng
from hwcng.bcrypt import *

DIGEST = bytes(32)
token = hwcng.open_provider(os.environ["TOKEN_URI"], pin=os.environ["TOKEN_PIN"])
algorithm = BCryptOpenAlgorithmProvider("ECDSA_P256", token)

def pair():
    made = BCryptGenerateKeyPair(algorithm, 256)
    BCryptFinalizeKeyPair(made)
    return made

masters = pair()
named = pair().persist("of the master", replace=True)
nonces = {BCryptSignHash(key, None, DIGEST)[:32] for key in (masters, named)}
workers = []

def refusal():
    try:
        BCryptSignHash(masters, None, DIGEST)
    except hwcng.CngError as error:
        return error.status.name if "before fork, in the parent process" in str(error) else "unclear"
    return "signed"

def application(environ, respond):
    refused = refusal()
    if not workers:
        workers.append(pair())
    reopened = hwcng.open_key(named.uri, pin=os.environ["TOKEN_PIN"])
    signatures = [BCryptSignHash(key, None, DIGEST) for key in (workers[0], named, reopened)]
    for key, signature in zip((workers[0], named, reopened), signatures):
        BCryptVerifySignature(key, None, DIGEST, signature)
    secrets = [token.random(16), *(signature[:32] for signature in signatures)]
    respond("200 OK", [("Content-Type", "text/plain")])
    return [" ".join([str(os.getpid()), refused, *(secret.hex() for secret in secrets)]).encode()]
"""


def uwsgi() -> str:
    beside = Path(sys.executable).with_name("uwsgi")
    found = str(beside) if beside.exists() else shutil.which("uwsgi")
    return found or missing("uwsgi")


@contextmanager
def served(folder: Path, environ: dict[str, str]) -> Iterator[Path]:
    """The socket of the application's server."""
    (folder / "application.py").write_text(APPLICATION)
    address = folder / "http.sock"
    command = [uwsgi(), "--http-socket", str(address), "--master", "--processes", str(WORKERS), "--die-on-term"]
    command += ["--home", sys.prefix, "--wsgi-file", str(folder / "application.py"), "--need-app", "--disable-logging"]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            command,
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not _answers(address):
            said = (folder / "log").read_text("utf-8", "replace")
            assert server.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.02)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(address: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(address)) == 0


def asked(address: Path) -> list[str]:
    with closing(socket.socket(socket.AF_UNIX)) as channel:
        channel.settimeout(SECONDS)
        channel.connect(str(address))
        channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: channel.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], answer
    return body.decode().split()


def test_workers_repeat_nothing(tmp_path: Path, nss_database: NssDatabase) -> None:
    # NSS repeats the nonces and numbers of a state that was copied.
    environ = {"TOKEN_URI": nss_database.uri, "TOKEN_PIN": NSS_PIN}
    with served(tmp_path, environ) as address, ThreadPoolExecutor(2 * WORKERS) as pool:
        answers = list(pool.map(lambda _: asked(address), range(REQUESTS)))
        deadline = time.monotonic() + SECONDS
        while len({answer[0] for answer in answers}) < WORKERS and time.monotonic() < deadline:
            answers += pool.map(lambda _: asked(address), range(2 * WORKERS))
    assert len({answer[0] for answer in answers}) == WORKERS
    assert {answer[1] for answer in answers} == {"STATUS_INVALID_HANDLE"}
    secrets = [secret for answer in answers for secret in answer[2:]]
    assert len(secrets) == len(set(secrets)) >= 4 * REQUESTS

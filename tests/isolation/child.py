"""Child processes of the tests: what may crash, fork or hang does so there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from conftest import TOKEN_PIN

from hwcng.testing import nss

ROOT = Path(__file__).parents[2]


def _of_nss() -> str:
    """The system's, else where Debian has it, so that who looks finds nothing there."""
    try:
        return str(nss.find_module())
    except nss.NssError:
        return "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"


NSS_MODULE = _of_nss()
NSS_URI = f"pkcs11:slot-id=1?module-path={NSS_MODULE}"
SECONDS = 60

PRELUDE = f"""
import gc, os, sys, threading, time
import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.bcrypt import *
from hwcng.contract import *

URI = sys.argv[1]
PIN = {TOKEN_PIN!r}

def open_token():
    return hwcng.open_provider(URI, pin=PIN)

def aes(provider):
    return BCryptOpenAlgorithmProvider("AES", provider)

def block(key):
    return BCryptEncrypt(key, bytes(16), None, bytes(16))

def ec_key(provider):
    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    BCryptFinalizeKeyPair(pair)
    return pair

def fails(status, call, *words):
    try:
        call()
    except CngError as error:
        assert error.status == status, error
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"{{call}} did not fail with {{status!r}}")

def fork(work, seconds=20):
    '''Runs work() in a forked child and returns the repr that it answered, evaluated.'''
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        status = 1
        try:
            answer = repr(work())
            with os.fdopen(writable, "w") as pipe:
                pipe.write(answer)
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(writable)
    deadline = time.monotonic() + seconds
    done = 0
    while not done and time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.0005)
    if not done:
        import signal
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError("the forked child hangs")
    with os.fdopen(readable) as pipe:
        answer = pipe.read()
    assert status == 0, f"the forked child ended with status {{status}}"
    return eval(answer)
"""


def run(script: str, *arguments: str, env: dict[str, str] | None = None, seconds: float = SECONDS) -> str:
    """What `script` prints in a process of its own. Its failure, a signal that ends it and a hang fail the test."""
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(script), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert child.returncode == 0, f"the child ended with {child.returncode}\n{child.stdout}\n{child.stderr}"
    return child.stdout

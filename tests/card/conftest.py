"""A PIV card in a virtual reader, behind pcscd and OpenSC: what it takes is `CI=true scripts/setup`'s."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from card.piv_card import PIN, PivCard
from support import missing

from hwcng import NTSTATUS, CngError, open_provider

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

DAEMON_SOCKET = "/run/pcscd/pcscd.comm"
MODULES = ("/usr/lib/*/opensc-pkcs11.so", "/usr/lib*/opensc-pkcs11.so")
DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PATIENCE_SECONDS = 30.0
# Below those that connections take for themselves: the driver's usual one is among them, and then there is no reader.
PORTS = range(20_000, 32_000)
READER = """
FRIENDLYNAME "Virtual PCD"
DEVICENAME /dev/null:{port:#x}
LIBPATH {driver}
CHANNELID {port:#x}
"""


def _answers(family: int, address: object) -> bool:
    with socket.socket(family) as line:
        line.settimeout(5)
        return line.connect_ex(address) == 0  # type: ignore[arg-type]


def _module() -> str:
    found = [path for pattern in MODULES for path in glob.glob(pattern)]
    if not found:
        missing("OpenSC's PKCS#11 module")
    return found[0]


def _without_polkit() -> list[str]:
    """Which would ask the machine's message bus who may use a card, where pcscd is new enough to know the word."""
    told = subprocess.run(["pcscd", "--help"], capture_output=True, text=True, check=False)
    return ["--disable-polkit"] if "--disable-polkit" in told.stdout + told.stderr else []


def _free_port() -> int:
    """One that nobody has, nor the next, which the driver takes too."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("", port))
            second.bind(("", port + 1))
            return port


@contextlib.contextmanager
def _daemon() -> Iterator[int]:
    """pcscd of our own, and the port of its reader. A machine has one pcscd, so test runs take turns at it, and a
    person's own is left alone.
    """
    if shutil.which("pcscd") is None:
        missing("command:pcscd")
    if not os.path.exists(DRIVER):
        missing("virtual card reader (vsmartcard-vpcd)")
    with (
        open(Path(tempfile.gettempdir()) / "hwcng-tests-pcscd.lock", "w") as turn,
        tempfile.NamedTemporaryFile("w", suffix=".conf") as configuration,
    ):
        fcntl.flock(turn, fcntl.LOCK_EX)
        port = _free_port()
        configuration.write(READER.format(port=port, driver=DRIVER))
        configuration.flush()
        if _answers(socket.AF_UNIX, DAEMON_SOCKET):
            missing("pcscd of the tests' own (one is running)")
        daemon = subprocess.Popen(
            ["pcscd", "--foreground", "--config", configuration.name, *_without_polkit()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _answers(socket.AF_UNIX, DAEMON_SOCKET):
                if daemon.poll() is not None or time.monotonic() > deadline:
                    missing("pcscd that this user may start")
                time.sleep(0.05)
            yield port
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE_SECONDS)


def _is_there(uri: str) -> bool:
    try:
        open_provider(uri, pin=PIN).close()
    except CngError as error:
        if error.status is NTSTATUS.STATUS_NOT_FOUND:
            return False
        raise
    return True


@pytest.fixture(scope="session")
def card_in_reader() -> Iterator[tuple[PivCard, str]]:
    """The card, and the URI by which it is opened."""
    uri = f"pkcs11:model=PKCS%2315%20emulated?module-path={_module()}"
    with _daemon() as port:
        card = PivCard(("127.0.0.1", port))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                card.insert()
                break
            except OSError:
                assert time.monotonic() < deadline, f"no virtual reader at port {port}"
                time.sleep(0.05)
        # The daemon looks for cards once in a while.
        while not _is_there(uri):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield card, uri
        card.remove()


@pytest.fixture
def card(card_in_reader: tuple[PivCard, str]) -> PivCard:
    return card_in_reader[0]


@pytest.fixture
def card_uri(card_in_reader: tuple[PivCard, str]) -> str:
    return card_in_reader[1]


@pytest.fixture
def card_token(card_uri: str) -> Iterator[Pkcs11Provider]:
    with open_provider(card_uri, pin=PIN) as opened:
        yield opened  # type: ignore[misc]

"""A character device: swtpm behind a pseudo-terminal, which has no resource manager, as /dev/tpm0."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import missing

from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")


class Chardev:
    """swtpm on the one side, its device node on the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.start()

    def start(self) -> None:
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    *("swtpm", "chardev", "--tpm2", "--fd", str(self.master)),
                    *("--tpmstate", f"dir={self.directory}", "--flags", "not-need-init"),
                ],
                pass_fds=[self.master],
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    @property
    def uri(self) -> str:
        return f"tpm2:device:{self.path}?store={self.directory}/store&x-timeout=2"


@pytest.fixture
def chardev(tmp_path: Path) -> Iterator[Chardev]:
    device = Chardev(tmp_path)
    yield device
    device.stop()
    os.close(device.master)
    os.close(device.slave)


def test_a_device_is_used_and_recovers(chardev: Chardev, open_tpm: Callable[..., Tpm2Provider]) -> None:
    with open_tpm(chardev.uri) as provider:
        keys = [provider.generate_pair(SIGNING) for _ in range(4)]
        for key in keys * 2:
            key.sign_digest(EcdsaSpec(), bytes(32))
        chardev.stop()
        chardev.start()
        for key in keys * 2:
            key.sign_digest(EcdsaSpec(), bytes(32))


def test_a_silent_device_meets_its_deadline(chardev: Chardev, open_tpm: Callable[..., Tpm2Provider]) -> None:
    with open_tpm(chardev.uri.replace("x-timeout=2", "x-timeout=0.5")) as provider:
        key = provider.generate_pair(SIGNING)
        key.sign_digest(EcdsaSpec(), bytes(32))
        os.kill(chardev.process.pid, signal.SIGSTOP)
        with pytest.raises(CngError) as error:
            key.sign_digest(EcdsaSpec(), bytes(32))
        assert error.value.status is NTSTATUS.STATUS_IO_TIMEOUT


def test_a_device_that_may_not_be_opened(tmp_path: Path, open_tpm: Callable[..., Tpm2Provider]) -> None:
    path = tmp_path / "tpm0"
    path.write_bytes(b"")
    path.chmod(0)
    if os.access(path, os.R_OK):
        missing("a user other than root")
    with pytest.raises(CngError) as error:
        open_tpm(f"tpm2:device:{path}?store={tmp_path}")
    assert "group" in error.value.message

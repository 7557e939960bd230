"""A TPM that does not answer: swtpm, stopped by SIGSTOP, over its socket and over libtss2's TCTI."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

import hwcng
from hwcng import NTSTATUS, CngError, PairSpec, Usage
from hwcng.contract.specs import EcdsaSpec
from hwcng.providers.tpm2.line import transport

if TYPE_CHECKING:
    from hwcng.testing.swtpm import Swtpm

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
TIMEOUT = 1.0
DIGEST = bytes(32)


@contextmanager
def stopped(tpm: Swtpm) -> Iterator[None]:
    os.kill(tpm.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(tpm.pid, signal.SIGCONT)


def by_libtss2(uri: str) -> str:
    """The same TPM, but its data goes through libtss2, whose calls cannot be interrupted."""
    return uri.replace("tpm2:swtpm:", "tpm2:libtss2-tcti-swtpm.so.0:")


def until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    assert any(true() or pause.wait(0.01) for _ in range(1000))


@pytest.mark.parametrize("road", [str, by_libtss2])
def test_a_stopped_tpm(fresh_tpm: Swtpm, road: Callable[[str], str]) -> None:
    """It is given up, and serves again where it goes on; keys and the provider live."""
    with hwcng.open_provider(road(fresh_tpm.uri), timeout=TIMEOUT) as provider:
        assert "x-timeout=1" in provider.uri
        key = provider.generate_pair(SIGNING)
        key.sign_digest(EcdsaSpec(), DIGEST)
        with stopped(fresh_tpm), pytest.raises(CngError) as caught:
            key.sign_digest(EcdsaSpec(), DIGEST)
        assert caught.value.status is NTSTATUS.STATUS_IO_TIMEOUT
        until(lambda: transport._LOADED.lost == 0)
        for _ in range(3):
            key.sign_digest(EcdsaSpec(), DIGEST)
        provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)


@pytest.mark.parametrize("road", [str, by_libtss2])
def test_a_stopped_tpm_is_not_opened(fresh_tpm: Swtpm, road: Callable[[str], str]) -> None:
    with stopped(fresh_tpm), pytest.raises(CngError) as caught:
        hwcng.open_provider(road(fresh_tpm.uri), timeout=TIMEOUT)
    assert caught.value.status is NTSTATUS.STATUS_IO_TIMEOUT
    until(lambda: transport._LOADED.lost == 0)
    with hwcng.open_provider(road(fresh_tpm.uri), timeout=TIMEOUT) as provider:
        assert len(provider.random(8)) == 8


def test_a_tpm_with_many_clients_is_waited_for(fresh_tpm: Swtpm) -> None:
    """A full queue at swtpm's socket is no swtpm that does not run."""
    uri, path = fresh_tpm.uri, str(fresh_tpm.directory / "tpm.sock")
    with ExitStack() as waiting, stopped(fresh_tpm):
        with pytest.raises(BlockingIOError):
            while True:
                client = waiting.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        with pytest.raises(CngError) as caught:
            hwcng.open_provider(uri, timeout=TIMEOUT)
        assert caught.value.status is NTSTATUS.STATUS_IO_TIMEOUT
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(hwcng.open_provider, uri, timeout=60.0)
            assert not wait([opening], 0.2).done
            waiting.close()
            os.kill(fresh_tpm.pid, signal.SIGCONT)
            with opening.result() as provider:
                assert len(provider.random(8)) == 8


def test_an_authorization_is_not_sent_again(fresh_tpm: Swtpm) -> None:
    """Whether the TPM counted the try that it did not answer, nobody knows: only the caller may try again."""
    with hwcng.open_provider(fresh_tpm.uri, timeout=TIMEOUT) as provider:
        key = provider.generate_pair(SIGNING)
        sent: list[bytes] = []
        exchange = provider.connection._transport.exchange  # type: ignore[attr-defined]
        signing = (0x15D).to_bytes(4, "big")

        def counted(command: bytes) -> bytes:
            sent.append(command[6:10])
            result: bytes = exchange(command)
            return result

        provider.connection._transport.exchange = counted  # type: ignore[attr-defined]
        with stopped(fresh_tpm), pytest.raises(CngError):
            key.sign_digest(EcdsaSpec(), DIGEST)
        assert sent.count(signing) <= 1

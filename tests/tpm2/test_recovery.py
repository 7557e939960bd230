"""A TPM that dies, resets or stays silent; a process that crashed or forks."""

from __future__ import annotations

import hmac
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest

from hwcng.contract.specs import EcdsaSpec, HmacSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
HMAC_KEY = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")


def check(key: object, value: bytes) -> None:
    assert key.mac(HmacSpec("SHA256"), b"data") == hmac.digest(value, b"data", "sha256")  # type: ignore[attr-defined]


# Resets


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("tcp", [True, False])
def test_every_key_works_after_a_reset(open_tpm: Open, start: bool, tcp: bool) -> None:
    with Swtpm(start=start, tcp=tcp) as tpm, open_tpm(tpm.uri) as provider:
        values = [os.urandom(32) for _ in range(5)]
        keys = [provider.import_secret(HMAC_KEY, value) for value in values]
        for _ in range(3):
            for key, value in zip(keys, values, strict=True):
                check(key, value)
            tpm.restart()
        provider.random(10)
        for key, value in zip(keys, values, strict=True):
            check(key, value)


def test_while_the_tpm_is_gone_operations_say_so(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)
        key.sign_digest(EcdsaSpec(), bytes(32))
        fresh_tpm.kill()
        for _ in range(2):
            with pytest.raises(CngError) as error:
                key.sign_digest(EcdsaSpec(), bytes(32))
            assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
            assert "is it running" in error.value.message
        fresh_tpm.start()
        key.sign_digest(EcdsaSpec(), bytes(32))
        fresh_tpm.kill()
        key.destroy()


def until(true: Callable[[], bool]) -> None:
    """Waits for what other threads do; no longer than a minute."""
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


def test_a_reset_in_mid_load_loses_nothing(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        values = [os.urandom(32) for _ in range(6)]
        keys = [provider.import_secret(HMAC_KEY, value) for value in values]
        back, stop = threading.Event(), threading.Event()
        failures: list[Exception] = []
        done = [0, 0]

        def work(number: int) -> None:
            while not stop.is_set():
                after = back.is_set()
                for key, value in zip(keys, values, strict=True):
                    try:
                        check(key, value)
                        done[after] += 1
                    except CngError as error:
                        if after or error.status is not NTSTATUS.STATUS_DEVICE_NOT_CONNECTED:
                            failures.append(error)
                    except Exception as error:
                        failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: done[False] > 20)
        fresh_tpm.kill()
        time.sleep(0.1)
        fresh_tpm.start()
        back.set()
        until(lambda: done[True] > 20 or bool(failures))
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert min(done) > 20


def test_a_cleared_tpm_is_noticed(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)
        fresh_tpm.kill()
        for state in (fresh_tpm.directory / "state").iterdir():
            if state.is_file() and "lock" not in state.name:
                state.unlink()
        fresh_tpm.start()
        with pytest.raises(CngError) as error:
            key.sign_digest(EcdsaSpec(), bytes(32))
        assert error.value.status in (NTSTATUS.STATUS_INVALID_DEVICE_STATE, NTSTATUS.STATUS_NOT_FOUND)


# Silence


def test_a_silent_tpm_meets_its_deadline(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri + "&x-timeout=0.4") as provider:
        key = provider.import_secret(HMAC_KEY, bytes(32))
        fresh_tpm.pause()
        started = time.monotonic()
        with pytest.raises(CngError) as error:
            check(key, bytes(32))
        assert error.value.status is NTSTATUS.STATUS_IO_TIMEOUT
        assert time.monotonic() - started < 2
        fresh_tpm.resume()
        check(key, bytes(32))


def test_timeouts_that_make_no_sense_are_refused(tpm: Swtpm, open_tpm: Open) -> None:
    for text in ("0", "-1", "soon", "inf"):
        with pytest.raises(CngError) as error:
            open_tpm(f"{tpm.uri}&x-timeout={text}")
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


# Who was here before


def test_what_a_crashed_run_left_is_flushed(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    script = textwrap.dedent(
        """
        import os, sys, tpm2_pytss as t
        c = t.ESAPI(sys.argv[1])
        for _ in range(3):
            c.create_primary(None, "ecc", t.ESYS_TR.NULL)
        for _ in range(3):
            c.start_auth_session(t.ESYS_TR.NONE, t.ESYS_TR.NONE, t.TPM2_SE.HMAC, t.TPMT_SYM_DEF(algorithm=0x10), 0xB)
        os._exit(0)
        """
    )
    subprocess.run([sys.executable, "-c", script, fresh_tpm.tcti], check=True)
    with tss.ESAPI(fresh_tpm.tcti) as context, pytest.raises(tss.TSS2_Exception):
        context.create_primary(None, "ecc", tss.ESYS_TR.NULL)
    with open_tpm(fresh_tpm.uri) as provider:
        provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), bytes(32))


def test_a_closed_provider_leaves_nothing_in_the_tpm(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider:
        for _ in range(3):
            provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), bytes(32))
        provider.close()
        with pytest.raises(CngError) as error:
            provider.random(1)
        assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE
    with tss.ESAPI(fresh_tpm.tcti) as context:
        for first in (0x80000000, 0x02000000):
            answer = context.get_capability(tss.TPM2_CAP.HANDLES, first, 10)
            assert len(answer[1].data.handles) == 0


def test_two_providers_share_one_connection(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    first, second = open_tpm(fresh_tpm.uri), open_tpm(fresh_tpm.uri)
    assert first.connection is second.connection
    key, other = first.generate_pair(SIGNING), second.generate_pair(SIGNING)
    second.close()
    key.sign_digest(EcdsaSpec(), bytes(32))
    with pytest.raises(CngError) as error:
        other.sign_digest(EcdsaSpec(), bytes(32))
    assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE
    first.close()
    with pytest.raises(CngError) as error:
        key.sign_digest(EcdsaSpec(), bytes(32))
    assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE


def test_another_provider_of_a_tpm_asks_only_whether_it_is_the_same(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as first, CommandCounter(first) as counter:
        with open_tpm(fresh_tpm.uri) as second:
            assert counter.names == ["TPM2_ReadClock", "TPM2_ReadPublic"]
            assert second.capabilities() == first.capabilities()
            second.random(8)
        fresh_tpm.restart()
        counter.clear()
        with open_tpm(fresh_tpm.uri) as third:
            assert "TPM2_TestParms" in counter.names
            third.random(8)
        counter.clear()
        with open_tpm(fresh_tpm.uri):
            assert "TPM2_TestParms" not in counter.names


def test_another_process_uses_the_tpm_at_the_same_time(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    script = textwrap.dedent(
        """
        import hashlib, hmac, sys
        from hwcng.contract import *
        from hwcng.providers.tpm2.provider import open_uri
        from hwcng.providers.backends import parse_uri
        spec = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
        with open_uri(parse_uri(sys.argv[1])) as provider:
            keys = [provider.import_secret(spec, bytes([n + 100] * 32)) for n in range(4)]
            for _ in range(30):
                for n, key in enumerate(keys):
                    assert key.mac(HmacSpec("SHA256"), b"x") == hmac.digest(bytes([n + 100] * 32), b"x", "sha256")
        """
    )
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.import_secret(HMAC_KEY, bytes(32))
        check(key, bytes(32))
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen([sys.executable, "-c", script, fresh_tpm.uri], env=environ)
        while child.poll() is None:
            check(key, bytes(32))
        assert child.returncode == 0


# Fork


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked child; 0 where it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            work()
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        keys = [provider.import_secret(HMAC_KEY, bytes([number] * 32)) for number in range(3)]
        for number, key in enumerate(keys):
            check(key, bytes([number] * 32))
        blob = keys[1].opaque()
        stop = threading.Event()

        def busy() -> None:
            while not stop.is_set():
                check(keys[0], bytes(32))

        def work() -> None:
            for key in keys:
                with pytest.raises(CngError) as error:
                    check(key, bytes(32))
                assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE and "forked" in error.value.message
                key.destroy()
            assert len(provider.random(16)) == 16
            check(provider.import_secret(HMAC_KEY, b"c" * 32), b"c" * 32)
            check(provider.reload_opaque(blob), b"\1" * 32)

        assert in_child(work) == 0
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert in_child(lambda: provider.connection.close()) == 0
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for number, key in enumerate(keys):
            check(key, bytes([number] * 32))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_draw_different_random_bytes(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        reading, writing = os.pipe()

        def work() -> None:
            os.write(writing, provider.random(32))

        assert in_child(work) == 0
        assert os.read(reading, 32) != provider.random(32)
        os.close(reading)
        os.close(writing)


def test_the_session_is_started_when_the_provider_opens(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider, CommandCounter(provider) as counter:
        provider.random(1)
        assert counter.names == ["TPM2_GetRandom"]

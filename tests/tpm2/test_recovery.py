"""A TPM that dies, resets, stays silent, is busy or full; a process that crashed or forks."""

from __future__ import annotations

import hashlib
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
from isolation.interrupting import interrupted

from hwcng.contract.specs import CipherSpec, EcdsaSpec, HmacSpec, PairSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.line.transport import Exchange
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TpmError, to_cng
from hwcng.providers.tpm2.wire.marshal import sized, u32
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
HMAC_KEY = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
AES_KEY = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
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


# Answers that ask for patience, from a TPM that gives them on purpose


class Says:
    """Puts response codes before a TPM's own answers to one command."""

    def __init__(self, provider: Tpm2Provider, command: int, codes: list[int]) -> None:
        self.provider, self.command, self.codes = provider, command, codes

    def __enter__(self) -> Says:
        self.undo = self.provider.connection.instrument(self.instrument)
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def instrument(self, exchange: Exchange) -> Exchange:
        def saying(command: bytes) -> bytes:
            if self.codes and int.from_bytes(command[6:10], "big") == self.command:
                return b"\x80\x01\0\0\0\x0a" + self.codes.pop(0).to_bytes(4, "big")
            return exchange(command)

        return saying


@pytest.mark.parametrize(
    "codes",
    [
        [0x922, 0x922, 0x908, 0x90A, 0x920],
        [0x153],
        [0x902, 0x904],
        [0xB0902, 0x906],
        [0x903, 0x905, 0x901],
        [0x910, 0x918],
        [0x100],
        [0x98E],
    ],
)
def test_what_passes_is_waited_for_or_repaired(fresh_tpm: Swtpm, open_tpm: Open, codes: list[int]) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        keys = [provider.import_secret(HMAC_KEY, bytes([number] * 32)) for number in range(2)]
        for number, key in enumerate(keys):
            check(key, bytes([number] * 32))
        for code in codes:
            with Says(provider, 0x155, [code] * (3 if code in (0x922, 0x908) else 1)) as says:
                check(keys[0], bytes(32))
                assert says.codes == []
            # The session was given up, so it must not have stayed behind in the TPM.
            check(keys[1], b"\1" * 32)


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (0x9A2, NTSTATUS.STATUS_WRONG_PASSWORD, "BAD_AUTH"),
        (0x921, NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT, "LOCKOUT"),
        (0x909, NTSTATUS.STATUS_CANCELLED, "CANCELED"),
        (0x18B, NTSTATUS.STATUS_NOT_FOUND, "HANDLE"),
        (0x1DF, NTSTATUS.STATUS_INVALID_PARAMETER, "INTEGRITY"),
        (0x0A5, NTSTATUS.STATUS_INVALID_PARAMETER, "BINDING"),
        (0x2C4, NTSTATUS.STATUS_INVALID_PARAMETER, "VALUE"),
        (0x1D5, NTSTATUS.STATUS_INVALID_BUFFER_SIZE, "SIZE"),
        (0x2D2, NTSTATUS.STATUS_NOT_SUPPORTED, "SCHEME"),
        (0x2C3, NTSTATUS.STATUS_NOT_SUPPORTED, "HASH"),
        (0x143, NTSTATUS.STATUS_NOT_SUPPORTED, "COMMAND_CODE"),
        (0x182, NTSTATUS.STATUS_INVALID_HANDLE, "ATTRIBUTES"),
        (0x19C, NTSTATUS.STATUS_INVALID_HANDLE, "KEY"),
        (0x99D, NTSTATUS.STATUS_ACCESS_DENIED, "POLICY_FAIL"),
        (0x12F, NTSTATUS.STATUS_ACCESS_DENIED, "AUTH_UNAVAILABLE"),
        (0x3E0, NTSTATUS.STATUS_ACCESS_DENIED, "TICKET"),
        (0x124, NTSTATUS.STATUS_INTERNAL_ERROR, "AUTH_TYPE"),
        (0x14B, NTSTATUS.STATUS_DISK_FULL, "NV_SPACE"),
        (0x101, NTSTATUS.STATUS_DEVICE_NOT_READY, "FAILURE"),
        (0x130, NTSTATUS.STATUS_DEVICE_NOT_READY, "REBOOT"),
        (0x12D, NTSTATUS.STATUS_DEVICE_NOT_READY, "UPGRADE"),
        (0xB0902, NTSTATUS.STATUS_NO_MEMORY, "OBJECT_MEMORY"),
        (0x922, NTSTATUS.STATUS_DEVICE_BUSY, "RETRY"),
    ],
)
def test_each_answer_has_its_status_and_its_name(code: int, status: NTSTATUS, name: str) -> None:
    error = to_cng(TpmError(code, 0x15D), "signing")
    assert error.status is status
    assert error.token_code is not None and int(error.token_code) == code
    assert error.token_code.name == f"TPM_RC_{name}"


def test_a_tpm_that_stays_full_says_what_to_do(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.import_secret(HMAC_KEY, bytes(32))
        with Says(provider, 0x155, [RC.OBJECT_MEMORY] * 20), pytest.raises(CngError) as error:
            check(key, bytes(32))
        assert error.value.status is NTSTATUS.STATUS_NO_MEMORY
        assert "tpmrm0" in error.value.message
        check(key, bytes(32))


@pytest.mark.parametrize("code", [0x902, 0x903, 0x18B, 0x98E, 0x921])
@pytest.mark.parametrize("answer", [b"\x80\x01\0\0\0\x0a\0\0\1\1", b"\x80\x01\0\0\0\x0b\0\0\0\0\0", b""])
def test_a_question_that_is_not_answered_is_no_other_failure(
    fresh_tpm: Swtpm, open_tpm: Open, code: int, answer: bytes
) -> None:
    """What is asked after a refusal, of room, of the storage root key, of the lockout, may fail too."""
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.import_secret(HMAC_KEY, bytes(32))
        questions = (0x173, 0x17A, 0x181, 0x17B)

        def instrument(exchange: Exchange) -> Exchange:
            def refusing(command: bytes) -> bytes:
                number = int.from_bytes(command[6:10], "big")
                if number in questions:
                    return answer
                return b"\x80\x01\0\0\0\x0a" + code.to_bytes(4, "big") if number == 0x155 else exchange(command)

            return refusing

        undo = provider.connection.instrument(instrument)
        with pytest.raises(CngError):
            check(key, bytes(32))
        undo()
        check(key, bytes(32))


def test_failure_during_rsa_decryption_is_told_from_a_dead_tpm(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(PairSpec("RSA", Usage.DECRYPT, bits=1024))
        for spec in (RsaOaepSpec("SHA256"), RsaPkcs1DecryptSpec()):
            with Says(provider, 0x159, [0x101]), pytest.raises(CngError) as error:
                key.decrypt(spec, b"\1" * 128)
            assert error.value.message == "decryption error"
            with Says(provider, 0x159, [0x101]), Says(provider, 0x17B, [0x101]), pytest.raises(CngError) as error:
                key.decrypt(spec, b"\1" * 128)
            assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_READY


def test_an_answer_that_was_altered_is_noticed(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_secret(AES_KEY)

        def instrument(exchange: Exchange) -> Exchange:
            def altering(command: bytes) -> bytes:
                response = exchange(command)
                if command[6:10] == b"\0\0\x01\x93":
                    return response[:20] + bytes([response[20] ^ 1]) + response[21:]
                return response

            return altering

        undo = provider.connection.instrument(instrument)
        with pytest.raises(CngError) as error:
            key.encrypt(CipherSpec(CipherMode.ECB), bytes(16))
        assert "altered" in error.value.message
        undo()
        assert len(key.encrypt(CipherSpec(CipherMode.ECB), bytes(16))) == 16


@pytest.mark.parametrize(
    "answer", [b"", b"\x80", b"\x80\x01\0\0\0\x0a\0\0\0\0", b"\x80\x02\0\0\0\x0e\0\0\0\0\0\0\0\xff"]
)
def test_answers_that_are_no_answers(fresh_tpm: Swtpm, open_tpm: Open, answer: bytes) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)
        undo = provider.connection.instrument(lambda exchange: lambda command: answer)
        for work in (lambda: key.sign_digest(EcdsaSpec(), bytes(32)), lambda: provider.generate_pair(SIGNING)):
            with pytest.raises(CngError) as error:
                work()
            assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
        undo()
        key.sign_digest(EcdsaSpec(), bytes(32))


def test_a_signature_that_ends_too_early_is_no_answer(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    signature = b"\0\x18\0\x0b\0\xff"

    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)

        def instrument(exchange: Exchange) -> Exchange:
            def shortened(command: bytes) -> bytes:
                response = exchange(command)
                if command[6:10] != u32(CC.Sign) or (session := provider.connection.session) is None:
                    return response
                # The session's nonce, attributes and HMAC are behind the parameters.
                nonce, attributes = response[-51:-35], response[-35:-34]
                said = hashlib.sha256(bytes(4) + command[6:10] + signature).digest()
                mac = session.mac(said + nonce + command[24:40] + attributes, b"")
                area = u32(len(signature)) + signature + sized(nonce) + attributes + sized(mac)
                return response[:2] + u32(10 + len(area)) + response[6:10] + area

            return shortened

        undo = provider.connection.instrument(instrument)
        with pytest.raises(CngError) as error:
            key.sign_digest(EcdsaSpec(), bytes(32))
        assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_CONNECTED and "malformed" in error.value.message
        undo()
        assert len(key.sign_digest(EcdsaSpec(), bytes(32))) == 64


def test_an_interrupted_command_does_not_spoil_the_next(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.import_secret(HMAC_KEY, bytes(32))
        check(key, bytes(32))
        interrupted = [True]

        def instrument(exchange: Exchange) -> Exchange:
            def interrupting(command: bytes) -> bytes:
                response = exchange(command)
                if interrupted:
                    interrupted.pop()
                    raise KeyboardInterrupt
                return response

            return interrupting

        undo = provider.connection.instrument(instrument)
        with pytest.raises(KeyboardInterrupt):
            check(key, bytes(32))
        undo()
        for _ in range(3):
            check(key, bytes(32))


def test_an_interruption_anywhere_in_the_end_of_a_key_takes_no_room(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        nth, came = 0, True
        while came:
            key = provider.import_secret(HMAC_KEY, bytes(32))
            check(key, bytes(32))
            came = interrupted(key.destroy, nth)
            nth += 1
        assert nth > 10
        check(provider.import_secret(HMAC_KEY, bytes(32)), bytes(32))


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

"""Answers of a TPM that refuse, end too early, were altered or interrupted: what is told, and what goes on."""

from __future__ import annotations

import hashlib

import pytest
from isolation.interrupting import interrupted
from tpm2.test_recovery import HMAC_KEY, SIGNING, Open, check

from hwcng.contract.specs import CipherSpec, EcdsaSpec, PairSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.line.transport import Exchange
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TpmError, to_cng
from hwcng.providers.tpm2.wire.marshal import sized, u32
from hwcng.testing.swtpm import Swtpm

AES_KEY = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)


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

"""What a TPM states about its PCRs, checked on the host; tpm2-tools check ours, and we check theirs."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.helpers import refused
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import MISSING

from hwcng import HRESULT, NTSTATUS, CngError, PairSpec, Usage, ncrypt
from hwcng.attestation import Quote, verify_quote
from hwcng.hostcrypto.host_keys import host_key
from hwcng.ksp.handles import StorageProvider
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.public_area import name_of, parse_public
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

NONCE = b"nonce of the verifier"
MASK = ncrypt.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_PCR_MASK
CLAIM_NONCE = ncrypt.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_NONCE
STATIC = ncrypt.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_STATIC_CREATE
DEBUG_PCR = 16
Exchange = Callable[[bytes], bytes]
with_tools = pytest.mark.skipif(shutil.which("tpm2_checkquote") is None, reason=MISSING + "command:tpm2_checkquote")


@pytest.fixture(scope="module")
def record(tpm_provider: Tpm2Provider) -> Quote:
    return tpm_provider.quote([7, 0, 1], NONCE)


def test_a_quote_holds(tpm_provider: Tpm2Provider, record: Quote) -> None:
    attested = verify_quote(record, NONCE)
    assert attested.bank == "SHA256" and attested.pcrs == tpm_provider.pcr_values([0, 1, 7])
    assert verify_quote(record, NONCE, signer_name=attested.signer_name, expected={7: attested.pcrs[7]}) == attested
    assert verify_quote(pickle.loads(pickle.dumps(record)), memoryview(NONCE)) == attested  # type: ignore[arg-type]
    # The key that attests keys quotes too.
    key = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    assert key.attest(b"").signer_public == record.signer_public
    assert hash(record) and hash(attested)


@pytest.mark.parametrize("bank", ["SHA1", "SHA384", "SHA512"])
def test_other_banks(tpm_provider: Tpm2Provider, bank: str) -> None:
    record = tpm_provider.quote(range(24), NONCE, bank)
    attested = verify_quote(record, NONCE)
    size = hashlib.new(bank).digest_size
    assert attested.bank == bank and {len(value) for value in attested.pcrs.values()} == {size}
    assert sorted(attested.pcrs) == list(range(24))


def test_nothing_that_was_bent_is_believed(record: Quote) -> None:
    def refuses(other: Quote) -> None:
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
            verify_quote(other, NONCE, signer_name=signer)

    signer = verify_quote(record, NONCE).signer_name
    for field in ("signer_public", "statement", "signature"):
        octets = getattr(record, field)
        for position in range(len(octets)):
            bent = octets[:position] + bytes([octets[position] ^ 0x01]) + octets[position + 1 :]
            refuses(dataclasses.replace(record, **{field: bent}))
        for other in (octets[:-1], octets[: len(octets) // 2], octets + b"\0", b""):
            refuses(dataclasses.replace(record, **{field: other}))
    values = dict(record.pcrs)
    for pcrs in (
        {**values, 7: bytes(31) + b"\1"},
        {pcr: value for pcr, value in values.items() if pcr != 7},
        {**values, 8: bytes(32)},
        {pcr + 1: value for pcr, value in values.items()},
        {},
        # The same octets, cut elsewhere.
        {0: values[0] + values[1][:1], 1: values[1][1:], 7: values[7]},
    ):
        refuses(dataclasses.replace(record, pcrs=pcrs))
    for bank in ("SHA1", "SHA384", "SHA3-256", "no hash"):
        refuses(dataclasses.replace(record, bank=bank))


def test_what_the_verifier_expects(record: Quote, tpm_provider: Tpm2Provider) -> None:
    values = dict(record.pcrs)
    for expected, named in (({7: bytes(31) + b"\1", 0: values[0]}, "PCR 7"), ({9: bytes(32)}, "nothing of PCR 9")):
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE) as error:
            verify_quote(record, NONCE, expected=expected)
        assert named in str(error.value)
    for nonce in (b"", NONCE[:-1], b"another"):
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
            verify_quote(record, nonce)
    with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
        verify_quote(record, NONCE, signer_name=b"\x00\x0b" + bytes(32))
    # A statement about a key is none about PCRs.
    key = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")).attest(NONCE)
    with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
        verify_quote(dataclasses.replace(record, statement=key.statement, signature=key.signature), NONCE)


def test_arguments_of_the_wrong_kind(record: Quote, tpm_provider: Tpm2Provider) -> None:
    for call in (
        lambda: verify_quote("text", NONCE),  # type: ignore[arg-type]
        lambda: verify_quote(record, "text"),  # type: ignore[arg-type]
        lambda: verify_quote(record, NONCE, signer_name="text"),  # type: ignore[arg-type]
        lambda: verify_quote(record, NONCE, expected=[7]),  # type: ignore[arg-type]
        lambda: verify_quote(record, NONCE, expected={"7": b""}),  # type: ignore[dict-item]
        lambda: verify_quote(record, NONCE, expected={7: "text"}),  # type: ignore[dict-item]
        lambda: verify_quote(dataclasses.replace(record, pcrs=None), NONCE),  # type: ignore[arg-type]
        lambda: tpm_provider.quote([], NONCE),
        lambda: tpm_provider.quote([24], NONCE),
        lambda: tpm_provider.quote([-1], NONCE),
        lambda: tpm_provider.quote("7", NONCE),  # type: ignore[arg-type]
        lambda: tpm_provider.quote(7, NONCE),  # type: ignore[arg-type]
        lambda: tpm_provider.quote([7], bytes(33)),
        lambda: tpm_provider.quote([7], "text"),  # type: ignore[arg-type]
        lambda: tpm_provider.quote([7], NONCE, 4),  # type: ignore[arg-type]
        lambda: tpm_provider.pcr_values([]),
    ):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            call()
    for bank in ("MD5", "SHA3-512"):
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            tpm_provider.quote([7], NONCE, bank)


def test_a_quote_costs_few_commands(tpm_provider: Tpm2Provider, record: Quote) -> None:
    with CommandCounter(tpm_provider) as counter:
        tpm_provider.quote([0, 1, 7], NONCE)
    assert sorted(counter.names) == ["TPM2_PCR_Read", "TPM2_Quote"]


# By ncrypt.h.


def test_a_platform_claim(storage: StorageProvider) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    ncrypt.NCryptFinalizeKey(key)
    for mask, pcrs in ((1 << 7 | 1, [0, 7]), (b"\x81\0\0", [0, 7]), (b"\0\0\x80\0", [23])):
        parameters = [(MASK, mask), (CLAIM_NONCE, NONCE), (STATIC, 0)]
        for subject in (storage, key, key.key):
            claim = ncrypt.NCryptCreateClaim(subject, None, ncrypt.NCRYPT_CLAIM_PLATFORM, parameters)  # type: ignore[arg-type]
            attested = ncrypt.NCryptVerifyClaim(None, None, ncrypt.NCRYPT_CLAIM_PLATFORM, parameters, claim)  # type: ignore[arg-type]
            assert sorted(attested.pcrs) == pcrs  # type: ignore[union-attr]
    for others in ([(MASK, 1), (CLAIM_NONCE, NONCE)], [(MASK, 1 << 23), (CLAIM_NONCE, b"another")]):
        with refused(HRESULT.NTE_BAD_SIGNATURE):
            ncrypt.NCryptVerifyClaim(storage, None, ncrypt.NCRYPT_CLAIM_PLATFORM, others, claim)  # type: ignore[arg-type]


def test_platform_claims_that_are_not_made(storage: StorageProvider) -> None:
    platform, nonce = ncrypt.NCRYPT_CLAIM_PLATFORM, (CLAIM_NONCE, NONCE)
    for wrong in (None, [], [nonce], [(MASK, 1)], [(MASK, 0), nonce], [(MASK, 1 << 24), nonce], [(MASK, "1"), nonce]):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            ncrypt.NCryptCreateClaim(storage, None, platform, wrong)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptCreateClaim(storage, None, platform, [(MASK, 1), nonce, (STATIC, 1)])  # type: ignore[list-item]
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptCreateClaim(storage, None, 0x1000, [(MASK, 1), nonce])  # type: ignore[list-item]
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptCreateClaim(storage, None, ncrypt.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, [(49, NONCE)])
    claim = ncrypt.NCryptCreateClaim(storage, None, platform, [(MASK, 1), nonce])  # type: ignore[list-item]
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptVerifyClaim(None, None, ncrypt.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, [(49, NONCE)], claim)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptVerifyClaim(None, None, platform, [(MASK, 1), nonce], b"claim")  # type: ignore[arg-type, list-item]
    ncrypt.NCryptFreeObject(storage)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        ncrypt.NCryptCreateClaim(storage, None, platform, [(MASK, 1), nonce])  # type: ignore[list-item]


# Beside tpm2-tools.


@with_tools
def test_tpm2_checkquote_takes_ours(storage: StorageProvider, tools: Callable[..., bytes], tmp_path: Path) -> None:
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'5a' * 32}")
    record = storage.provider.quote([0, 7, DEBUG_PCR], NONCE)
    public = parse_public(record.signer_public).material
    assert public is not None
    (tmp_path / "ak.pem").write_bytes(host_key(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "quote").write_bytes(record.statement)
    (tmp_path / "signature").write_bytes(record.signature)
    (tmp_path / "pcrs").write_bytes(b"".join(record.pcrs[pcr] for pcr in sorted(record.pcrs)))
    line = "tpm2_checkquote -u ak.pem -m quote -s signature -g sha256 -f pcrs -F values -l sha256:0,7,16 -q "
    tools(line + NONCE.hex())
    with pytest.raises(AssertionError):
        tools(line + b"another".hex())
    assert record.pcrs[DEBUG_PCR] == hashlib.sha256(bytes(32) + b"\x5a" * 32).digest()


@with_tools
@pytest.mark.parametrize(
    "key", ["-G ecc -g sha256 -s ecdsa", "-G rsa -g sha256 -s rsassa", "-G rsa -g sha256 -s rsapss", "-G ecc -g sha384"]
)
def test_quotes_of_tpm2_quote_are_taken(tools: Callable[..., bytes], tmp_path: Path, key: str) -> None:
    tools("tpm2_createek -G ecc -c ek.ctx")
    tools("tpm2_flushcontext -t")
    tools(f"tpm2_createak -C ek.ctx -c ak.ctx {key} -u ak.pub")
    tools("tpm2_flushcontext -t")
    scheme = " --scheme rsapss" if key.endswith("pss") else ""
    line = f"tpm2_quote -c ak.ctx -l sha1:3,4 -q {NONCE.hex()} -m quote -s signature -o pcrs -F values -g "
    tools(line + key.split("-g ")[1].split()[0] + scheme)
    public = (tmp_path / "ak.pub").read_bytes()[2:]
    values = (tmp_path / "pcrs").read_bytes()
    record = Quote(
        public,
        (tmp_path / "quote").read_bytes(),
        (tmp_path / "signature").read_bytes(),
        "SHA1",
        {3: values[:20], 4: values[20:]},
    )
    assert verify_quote(record, NONCE, signer_name=name_of(public)).pcrs == record.pcrs
    bent = bytes([record.signature[-1] ^ 1])
    with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
        verify_quote(dataclasses.replace(record, signature=record.signature[:-1] + bent), NONCE)


# What goes wrong.


def extending(fresh_tpm: Swtpm, times: int) -> Callable[[Exchange], Exchange]:
    """Extends a PCR between its reading and its quote, by another program's command."""
    left = [times]

    def around(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            if command[6:10] == int(CC.Quote).to_bytes(4, "big") and left[0]:
                left[0] -= 1
                body = (
                    int(DEBUG_PCR).to_bytes(4, "big")
                    + (9).to_bytes(4, "big")
                    + bytes.fromhex("40000009 0000 01 0000")
                    + bytes.fromhex("00000001 000b")
                    + bytes([7]) * 32
                )
                extend = bytes.fromhex("8002") + (10 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000182") + body
                assert exchange(extend)[6:10] == bytes(4)
            return exchange(command)

        return carry

    return around


def test_pcrs_that_change_meanwhile(fresh_tpm: Swtpm, storage: StorageProvider) -> None:
    provider = storage.provider
    assert isinstance(provider, Tpm2Provider)
    undo = provider.connection.instrument(extending(fresh_tpm, 2))
    record = provider.quote([DEBUG_PCR], NONCE)
    undo()
    assert verify_quote(record, NONCE).pcrs == provider.pcr_values([DEBUG_PCR])
    undo = provider.connection.instrument(extending(fresh_tpm, 3))
    with refused(NTSTATUS.STATUS_RETRY):
        provider.quote([DEBUG_PCR], NONCE)
    undo()
    assert verify_quote(provider.quote([DEBUG_PCR], NONCE), NONCE).pcrs == provider.pcr_values([DEBUG_PCR])


@pytest.mark.parametrize("code", [CC.Quote, CC.PCR_Read])
@pytest.mark.parametrize("answered", [True, False])
def test_a_line_that_breaks(storage: StorageProvider, code: CC, answered: bool) -> None:
    provider = storage.provider
    assert isinstance(provider, Tpm2Provider)
    provider.quote([0], NONCE)
    broken: list[bytes] = []

    def breaking(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            if command[6:10] == int(code).to_bytes(4, "big") and not broken:
                broken.append(command)
                if answered:
                    exchange(command)
                raise TransportError("cut")
            return exchange(command)

        return carry

    undo = provider.connection.instrument(breaking)
    assert verify_quote(provider.quote([0], NONCE), NONCE)
    undo()
    assert broken


@pytest.mark.parametrize(
    ("rc", "status"),
    [
        (RC.HASH | 0x2C0, NTSTATUS.STATUS_NOT_SUPPORTED),
        (RC.AUTH_FAIL | 0x900, NTSTATUS.STATUS_WRONG_PASSWORD),
        (RC.LOCKOUT, NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT),
        (RC.FAILURE, NTSTATUS.STATUS_DEVICE_NOT_READY),
    ],
)
def test_a_tpm_that_refuses(storage: StorageProvider, rc: int, status: NTSTATUS) -> None:
    provider = storage.provider
    assert isinstance(provider, Tpm2Provider)
    sent: list[bytes] = []

    def refusing(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            if command[6:10] != int(CC.Quote).to_bytes(4, "big"):
                return exchange(command)
            sent.append(command)
            return bytes.fromhex("80010000000a") + rc.to_bytes(4, "big")

        return carry

    undo = provider.connection.instrument(refusing)
    with pytest.raises(CngError) as caught:
        provider.quote([0], NONCE)
    undo()
    assert caught.value.status is status and len(sent) <= 2, caught.value
    assert verify_quote(provider.quote([0], NONCE), NONCE)

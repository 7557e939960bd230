"""RSA and elliptic-curve pairs of a TPM through hwcng.bcrypt, against `cryptography` and RFC 8017 written out."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from conformance import oracle
from conformance.checks import aes, fails, generated, imported, public_of
from cryptography.hazmat.primitives.asymmetric import ec
from tpm2.helpers import in_four_threads, rsa_material

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

HASHES = ("SHA1", "SHA256", "SHA384", "SHA512")
CURVES = {"P256": "nistP256", "P384": "nistP384", "P521": "nistP521"}
PKCS1, PSS, OAEP = bcrypt.BCRYPT_PAD_PKCS1, bcrypt.BCRYPT_PAD_PSS, bcrypt.BCRYPT_PAD_OAEP


@pytest.fixture(scope="module", params=[1024, 2048, 3072])
def rsa_pair(request: pytest.FixtureRequest, tpm_provider: Tpm2Provider) -> KeyPair:
    return generated(tpm_provider, "RSA", request.param)


@pytest.fixture(scope="module")
def rsa2048(tpm_provider: Tpm2Provider) -> KeyPair:
    return generated(tpm_provider, "RSA", 2048)


@pytest.fixture(scope="module")
def signing_only(tpm_provider: Tpm2Provider) -> KeyPair:
    return generated(tpm_provider, "RSA_SIGN", 1024)


def modulus(pair: KeyPair) -> int:
    return oracle.modulus_of(bcrypt.BCryptExportKey(pair, None, "RSAPUBLICBLOB"))


# RSA


def test_an_empty_pair_reaches_no_tpm(tpm_provider: Tpm2Provider) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("RSA", tpm_provider)
    with CommandCounter(tpm_provider) as counter:
        pair = bcrypt.BCryptGenerateKeyPair(handle, 1024)
        bcrypt.BCryptSetProperty(pair, "KeyLength", 2048)
        for call in (
            lambda: bcrypt.BCryptExportKey(pair, None, "PUBLICBLOB"),
            lambda: bcrypt.BCryptSignHash(pair, bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), bytes(32), PKCS1),
            lambda: bcrypt.BCryptDecrypt(pair, bytes(256)),
        ):
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                call()
        assert counter.total == 0
        bcrypt.BCryptFinalizeKeyPair(pair)
    assert "TPM2_Create" in counter.names and counter.total <= 2
    assert modulus(pair).bit_length() == 2048
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptFinalizeKeyPair(pair)


def test_rsa_lengths_that_the_tpm_does_not_take(tpm_provider: Tpm2Provider) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("RSA", tpm_provider)
    for bits in (512, 1088, 16384):
        pair = bcrypt.BCryptGenerateKeyPair(handle, bits)
        with CommandCounter(tpm_provider) as counter, fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptFinalizeKeyPair(pair)
        assert counter.total == 0
        bcrypt.BCryptSetProperty(pair, "KeyLength", 1024)
        bcrypt.BCryptFinalizeKeyPair(pair)
    for bits in (0, 1025, 448, 16448):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateKeyPair(handle, bits)


@pytest.mark.parametrize("name", [*HASHES, "MD5", "SHA3-256", None])
def test_pkcs1_signatures(rsa_pair: KeyPair, name: str | None) -> None:
    digest = oracle.digest(name or "SHA1", b"message")
    info = bcrypt.BCRYPT_PKCS1_PADDING_INFO(name)
    signature = bcrypt.BCryptSignHash(rsa_pair, info, digest, PKCS1)
    block = oracle.raw_public(signature, modulus(rsa_pair))
    assert block == oracle.pkcs1_signature_block(len(signature), name, digest)
    bcrypt.BCryptVerifySignature(rsa_pair, info, digest, signature, PKCS1)
    bcrypt.BCryptVerifySignature(public_of(rsa_pair), info, digest, signature, PKCS1)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(rsa_pair, info, digest[::-1], signature, PKCS1)


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("salt", [0, 20, 32, -1], ids=["0", "20", "32", "longest"])
def test_pss_signatures(rsa_pair: KeyPair, name: str, salt: int) -> None:
    digest, number = oracle.digest(name, b"message"), modulus(rsa_pair)
    room = number.bit_length() // 8 - len(digest) - 2
    length = room if salt < 0 else salt
    info = bcrypt.BCRYPT_PSS_PADDING_INFO(name, length)
    if length > room:
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(rsa_pair, info, digest, PSS)
        return
    signature = bcrypt.BCryptSignHash(rsa_pair, info, digest, PSS)
    found = oracle.pss_salt(oracle.raw_public(signature, number), number.bit_length(), name, digest)
    assert found is not None and len(found) == length
    bcrypt.BCryptVerifySignature(rsa_pair, info, digest, signature, PSS)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(rsa_pair, bcrypt.BCRYPT_PSS_PADDING_INFO(name, room + 1), digest, PSS)


@pytest.mark.parametrize("name", [*HASHES, "MD5"])
@pytest.mark.parametrize("label", [b"", b"label", b"with\0zero"])
def test_oaep(rsa2048: KeyPair, name: str, label: bytes) -> None:
    info = bcrypt.BCRYPT_OAEP_PADDING_INFO(name, label)
    size, number = 256, modulus(rsa2048)
    longest = size - 2 * len(oracle.digest(name, b"")) - 2
    for message in (b"", b"message", bytes(longest)):
        block = oracle.oaep_block(size, name, label, message)
        assert bcrypt.BCryptDecrypt(rsa2048, oracle.raw_public(block, number), info, None, OAEP) == message
        ours = bcrypt.BCryptEncrypt(rsa2048, message, info, None, OAEP)
        assert bcrypt.BCryptDecrypt(rsa2048, ours, info, None, OAEP) == message
    other = bcrypt.BCRYPT_OAEP_PADDING_INFO(name, b"another label")
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(rsa2048, ours, other, None, OAEP)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(rsa2048, bytes(longest + 1), info, None, OAEP)


def test_rsa_decryption(rsa_pair: KeyPair) -> None:
    number = modulus(rsa_pair)
    size = number.bit_length() // 8
    for message in (b"", b"message", bytes(size - 11)):
        hidden = oracle.raw_public(oracle.pkcs1_encryption_block(size, message), number)
        assert bcrypt.BCryptDecrypt(rsa_pair, hidden, None, None, PKCS1) == message
    raw = bytes([0, *random.Random(1).randbytes(size - 1)])
    for flags in (0, bcrypt.BCRYPT_PAD_NONE):
        assert bcrypt.BCryptDecrypt(rsa_pair, oracle.raw_public(raw, number), None, None, flags) == raw
        assert bcrypt.BCryptEncrypt(rsa_pair, raw, None, None, flags) == oracle.raw_public(raw, number)
    for wrong in (b"", bytes(size - 1), bytes(size + 1), number.to_bytes(size, "big")):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDecrypt(rsa_pair, wrong, None, None, PKCS1)


def test_every_failed_rsa_decryption_looks_the_same(rsa2048: KeyPair) -> None:
    """Of OAEP always; of PKCS #1 too, or else, by implicit rejection, a message of no meaning, each time the same."""
    number, said, rejected = modulus(rsa2048), set(), 0
    oaep = bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256")
    labelled = bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256", b"label")
    block = oracle.pkcs1_encryption_block(256, b"message")
    for info, flags, bad in (
        (None, PKCS1, b"\0\1" + block[2:]),
        (None, PKCS1, b"\1" + bytes(255)),
        (None, PKCS1, b"\0\2" + b"\1" * 254),
        (oaep, OAEP, block),
        (oaep, OAEP, oracle.oaep_block(256, "SHA256", b"label", b"message")),
        (oaep, OAEP, oracle.oaep_block(256, "SHA1", b"", b"message")),
        (labelled, OAEP, block),
        (labelled, OAEP, oracle.oaep_block(256, "SHA256", b"", b"message")),
    ):
        ciphertext = oracle.raw_public(bad, number)
        try:
            message = bcrypt.BCryptDecrypt(rsa2048, ciphertext, info, None, flags)
        except CngError as failure:
            said.add((failure.status, str(failure), str(failure.token_code)))
            continue
        assert flags == PKCS1 and message == bcrypt.BCryptDecrypt(rsa2048, ciphertext, info, None, flags)
        assert message != bad[-len(message) :] or not message
        rejected += 1
    assert rejected in (0, 3) and len(said) == 1
    assert next(iter(said))[0] == NTSTATUS.STATUS_INVALID_PARAMETER


def test_digests_of_wrong_length(rsa2048: KeyPair, tpm_provider: Tpm2Provider) -> None:
    signing = generated(tpm_provider, "ECDSA_P256", 256)
    with CommandCounter(tpm_provider) as counter:
        for name in HASHES:
            for info, flags in (
                (bcrypt.BCRYPT_PKCS1_PADDING_INFO(name), PKCS1),
                (bcrypt.BCRYPT_PSS_PADDING_INFO(name, 20), PSS),
            ):
                for length in (0, 1, len(oracle.digest(name, b"")) - 1, len(oracle.digest(name, b"")) + 1):
                    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                        bcrypt.BCryptSignHash(rsa2048, info, bytes(length), flags)
        for info, flags in ((None, 0), (None, PKCS1), (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), PSS)):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(rsa2048, info, bytes(32), flags)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(rsa2048, bcrypt.BCRYPT_PKCS1_PADDING_INFO(None), bytes(246), PKCS1)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(rsa2048, bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA7"), bytes(32), PKCS1)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(signing, None, b"")
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(public_of(signing), None, bytes(32))
    assert counter.total == 0


def test_a_key_that_only_signs(signing_only: KeyPair) -> None:
    number = modulus(signing_only)
    for name in HASHES:
        digest = oracle.digest(name, b"message")
        signature = bcrypt.BCryptSignHash(signing_only, bcrypt.BCRYPT_PKCS1_PADDING_INFO(name), digest, PKCS1)
        assert oracle.raw_public(signature, number) == oracle.pkcs1_signature_block(128, name, digest)
    digest = oracle.digest("SHA256", b"message")
    info = bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32)
    signature = bcrypt.BCryptSignHash(signing_only, info, digest, PSS)
    assert oracle.pss_salt(oracle.raw_public(signature, number), 1024, "SHA256", digest)
    # What the TPM does not pad itself would need raw RSA, which a signing key does not do.
    for refused, flags, length in (
        (bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 20), PSS, 32),
        (bcrypt.BCRYPT_PKCS1_PADDING_INFO("MD5"), PKCS1, 16),
        (bcrypt.BCRYPT_PKCS1_PADDING_INFO(None), PKCS1, 32),
    ):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as failure:
            bcrypt.BCryptSignHash(signing_only, refused, bytes(length), flags)
        assert "BCRYPT_RSA_ALGORITHM" in failure.value.message
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptDecrypt(signing_only, bytes(128), None, None, PKCS1)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptEncrypt(signing_only, b"message", None, None, PKCS1)


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
def test_imported_rsa_pairs(tpm_provider: Tpm2Provider, name: str, bits: int) -> None:
    pair = imported(tpm_provider, name, oracle.rsa_blob(bits))
    digest = oracle.digest("SHA256", b"message")
    signature = bcrypt.BCryptSignHash(pair, bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), digest, PKCS1)
    block = oracle.pkcs1_signature_block(bits // 8, "SHA256", digest)
    assert signature == oracle.raw_private(block, bits)
    assert modulus(pair) == oracle.rsa_numbers(bits)[0]
    if name == "RSA":
        hidden = oracle.raw_public(oracle.pkcs1_encryption_block(bits // 8, b"x"), modulus(pair))
        assert bcrypt.BCryptDecrypt(pair, hidden, None, None, PKCS1) == b"x"


def test_rsa_pairs_that_the_tpm_does_not_take(tpm_provider: Tpm2Provider) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("RSA", tpm_provider)
    _, other = rsa_material(1024, 3)
    e, n, p, q = (
        number.to_bytes((number.bit_length() + 7) // 8, "big")
        for number in (other.public_exponent, other.modulus, other.prime1, other.prime2)
    )
    header = b"RSA2" + b"".join(number.to_bytes(4, "little") for number in (1024, len(e), len(n), len(p), len(q)))
    with CommandCounter(tpm_provider) as counter:
        for blob in (header + e + n + p + q, oracle.rsa_blob(512), oracle.rsa_blob(1025)):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptImportKeyPair(handle, None, "RSAPRIVATEBLOB", blob)
    assert counter.total == 0


# Elliptic curves


def ec_rows(family: str) -> list[Any]:
    return [
        *(pytest.param(f"{family}_{name}", None, curve, id=name) for name, curve in CURVES.items()),
        *(pytest.param(family, curve, curve, id=f"generic {curve}") for curve in CURVES.values()),
        pytest.param(family, "secP256r1", "nistP256", id="generic secP256r1"),
    ]


@pytest.mark.parametrize(("name", "curve_name", "curve"), ec_rows("ECDSA"))
def test_ecdsa(tpm_provider: Tpm2Provider, name: str, curve_name: str | None, curve: str) -> None:
    pair = generated(tpm_provider, name, 0 if curve_name else oracle.EC_CURVES[curve].key_size, curve_name)
    public = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(pair, None, "ECCPUBLICBLOB"))
    for length in (1, 16, 20, 31, 32, 33, 48, 64, 65, 66, 100):
        digest = random.Random(length).randbytes(length)
        if min(length, oracle.ec_width(curve)) > 64:
            # P-521 has room for 66 bytes, and no hash of a TPM is that long.
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as failure:
                bcrypt.BCryptSignHash(pair, None, digest)
            assert "no hash for a digest" in failure.value.message
            continue
        signature = bcrypt.BCryptSignHash(pair, None, digest)
        assert len(signature) == 2 * oracle.ec_width(curve)
        oracle.ecdsa_verify(public, digest, signature)
        bcrypt.BCryptVerifySignature(public_of(pair), None, digest, signature)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, None, bytes(32), signature)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSecretAgreement(pair, pair)


@pytest.mark.parametrize(("name", "curve_name", "curve"), ec_rows("ECDSA"))
def test_imported_ecdsa_pairs(tpm_provider: Tpm2Provider, name: str, curve_name: str | None, curve: str) -> None:
    for scalar in (1, 0x1234567):
        host = ec.derive_private_key(scalar, oracle.EC_CURVES[curve])
        pair = imported(tpm_provider, name, oracle.ec_blob("ECDSA", curve, host, generic=bool(curve_name)), curve_name)
        signature = bcrypt.BCryptSignHash(pair, None, bytes(range(32)))
        oracle.ecdsa_verify(host.public_key(), bytes(range(32)), signature)


def test_curves_that_the_tpm_lacks(tpm_provider: Tpm2Provider) -> None:
    for name in ("ECDSA", "ECDH"):
        handle = bcrypt.BCryptOpenAlgorithmProvider(name, tpm_provider)
        for curve in ("brainpoolP256r1", "secP256k1"):
            bcrypt.BCryptSetProperty(handle, "ECCCurveName", curve)
            pair = bcrypt.BCryptGenerateKeyPair(handle, 256)
            with CommandCounter(tpm_provider) as counter, fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptFinalizeKeyPair(pair)
            assert counter.total == 0
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(handle, "ECCCurveName", "no such curve")
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptFinalizeKeyPair(
                bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(name, tpm_provider), 256)
            )


# Blobs and ends

OPAQUE = ("RSA", "RSA_SIGN", "ECDSA_P256", "ECDSA_P521", "ECDH_P256", "ECDH_P384")


def used(pair: KeyPair) -> None:
    """Raises where the private half is not the public one's."""
    if pair.algorithm.agrees:
        peer = generated(pair.algorithm_handle.provider, pair.algorithm.name, pair.bits)
        secrets = bcrypt.BCryptSecretAgreement(pair, peer), bcrypt.BCryptSecretAgreement(peer, pair)
        assert len({bcrypt.BCryptDeriveKey(secret, "HASH", None, None) for secret in secrets}) == 1
    else:
        info, flags = (None, 0) if pair.algorithm.elliptic else (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), PKCS1)
        signature = bcrypt.BCryptSignHash(pair, info, bytes(32), flags)
        bcrypt.BCryptVerifySignature(pair, info, bytes(32), signature, flags)


@pytest.mark.parametrize("name", OPAQUE)
@pytest.mark.parametrize("policy", [0, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG])
def test_opaque_blobs(
    tpm_provider: Tpm2Provider, fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], name: str, policy: int
) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, tpm_provider)
    pair = bcrypt.BCryptGenerateKeyPair(handle, int(name[-3:]) if name.startswith("EC") else 1024)
    bcrypt.BCryptSetProperty(pair, "Export Policy", policy)
    bcrypt.BCryptFinalizeKeyPair(pair)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, "Export Policy", 1)
    family = "ECC" if name.startswith("EC") else "RSA"
    for private in ("PRIVATEBLOB", f"{family}PRIVATEBLOB"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(pair, None, private)
    blob, public = (bcrypt.BCryptExportKey(pair, None, kind) for kind in ("OpaqueKeyBlob", "PUBLICBLOB"))
    bcrypt.BCryptDestroyKey(pair)
    again = bcrypt.BCryptImportKeyPair(handle, None, "OpaqueKeyBlob", blob)
    assert bcrypt.BCryptExportKey(again, None, "PUBLICBLOB") == public
    used(again)
    for wrong in {"RSA", "ECDSA_P256", "ECDH_P256", "ECDSA_P384"} - {name}:
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(
                bcrypt.BCryptOpenAlgorithmProvider(wrong, tpm_provider), None, "OpaqueKeyBlob", blob
            )
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        cipher = bcrypt.BCryptOpenAlgorithmProvider("AES", tpm_provider)
        bcrypt.BCryptImportKey(cipher, None, "OpaqueKeyBlob", None, blob)
    for at in random.Random(name).sample(range(len(blob)), 40):
        damaged = bytearray(blob)
        damaged[at] ^= 1 << at % 8
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, "OpaqueKeyBlob", bytes(damaged))
    with open_tpm(fresh_tpm.uri) as other, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(bcrypt.BCryptOpenAlgorithmProvider(name, other), None, "OpaqueKeyBlob", blob)


def test_destroyed_pairs(tpm_provider: Tpm2Provider) -> None:
    pair = generated(tpm_provider, "RSA", 1024)
    bcrypt.BCryptDestroyKey(pair)
    info = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
    with CommandCounter(tpm_provider) as counter:
        for call in (
            lambda: bcrypt.BCryptDestroyKey(pair),
            lambda: bcrypt.BCryptSignHash(pair, info, bytes(32), PKCS1),
            lambda: bcrypt.BCryptDecrypt(pair, bytes(128), None, None, PKCS1),
            lambda: bcrypt.BCryptExportKey(pair, None, "PUBLICBLOB"),
            lambda: bcrypt.BCryptSecretAgreement(pair, pair),
            lambda: bcrypt.BCryptDuplicateKey(pair),
        ):
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                call()
    assert counter.total == 0


def test_four_threads_of_mixed_operations(tpm_provider: Tpm2Provider) -> None:
    value = bytes(range(32))
    cipher = aes(tpm_provider, value)
    signing, pair = generated(tpm_provider, "ECDSA_P256", 256), generated(tpm_provider, "RSA", 1024)
    agreeing = generated(tpm_provider, "ECDH_P256", 256)
    agreed = bcrypt.BCryptDeriveKey(bcrypt.BCryptSecretAgreement(agreeing, agreeing), "HASH", None, None)
    mac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", tpm_provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    oaep, pkcs1 = bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256"), bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
    hidden = bcrypt.BCryptEncrypt(pair, b"message", oaep, None, OAEP)

    def encrypt(data: bytes) -> None:
        assert bcrypt.BCryptEncrypt(cipher, data, None, data[:16]) == oracle.aes("CBC", value, data[:16], data)

    def ecdsa(data: bytes) -> None:
        bcrypt.BCryptVerifySignature(signing, None, data, bcrypt.BCryptSignHash(signing, None, data))

    def rsa_sign(data: bytes) -> None:
        signature = bcrypt.BCryptSignHash(pair, pkcs1, data, PKCS1)
        bcrypt.BCryptVerifySignature(pair, pkcs1, data, signature, PKCS1)

    def decrypt(_data: bytes) -> None:
        assert bcrypt.BCryptDecrypt(pair, hidden, oaep, None, OAEP) == b"message"

    def agree(_data: bytes) -> None:
        with bcrypt.BCryptSecretAgreement(agreeing, agreeing) as secret:
            assert bcrypt.BCryptDeriveKey(secret, "HASH", None, None) == agreed

    def hmac(data: bytes) -> None:
        message = data * random.choice((1, 50))
        assert bcrypt.BCryptHash(mac, data, message) == oracle.mac("SHA256", data, message)

    def churn(data: bytes) -> None:
        key = aes(tpm_provider, data, "ECB")
        twin = bcrypt.BCryptDuplicateKey(key)
        ciphertext = bcrypt.BCryptEncrypt(key, data)
        bcrypt.BCryptDestroyKey(key)
        assert bcrypt.BCryptDecrypt(twin, ciphertext) == data
        bcrypt.BCryptDestroyKey(twin)

    operations = (encrypt, ecdsa, rsa_sign, decrypt, agree, hmac, churn)
    assert in_four_threads(operations) == []

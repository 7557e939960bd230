"""OpaqueKeyBlob of ML-DSA, ML-KEM and X25519 pairs, on a token that has them and keeps the keys of such blobs."""

from __future__ import annotations

import pytest
from conformance.helpers import refused, token_attributes
from support import missing

from hwcng import bcrypt
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS

MESSAGE = b"message"
ROWS = (
    *(("ML-DSA", name) for name in ("44", "65", "87")),
    *(("ML-KEM", name) for name in ("512", "768", "1024")),
    ("ECDH", "curve25519"),
)


@pytest.fixture
def keeping(request: pytest.FixtureRequest) -> Provider:
    """A current NSS's database."""
    try:
        provider: Provider = request.getfixturevalue("nss_current_provider")
    except pytest.FixtureLookupError:
        missing("a current NSS's database")
    return provider


def opened(provider: Provider, name: str, size: str, policy: int) -> AlgorithmHandle:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, policy)
    if name == "ECDH":
        bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_ECC_CURVE_NAME, size)
    return algorithm


def generated(algorithm: AlgorithmHandle, size: str) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, 0)
    if algorithm.name != "ECDH":
        bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, size)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def same(one: KeyPair, other: KeyPair) -> bool:
    """Whether two pairs have one private key."""
    if one.algorithm.name == "ML-DSA":
        bcrypt.BCryptVerifySignature(one, None, MESSAGE, bcrypt.BCryptSignHash(other, None, MESSAGE))
        return True
    if one.algorithm.name == "ML-KEM":
        secret, ciphertext = bcrypt.BCryptEncapsulate(one)
        return bcrypt.BCryptDecapsulate(other, ciphertext) == secret
    with generated(one.algorithm_handle, "") as peer:
        derived = set()
        for pair in (one, other):
            with bcrypt.BCryptSecretAgreement(pair, peer) as secret_:
                parameters = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]
                flag = bcrypt.KDF_USE_SECRET_AS_HMAC_KEY_FLAG
                derived.add(bcrypt.BCryptDeriveKey(secret_, bcrypt.BCRYPT_KDF_HMAC, parameters, None, flag))
    return len(derived) == 1


@pytest.mark.row("EXP-07", "IMP-10", "3.2 ParameterSetName")
@pytest.mark.parametrize(("name", "size"), ROWS)
def test_a_pair_comes_back_from_its_blob(keeping: Provider, name: str, size: str) -> None:
    with opened(keeping, name, size, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG) as algorithm, generated(algorithm, size) as pair:
        blob = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        with bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, blob) as again:
            public = bcrypt.BCRYPT_PUBLIC_KEY_BLOB
            assert bcrypt.BCryptExportKey(again, None, public) == bcrypt.BCryptExportKey(pair, None, public)
            assert same(pair, again)
            assert token_attributes(again, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\1", None]
            if name != "ECDH":
                assert bcrypt.BCryptGetProperty(again, bcrypt.BCRYPT_PARAMETER_SET_NAME) == size
        for position in (0, 10, 30, len(blob) // 2, len(blob) - 1):
            bad = bytearray(blob)
            bad[position] ^= 1
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, bytes(bad))
        with (
            bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", keeping) as other,
            refused(NTSTATUS.STATUS_INVALID_PARAMETER),
        ):
            bcrypt.BCryptImportKeyPair(other, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, blob)


@pytest.mark.row("EXP-07")
@pytest.mark.parametrize(("name", "size"), ROWS)
def test_a_pair_that_may_not_leave_has_no_blob(keeping: Provider, name: str, size: str) -> None:
    with (
        opened(keeping, name, size, 0) as algorithm,
        generated(algorithm, size) as pair,
        refused(NTSTATUS.STATUS_NOT_SUPPORTED),
    ):
        bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)

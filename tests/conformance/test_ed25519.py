"""Ed25519 (RFC 8032), an algorithm of hwcng's own: made, imported, used and refused on every token that has it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from conformance.helpers import Refuses, refused, token_attributes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from support import missing, missing_on, needs

import hwcng
from hwcng import bcrypt, ncrypt, pyca
from hwcng.bcrypt import (
    HWCNG_ED25519_ALGORITHM,
    HWCNG_ED25519_PRIVATE_SEED_BLOB,
    HWCNG_ED25519_PUBLIC_BLOB,
    STATUS_INVALID_PARAMETER,
    STATUS_INVALID_SIGNATURE,
    STATUS_NOT_FOUND,
    STATUS_NOT_SUPPORTED,
)
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.material import Ed25519PublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.testing.calls import CallCounter

MESSAGE = b"the message itself, not its digest"
SEED = bytes(range(7, 39))
PUBLIC, PRIVATE = b"E25P", b"E25S"
# RFC 8032, section 7.1: private key, public key, message, signature.
VECTORS = [
    tuple(map(bytes.fromhex, lines.split("|")))
    for lines in (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60|"
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a||"
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb|"
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c|72|"
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7|"
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025|af82|"
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    )
]


def blob(magic: bytes, key: bytes) -> bytes:
    return magic + struct.pack("<I", 32) + key


def own(seed: bytes = SEED) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


@pytest.fixture
def algorithm(token: Provider) -> Iterator[AlgorithmHandle]:
    needs(token, "ED25519")
    with bcrypt.BCryptOpenAlgorithmProvider(HWCNG_ED25519_ALGORITHM, token) as handle:
        yield handle


@pytest.fixture
def soft(provider: Provider) -> Iterator[AlgorithmHandle]:
    """On SoftHSM alone: what no token is asked for."""
    with bcrypt.BCryptOpenAlgorithmProvider(HWCNG_ED25519_ALGORITHM, provider) as handle:
        yield handle


def generated(algorithm: AlgorithmHandle, bits: int = 255) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def seeded(algorithm: AlgorithmHandle, seed: bytes = SEED) -> KeyPair:
    return bcrypt.BCryptImportKeyPair(algorithm, None, HWCNG_ED25519_PRIVATE_SEED_BLOB, blob(PRIVATE, seed))


def exported(pair: KeyPair) -> bytes:
    """The public key, out of a blob of exactly the documented layout."""
    data = bcrypt.BCryptExportKey(pair, None, HWCNG_ED25519_PUBLIC_BLOB)
    assert data == blob(PUBLIC, data[-32:]) == bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_PUBLIC_KEY_BLOB)
    return data[-32:]


@pytest.mark.parametrize("bits", [0, 255])
def test_a_generated_pair_signs_as_cryptography_verifies(algorithm: AlgorithmHandle, bits: int) -> None:
    with generated(algorithm, bits) as pair:
        public = ed25519.Ed25519PublicKey.from_public_bytes(exported(pair))
        assert pair.public_key() == public
        for message in (b"", MESSAGE, bytes(100_000)):
            signature = bcrypt.BCryptSignHash(pair, None, message)
            assert signature == bcrypt.BCryptSignHash(pair, None, message) and len(signature) == 64
            public.verify(signature, message)
            bcrypt.BCryptVerifySignature(pair, None, message, signature)
        assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\0", None]


@pytest.mark.parametrize("vector", VECTORS, ids=["1", "2", "3"])
def test_the_vectors_of_the_standard(algorithm: AlgorithmHandle, vector: tuple[bytes, ...]) -> None:
    seed, public, message, signature = vector
    with seeded(algorithm, seed) as pair:
        assert exported(pair) == public
        assert bcrypt.BCryptSignHash(pair, None, message) == signature
    with bcrypt.BCryptImportKeyPair(algorithm, None, HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, public)) as key:
        bcrypt.BCryptVerifySignature(key, None, message, signature)


def test_every_blob_type_of_a_pair(algorithm: AlgorithmHandle) -> None:
    public = own().public_key().public_bytes_raw()
    for name, data, private in (
        (HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, public), False),
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, blob(PUBLIC, public), False),
        (HWCNG_ED25519_PRIVATE_SEED_BLOB, blob(PRIVATE, SEED), True),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(PRIVATE, SEED), True),
    ):
        with bcrypt.BCryptImportKeyPair(algorithm, None, name, data) as pair:
            assert exported(pair) == public and pair.has_private is private
            if private:
                bcrypt.BCryptVerifySignature(pair, None, MESSAGE, bcrypt.BCryptSignHash(pair, None, MESSAGE))


def test_a_signature_is_two_calls(provider: Provider, soft: AlgorithmHandle) -> None:
    with generated(soft) as pair:
        signature = bcrypt.BCryptSignHash(pair, None, MESSAGE)
        with CallCounter(provider) as calls:  # type: ignore[arg-type]
            assert bcrypt.BCryptSignHash(pair, None, MESSAGE) == signature
        assert calls.asked == ["C_SignInit", "C_Sign"]
        with CallCounter(provider) as calls:  # type: ignore[arg-type]
            bcrypt.BCryptVerifySignature(pair, None, MESSAGE, signature)
        assert calls.names == []


def test_what_is_altered_does_not_verify(soft: AlgorithmHandle, untouched: Refuses) -> None:
    with seeded(soft) as pair, seeded(soft, bytes(32)) as other:
        signature = bcrypt.BCryptSignHash(pair, None, MESSAGE)
        for key, message, signed in (
            (pair, MESSAGE, signature[:-1]),
            (pair, MESSAGE, signature + b"\0"),
            (pair, MESSAGE, b""),
            (pair, MESSAGE, bytes(64)),
            (pair, MESSAGE, bytes([signature[0] ^ 1]) + signature[1:]),
            (pair, MESSAGE, signature[:-1] + bytes([signature[-1] ^ 1])),
            # s of RFC 8032, section 5.1.7, is below the order.
            (pair, MESSAGE, signature[:32] + bytes([255]) * 32),
            (pair, MESSAGE + b"\0", signature),
            (other, MESSAGE, signature),
        ):
            with untouched(NTSTATUS(STATUS_INVALID_SIGNATURE)):
                bcrypt.BCryptVerifySignature(key, None, message, signed)


P = 2**255 - 19
NO_POINTS = [
    # y = 2 has no x; y not below the prime; x = 0 that is odd.
    (2).to_bytes(32, "little"),
    (P + 1).to_bytes(32, "little"),
    (2**255 - 1).to_bytes(32, "little"),
    (1 | 1 << 255).to_bytes(32, "little"),
    (P - 1 | 1 << 255).to_bytes(32, "little"),
]


@pytest.mark.parametrize("key", NO_POINTS, ids=["no x", "p + 1", "all ones", "odd 0 at 1", "odd 0 at -1"])
def test_a_public_key_that_is_no_point(soft: AlgorithmHandle, untouched: Refuses, key: bytes) -> None:
    with untouched(NTSTATUS(STATUS_INVALID_PARAMETER)):
        bcrypt.BCryptImportKeyPair(soft, None, HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, key))


def test_every_public_key_is_a_point(soft: AlgorithmHandle) -> None:
    for number in range(64):
        public = own(bytes([number]) * 32).public_key().public_bytes_raw()
        bcrypt.BCryptImportKeyPair(soft, None, HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, public)).destroy()


PUBLIC_KEY = own().public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (HWCNG_ED25519_PUBLIC_BLOB, b""),
        (HWCNG_ED25519_PUBLIC_BLOB, PUBLIC),
        (HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, PUBLIC_KEY)[:-1]),
        (HWCNG_ED25519_PUBLIC_BLOB, blob(PUBLIC, PUBLIC_KEY) + b"\0"),
        (HWCNG_ED25519_PUBLIC_BLOB, blob(PRIVATE, PUBLIC_KEY)),
        (HWCNG_ED25519_PUBLIC_BLOB, PUBLIC + struct.pack("<I", 31) + PUBLIC_KEY),
        (HWCNG_ED25519_PRIVATE_SEED_BLOB, blob(PUBLIC, SEED)),
        (HWCNG_ED25519_PRIVATE_SEED_BLOB, blob(b"ECS2", SEED)),
        (HWCNG_ED25519_PRIVATE_SEED_BLOB, blob(PRIVATE, SEED[:-1])),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(PUBLIC, SEED)),
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, blob(PRIVATE, SEED)),
    ],
)
def test_a_malformed_blob_reaches_no_token(soft: AlgorithmHandle, untouched: Refuses, name: str, data: bytes) -> None:
    with untouched(NTSTATUS(STATUS_INVALID_PARAMETER)):
        bcrypt.BCryptImportKeyPair(soft, None, name, data)


def test_what_is_not_for_it(soft: AlgorithmHandle, untouched: Refuses) -> None:
    for bits in (256, 254, 25519):
        with untouched(NTSTATUS(STATUS_INVALID_PARAMETER)):
            bcrypt.BCryptGenerateKeyPair(soft, bits)
    with generated(soft) as pair:
        for padding, flags in (
            (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA512"), bcrypt.BCRYPT_PAD_PKCS1),
            (None, bcrypt.BCRYPT_PAD_PSS),
            (bcrypt.BCRYPT_PQDSA_PADDING_INFO(b"context"), bcrypt.BCRYPT_PAD_PQDSA),
        ):
            with untouched(NTSTATUS(STATUS_INVALID_PARAMETER)):
                bcrypt.BCryptSignHash(pair, padding, MESSAGE, flags)
        for call in (
            lambda: bcrypt.BCryptEncrypt(pair, MESSAGE),
            lambda: bcrypt.BCryptSecretAgreement(pair, pair),
            lambda: bcrypt.BCryptEncapsulate(pair),
            lambda: bcrypt.BCryptExportKey(pair, None, HWCNG_ED25519_PRIVATE_SEED_BLOB),
            lambda: bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB),
            lambda: bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB),
            lambda: bcrypt.BCryptSetProperty(
                bcrypt.BCryptGenerateKeyPair(soft, 0), bcrypt.BCRYPT_ECC_CURVE_NAME, "nistP256"
            ),
        ):
            with untouched(NTSTATUS(STATUS_NOT_SUPPORTED)):
                call()
        with refused(NTSTATUS(STATUS_NOT_SUPPORTED)):
            pair.private.sign_digest(EcdsaSpec(), bytes(32))


def test_a_pair_that_may_be_exported_has_an_opaque_blob_where_the_token_wraps_it(algorithm: AlgorithmHandle) -> None:
    bcrypt.BCryptSetProperty(algorithm, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    with generated(algorithm) as pair:
        opaque, status = None, None
        try:
            opaque = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        except CngError as error:
            status = error.status
        if opaque is None:
            # SoftHSM and NSS wrap no such keys.
            assert status == STATUS_NOT_SUPPORTED
            return
        with bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, opaque) as again:
            assert bcrypt.BCryptSignHash(again, None, MESSAGE) == bcrypt.BCryptSignHash(pair, None, MESSAGE)


def test_properties(soft: AlgorithmHandle) -> None:
    with generated(soft) as pair:
        read = {
            name: bcrypt.BCryptGetProperty(pair, name)
            for name in (
                bcrypt.BCRYPT_ALGORITHM_NAME,
                bcrypt.BCRYPT_KEY_LENGTH,
                bcrypt.BCRYPT_PUBLIC_KEY_LENGTH,
                bcrypt.BCRYPT_KEY_STRENGTH,
                bcrypt.BCRYPT_SIGNATURE_LENGTH,
            )
        }
        assert list(read.values()) == ["ED25519", 255, 255, 253, 64]
        assert repr(pair) == "<KeyPair ED25519 255 bits pair>"
        assert pair.private.spec == PairSpec("ED25519", Usage.SIGN)
    assert bcrypt.BCryptGetProperty(soft, bcrypt.BCRYPT_KEY_LENGTHS) == (255, 255, 0)


def test_it_is_among_the_algorithms_of_a_token_that_has_it(as_default: Provider) -> None:
    listed = {one.pszName for one in bcrypt.BCryptEnumAlgorithms(bcrypt.BCRYPT_SIGNATURE_OPERATION)}
    assert (HWCNG_ED25519_ALGORITHM in listed) is (as_default.offers("ED25519") is not Support.REFUSED)


def test_a_subject_public_key_info(soft: AlgorithmHandle) -> None:
    from hwcng.cng import public_key_info

    with generated(soft) as pair:
        info = pair.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert public_key_info.build(pair.public) == info
        assert public_key_info.parse(info) == pair.public
    no_point = info[:-32] + NO_POINTS[0]
    with refused(NTSTATUS(STATUS_INVALID_PARAMETER)):
        public_key_info.parse(no_point)


def test_a_tpm_says_that_it_has_none(swtpm_provider: Provider) -> None:
    with refused(NTSTATUS(STATUS_NOT_FOUND)) as caught:
        bcrypt.BCryptOpenAlgorithmProvider(HWCNG_ED25519_ALGORITHM, swtpm_provider)
    assert "ED25519" in str(caught.value)
    assert swtpm_provider.offers("ED25519") is Support.REFUSED
    with refused(NTSTATUS(STATUS_NOT_SUPPORTED)) as caught:
        swtpm_provider.generate_pair(PairSpec("ED25519", Usage.SIGN))
    assert "a TPM has no ED25519 keys" in str(caught.value)
    with pytest.raises(Exception, match="a TPM has no ED25519 keys"):
        pyca.import_private_key(swtpm_provider, own())


def test_a_token_without_the_mechanism_says_which(nss_db_provider: Provider) -> None:
    if nss_db_provider.offers("ED25519") is not Support.REFUSED:
        missing("an NSS without CKM_EDDSA")
    with refused(NTSTATUS(STATUS_NOT_FOUND)):
        bcrypt.BCryptOpenAlgorithmProvider(HWCNG_ED25519_ALGORITHM, nss_db_provider)
    assert "CKM_EDDSA" in nss_db_provider.capabilities().reasons["ED25519", "sign"]


def test_what_cryptography_makes_goes_in(algorithm: AlgorithmHandle, token: Provider) -> None:
    with pyca.import_private_key(token, own()) as pair:
        key = pair.as_cryptography()
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        assert key.public_key() == own().public_key()
        assert key.sign(MESSAGE) == own().sign(MESSAGE) == key.sign(data=bytearray(MESSAGE))
        assert isinstance(pair.public, Ed25519PublicKey)
        with pytest.raises(TypeError):
            key.sign("text")  # type: ignore[arg-type]


def test_a_named_pair(token: Provider, algorithm: AlgorithmHandle, request: pytest.FixtureRequest) -> None:
    name = f"ed25519 of {request.node.name}"
    storage = ncrypt.NCryptOpenStorageProvider(token)
    made = ncrypt.NCryptCreatePersistedKey(storage, HWCNG_ED25519_ALGORITHM, name)
    try:
        ncrypt.NCryptFinalizeKey(made)
    except CngError as refused_name:
        # NSS's slot of crypto services keeps nothing.
        if refused_name.token_code != CKR.TOKEN_WRITE_PROTECTED:
            raise
        missing_on(token, "named keys")
    try:
        signature = ncrypt.NCryptSignHash(made, None, MESSAGE)
        again = ncrypt.NCryptOpenKey(storage, name)
        ncrypt.NCryptVerifySignature(again, None, MESSAGE, signature)
        assert ncrypt.NCryptSignHash(again, None, MESSAGE) == signature
        said = [ncrypt.NCryptGetProperty(again, each) for each in ("Algorithm Name", "Algorithm Group", "Length")]
        assert said == ["ED25519", "ED25519", 255]
        (listed,) = (one for one in ncrypt.NCryptEnumKeys(storage) if one.pszName == name)
        assert (listed.pszAlgid, listed.kind, listed.usage) == ("ED25519", "ED25519", Usage.SIGN)
        key = hwcng.open_key(listed.uri)
        assert isinstance(key, KeyPair) and key.public_key() == made.public_key()
        assert bcrypt.BCryptSignHash(key, None, MESSAGE) == signature
    finally:
        token.delete_key(name)

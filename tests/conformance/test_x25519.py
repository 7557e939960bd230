"""X25519: the generic ECDH algorithm on curve25519 (sections 2.6 and 4.4; RFC 7748), on a token that has it."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conformance.helpers import Refuses, refused, token_attributes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

import hwcng
from hwcng import bcrypt
from hwcng.bcrypt import STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support

CURVE = bcrypt.BCRYPT_ECC_CURVE_25519
PRIME = 2**255 - 19
NOTHING = bytes(32)
SHA256 = [(bcrypt.KDF_HASH_ALGORITHM, bcrypt.BCRYPT_SHA256_ALGORITHM)]

# RFC 7748, section 5.2: scalar, u, result.
VECTORS = (
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "0900000000000000000000000000000000000000000000000000000000000000",
        "0900000000000000000000000000000000000000000000000000000000000000",
        "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    ),
)
# The points whose order divides the cofactor, on the curve and on its twist, below the prime.
LOW_ORDER = (
    0,
    1,
    PRIME - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


@pytest.fixture
def algorithm(nss_current_provider: Provider) -> Iterator[AlgorithmHandle]:
    with opened(nss_current_provider) as handle:
        yield handle


@contextmanager
def opened(provider: Provider) -> Iterator[AlgorithmHandle]:
    with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_ECDH_ALGORITHM, provider) as handle:
        bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_ECC_CURVE_NAME, CURVE)
        yield handle


def generated(algorithm: AlgorithmHandle) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, 255)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def blob(magic: bytes, *fields: bytes) -> bytes:
    return magic + struct.pack("<I", 32) + b"".join(fields)


def imported(algorithm: AlgorithmHandle, scalar: bytes, u: bytes = NOTHING) -> KeyPair:
    data = blob(b"ECKV", u, NOTHING, scalar)
    return bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, data)


def peer(algorithm: AlgorithmHandle, u: bytes) -> KeyPair:
    return bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, blob(b"ECKP", u, NOTHING))


def public_octets(pair: KeyPair) -> bytes:
    """u as RFC 7748 has it, out of a blob of exactly the documented layout."""
    exported = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB)
    assert exported == blob(b"ECKP", exported[8:40], NOTHING)
    assert bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_PUBLIC_KEY_BLOB) == exported
    return exported[8:40]


def little(number: int) -> bytes:
    return number.to_bytes(32, "little")


@pytest.mark.row("2.6", "4.4", "GKP-12", "3.2 ECCCurveName", "3.2 KeyLength")
def test_a_generated_pair(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    for length in (1, 254, 256):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateKeyPair(algorithm, length)
    with bcrypt.BCryptGenerateKeyPair(algorithm, 0) as pair:
        assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_KEY_STRENGTH) == 253
        bcrypt.BCryptFinalizeKeyPair(pair)
        assert len(public_octets(pair)) == 32
        for key, value in (
            (bcrypt.BCRYPT_KEY_STRENGTH, 253),
            (bcrypt.BCRYPT_ECC_CURVE_NAME, CURVE),
            (bcrypt.BCRYPT_KEY_LENGTH, 255),
            (bcrypt.BCRYPT_PUBLIC_KEY_LENGTH, 255),
            (bcrypt.BCRYPT_ALGORITHM_NAME, "ECDH"),
        ):
            assert bcrypt.BCryptGetProperty(pair, key) == value
        assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\0", None]
        # RFC 7748's form of a key has no place in explicit parameters.
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_ECC_PARAMETERS)
        for blob_type in (
            bcrypt.BCRYPT_ECCFULLPUBLIC_BLOB,
            bcrypt.BCRYPT_ECCPRIVATE_BLOB,
            bcrypt.BCRYPT_ECCFULLPRIVATE_BLOB,
            bcrypt.BCRYPT_PRIVATE_KEY_BLOB,
            bcrypt.BCRYPT_OPAQUE_KEY_BLOB,
        ):
            with untouched(STATUS_NOT_SUPPORTED):
                bcrypt.BCryptExportKey(pair, None, blob_type)


@pytest.mark.row("4.4", "SEC-01", "DRV-03", "SEC-02")
def test_as_another_implementation(algorithm: AlgorithmHandle) -> None:
    host = X25519PrivateKey.generate()
    theirs = host.public_key().public_bytes_raw()
    with generated(algorithm) as token_made, imported(algorithm, host.private_bytes_raw(), theirs) as brought:
        for ours, other in ((token_made, X25519PrivateKey.generate()), (brought, X25519PrivateKey.generate())):
            z = other.exchange(X25519PublicKey.from_public_bytes(public_octets(ours)))
            with peer(algorithm, other.public_key().public_bytes_raw()) as public:
                secret = bcrypt.BCryptSecretAgreement(ours, public)
            with secret:
                derived = bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, SHA256, None)
                assert derived == hashlib.sha256(z).digest()
                keyed = [*SHA256, (bcrypt.KDF_HMAC_KEY, b"key"), (bcrypt.KDF_SECRET_PREPEND, b"before")]
                derived = bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HMAC, keyed, None)
                assert derived == hmac.digest(b"key", b"before" + z, "sha256")
                with refused(STATUS_NOT_SUPPORTED):
                    bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None)
        assert public_octets(brought) == theirs


@pytest.mark.row("4.4")
@pytest.mark.parametrize(("scalar", "u", "result"), VECTORS)
def test_published_vectors(algorithm: AlgorithmHandle, scalar: str, u: str, result: str) -> None:
    """The scalars are not clamped: RFC 7748's decoding does that."""
    with (
        imported(algorithm, bytes.fromhex(scalar)) as pair,
        peer(algorithm, bytes.fromhex(u)) as public,
        bcrypt.BCryptSecretAgreement(pair, public) as secret,
    ):
        derived = bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, SHA256, None)
    assert derived == hashlib.sha256(bytes.fromhex(result)).digest()


@pytest.mark.row("4.4", "IKP-02")
def test_a_private_key_brings_its_public_half_or_gets_it(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    host = X25519PrivateKey.generate()
    scalar, own = host.private_bytes_raw(), host.public_key().public_bytes_raw()
    for u in (own, NOTHING):
        with imported(algorithm, scalar, u) as pair:
            assert public_octets(pair) == own
    other = X25519PrivateKey.generate().public_key().public_bytes_raw()
    for wrong in (other, own[::-1], little(1), b"\xff" * 32):
        with untouched(STATUS_INVALID_PARAMETER):
            imported(algorithm, scalar, wrong)


@pytest.mark.row("2.6", "4.4", "IKP-11")
@pytest.mark.parametrize("flags", [0, bcrypt.BCRYPT_NO_KEY_VALIDATION])
def test_points_that_no_token_must_see(algorithm: AlgorithmHandle, untouched: Refuses, flags: int) -> None:
    for u in (
        *map(little, LOW_ORDER),
        # Not below the prime, though equal modulo it to a good point, and the unused bit.
        little(PRIME),
        little(PRIME + 9),
        little(2**255 - 1),
        little(2**255 + 9),
        b"\xff" * 32,
    ):
        for blob_type in (bcrypt.BCRYPT_ECCPUBLIC_BLOB, bcrypt.BCRYPT_PUBLIC_KEY_BLOB):
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, blob(b"ECKP", u, NOTHING), flags)
    for y in (little(1), b"\xff" * 32):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(
                algorithm, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, blob(b"ECKP", little(9), y), flags
            )
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(
                algorithm, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, blob(b"ECKV", NOTHING, y, little(77)), flags
            )


@pytest.mark.row("4.4", "IKP-04")
def test_malformed_blobs(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    good = blob(b"ECKP", little(9), NOTHING)
    for bad in (
        *(good[:length] for length in (0, 7, 8, 40, 71)),
        good + b"\0",
        b"ECK1" + good[4:],
        b"ECDP" + good[4:],
        b"ECKV" + good[4:],
        good[:4] + struct.pack("<I", 31) + good[8:],
        good[:4] + struct.pack("<I", 33) + good[8:],
    ):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, bad)


@pytest.mark.row("2.6", "SEC-03", "SIG-13", "3.2 ECCCurveName")
def test_what_curve25519_is_not_for(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses
) -> None:
    with generated(algorithm) as pair:
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(pair, None, bytes(32))
        with (
            bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_ECDH_ALGORITHM, nss_current_provider) as other,
            bcrypt.BCryptGenerateKeyPair(other, 0) as p256,
        ):
            bcrypt.BCryptSetProperty(p256, bcrypt.BCRYPT_ECC_CURVE_NAME, "nistP256")
            bcrypt.BCryptFinalizeKeyPair(p256)
            for ours, theirs in ((pair, p256), (p256, pair)):
                with untouched(STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptSecretAgreement(ours, theirs)
    with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_ECDSA_ALGORITHM, nss_current_provider) as ecdsa:
        empty = bcrypt.BCryptGenerateKeyPair(ecdsa, 0)
        for handle in (ecdsa, empty):
            with untouched(STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_ECC_CURVE_NAME, CURVE)
        assert CURVE not in bcrypt.BCryptGetProperty(ecdsa, bcrypt.BCRYPT_ECC_CURVE_NAME_LIST)
    assert CURVE in bcrypt.BCryptGetProperty(algorithm, bcrypt.BCRYPT_ECC_CURVE_NAME_LIST)


@pytest.mark.row("GKP-02", "FIN-03")
def test_a_token_without_it(provider: Provider, nss_current_provider: Provider) -> None:
    with opened(provider) as algorithm, bcrypt.BCryptGenerateKeyPair(algorithm, 0) as pair:
        with refused(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptFinalizeKeyPair(pair)
        assert not pair.finalized
        # Public keys are the host's.
        with peer(algorithm, little(9)) as public:
            assert public_octets(public) == little(9)
    for found, support in ((provider, Support.REFUSED), (nss_current_provider, Support.NATIVE)):
        operations = found.capabilities().operations
        assert found.offers("ECDH", CURVE) is operations["ECDH", CURVE] is support
        assert found.offers("ECDSA", CURVE) is operations["ECDSA", CURVE] is Support.REFUSED


@pytest.mark.row("DRV-03")
def test_the_raw_secret_is_reversed_as_for_every_curve(nss_current_provider: Provider) -> None:
    """TRUNCATE gives the bytes of Z from the last to the first, which is RFC 7748's string reversed."""
    with (
        hwcng.open_provider(nss_current_provider.uri, allow_raw_secret=True) as provider,
        opened(provider) as algorithm,
        generated(algorithm) as pair,
    ):
        other = X25519PrivateKey.generate()
        z = other.exchange(X25519PublicKey.from_public_bytes(public_octets(pair)))
        with (
            peer(algorithm, other.public_key().public_bytes_raw()) as public,
            bcrypt.BCryptSecretAgreement(pair, public) as secret,
        ):
            assert bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None) == z[::-1]

"""ML-DSA: rows GKP-13, GKP-16, FIN-04, IKP-13, SIG-12 and sections 4.7 and 3.2, on a token that has it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from conformance.helpers import Refuses, refused, token_attributes
from conformance.lattice_keys import ML_DSA, blob, expanded, generated, malformed
from cryptography.hazmat.primitives.asymmetric import mldsa

from hwcng import bcrypt
from hwcng.bcrypt import BCRYPT_PAD_PQDSA, BCRYPT_PQDSA_PADDING_INFO, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS
from hwcng.standards.hashes import HASHES
from hwcng.testing.calls import CallCounter

SEED = bytes(range(7, 39))
MESSAGE = b"the message itself, not its digest"
PRIVATE_KEYS = {
    "44": mldsa.MLDSA44PrivateKey,
    "65": mldsa.MLDSA65PrivateKey,
    "87": mldsa.MLDSA87PrivateKey,
}
PUBLIC_KEYS = {
    "44": mldsa.MLDSA44PublicKey,
    "65": mldsa.MLDSA65PublicKey,
    "87": mldsa.MLDSA87PublicKey,
}

every_set = pytest.mark.parametrize("name", ML_DSA)


@pytest.fixture
def algorithm(nss_current_provider: Provider) -> Iterator[AlgorithmHandle]:
    with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLDSA_ALGORITHM, nss_current_provider) as handle:
        yield handle


def seeded(algorithm: AlgorithmHandle, name: str, seed: bytes = SEED) -> KeyPair:
    data = blob(b"DSSS", name, seed)
    return bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, data)


def public_octets(pair: KeyPair, name: str) -> bytes:
    """pk, out of a blob of exactly the documented layout."""
    exported = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB)
    key = exported[-ML_DSA[name][0] :]
    assert exported == blob(b"DSPK", name, key)
    return key


@pytest.mark.row("GKP-13", "3.2 ParameterSetName", "SIG-12")
@every_set
def test_a_generated_pair_signs_as_cryptography_verifies(algorithm: AlgorithmHandle, name: str) -> None:
    with generated(algorithm, name) as pair:
        public = PUBLIC_KEYS[name].from_public_bytes(public_octets(pair, name))
        for context in (b"", b"\0", b"context", bytes(range(255))):
            info = BCRYPT_PQDSA_PADDING_INFO(context)
            for message in (b"", MESSAGE, bytes(100_000)):
                signature = bcrypt.BCryptSignHash(pair, info, message, BCRYPT_PAD_PQDSA)
                public.verify(signature, message, context)
                bcrypt.BCryptVerifySignature(pair, info, message, signature, BCRYPT_PAD_PQDSA)
        for none in (None, BCRYPT_PQDSA_PADDING_INFO(), BCRYPT_PQDSA_PADDING_INFO(None)):
            public.verify(bcrypt.BCryptSignHash(pair, none, MESSAGE, BCRYPT_PAD_PQDSA), MESSAGE)
        public.verify(bcrypt.BCryptSignHash(pair, None, MESSAGE), MESSAGE)
        assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME) == name
        assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE", "SEED") == [b"\1", b"\0", None, None]


@pytest.mark.row("SIG-12")
@every_set
def test_hedged_signatures_differ_deterministic_ones_are_cryptographys(algorithm: AlgorithmHandle, name: str) -> None:
    with seeded(algorithm, name) as pair:
        hedged = {bcrypt.BCryptSignHash(pair, None, MESSAGE) for _ in range(3)}
        info = BCRYPT_PQDSA_PADDING_INFO(b"ctx", deterministic=True)
        fixed = {bcrypt.BCryptSignHash(pair, info, MESSAGE, BCRYPT_PAD_PQDSA) for _ in range(3)}
        assert (len(hedged), len(fixed)) == (3, 1)
        for signature in hedged:
            bcrypt.BCryptVerifySignature(pair, None, MESSAGE, signature)
        (signature,) = fixed
        bcrypt.BCryptVerifySignature(pair, BCRYPT_PQDSA_PADDING_INFO(b"ctx"), MESSAGE, signature, BCRYPT_PAD_PQDSA)


@pytest.mark.row("SIG-12")
def test_a_signature_is_two_calls(nss_current_provider: Provider, algorithm: AlgorithmHandle) -> None:
    with generated(algorithm, "65") as pair:
        bcrypt.BCryptSignHash(pair, None, MESSAGE)
        with CallCounter(nss_current_provider) as calls:
            signature = bcrypt.BCryptSignHash(pair, None, MESSAGE)
        assert calls.asked == ["C_SignInit", "C_Sign"]
        with CallCounter(nss_current_provider) as calls:
            bcrypt.BCryptVerifySignature(pair, None, MESSAGE, signature)
        assert calls.names == []


@pytest.mark.row("SIG-12")
@every_set
def test_what_is_altered_does_not_verify(algorithm: AlgorithmHandle, untouched: Refuses, name: str) -> None:
    with generated(algorithm, name) as pair, generated(algorithm, name) as other:
        info = BCRYPT_PQDSA_PADDING_INFO(b"context")
        signature = bcrypt.BCryptSignHash(pair, info, MESSAGE, BCRYPT_PAD_PQDSA)
        bad = bytearray(signature)
        bad[len(bad) // 2] ^= 1
        for key, padding, message, signed in (
            (pair, info, MESSAGE, bytes(bad)),
            (pair, info, MESSAGE, signature[:-1]),
            (pair, info, MESSAGE, signature + b"\0"),
            (pair, info, MESSAGE, b""),
            (pair, info, MESSAGE, bytes(len(signature))),
            (pair, info, MESSAGE + b"\0", signature),
            (pair, None, MESSAGE, signature),
            (pair, BCRYPT_PQDSA_PADDING_INFO(b"Context"), MESSAGE, signature),
            (other, info, MESSAGE, signature),
        ):
            with untouched(NTSTATUS.STATUS_INVALID_SIGNATURE):
                bcrypt.BCryptVerifySignature(key, padding, message, signed, BCRYPT_PAD_PQDSA)


@pytest.mark.row("SIG-12")
def test_parameters_that_make_no_sense(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    mu_flag = bcrypt.BCRYPT_MLDSA_EXTERNAL_MU
    with generated(algorithm, "44") as pair:
        for info, flags in (
            (BCRYPT_PQDSA_PADDING_INFO(bytes(256)), BCRYPT_PAD_PQDSA),
            (BCRYPT_PQDSA_PADDING_INFO("text"), BCRYPT_PAD_PQDSA),
            (BCRYPT_PQDSA_PADDING_INFO(b"context"), 0),
            (BCRYPT_PQDSA_PADDING_INFO(b"context"), BCRYPT_PAD_PQDSA | mu_flag),
            (BCRYPT_PQDSA_PADDING_INFO(pszPrehashAlgId="SHA512"), BCRYPT_PAD_PQDSA | mu_flag),
            (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), BCRYPT_PAD_PQDSA),
            ("SHA256", BCRYPT_PAD_PQDSA),
            *((None, 1 << bit) for bit in range(33) if 1 << bit not in (BCRYPT_PAD_PQDSA, mu_flag)),
        ):
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(pair, info, bytes(64), flags)
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptVerifySignature(pair, info, bytes(64), bytes(2420), flags)
        for size in (0, 63, 65):
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(pair, None, bytes(size), mu_flag)
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptVerifySignature(pair, None, bytes(size), bytes(2420), mu_flag)
        prehash = BCRYPT_PQDSA_PADDING_INFO(pszPrehashAlgId="SHA512")
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, prehash, bytes(32), BCRYPT_PAD_PQDSA)
        for name in ("MD5", "SHA1", "AES", "SHA-512"):
            with untouched(STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSignHash(pair, BCRYPT_PQDSA_PADDING_INFO(b"", name), bytes(64), BCRYPT_PAD_PQDSA)
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, None, None)


@pytest.mark.row("SIG-12")
@every_set
def test_mu_is_verified_here_and_signed_by_no_token(algorithm: AlgorithmHandle, untouched: Refuses, name: str) -> None:
    private = PRIVATE_KEYS[name].from_seed_bytes(SEED)
    hasher = mldsa.MLDSAMuHasher(private.public_key(), b"context")
    hasher.update(MESSAGE)
    mu, flag = hasher.finalize(), bcrypt.BCRYPT_MLDSA_EXTERNAL_MU
    with seeded(algorithm, name) as pair:
        info = BCRYPT_PQDSA_PADDING_INFO(b"context")
        signature = bcrypt.BCryptSignHash(pair, info, MESSAGE, BCRYPT_PAD_PQDSA)
        for flags in (flag, flag | BCRYPT_PAD_PQDSA):
            bcrypt.BCryptVerifySignature(pair, None, mu, signature, flags)
        bcrypt.BCryptVerifySignature(pair, BCRYPT_PQDSA_PADDING_INFO(), mu, signature, flag | BCRYPT_PAD_PQDSA)
        bcrypt.BCryptVerifySignature(pair, None, mu, private.sign_mu(mu), flag)
        with untouched(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(pair, None, mu[::-1], signature, flag)
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(pair, None, mu, flag)


# FIPS 204, section 5.4.1, and the registry of NIST's hash algorithms.
HASH_OIDS = {
    "SHA256": "0609608648016503040201",
    "SHA384": "0609608648016503040202",
    "SHA512": "0609608648016503040203",
    "SHA3-256": "0609608648016503040208",
    "SHA3-384": "0609608648016503040209",
    "SHA3-512": "060960864801650304020a",
}


@pytest.mark.row("SIG-12")
@pytest.mark.parametrize("hash_name", HASH_OIDS)
def test_hash_ml_dsa_is_verified_here_and_signed_where_the_token_can(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses, hash_name: str
) -> None:
    private = mldsa.MLDSA65PrivateKey.from_seed_bytes(SEED)
    digest = HASHES[hash_name].digest(MESSAGE)
    message = b"\x01\x07context" + bytes.fromhex(HASH_OIDS[hash_name]) + digest
    key_hash = hashlib.shake_256(private.public_key().public_bytes_raw()).digest(64)
    signature = private.sign_mu(hashlib.shake_256(key_hash + message).digest(64))
    info = BCRYPT_PQDSA_PADDING_INFO(b"context", hash_name)
    assert nss_current_provider.capabilities().operations["ML-DSA", "65 HashML-DSA"] is Support.REFUSED
    with seeded(algorithm, "65") as pair:
        bcrypt.BCryptVerifySignature(pair, info, digest, signature, BCRYPT_PAD_PQDSA)
        for wrong in (digest[::-1], MESSAGE.ljust(len(digest))[: len(digest)]):
            with untouched(NTSTATUS.STATUS_INVALID_SIGNATURE):
                bcrypt.BCryptVerifySignature(pair, info, wrong, signature, BCRYPT_PAD_PQDSA)
        with untouched(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(
                pair, BCRYPT_PQDSA_PADDING_INFO(b"context"), digest, signature, BCRYPT_PAD_PQDSA
            )
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(pair, info, digest, BCRYPT_PAD_PQDSA)


@pytest.mark.row("GKP-13", "GKP-16", "GKP-21", "FIN-04", "3.2 ParameterSetName")
def test_the_parameter_set_of_an_empty_pair(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    for length in (1, 44, 65, 256, 10496):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateKeyPair(algorithm, length)
    for flag in (bcrypt.BCRYPT_NO_KEY_VALIDATION, 1, 0x10, 1 << 32):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateKeyPair(algorithm, 0, flag)
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, 0)
    with untouched(STATUS_INVALID_PARAMETER):
        bcrypt.BCryptFinalizeKeyPair(pair)
    for name in ("", "45", "ML-DSA-65", "512", "SHA2-128s", "65 ", b"65", 65, None):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, name)
    bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "87")
    bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "44\0".encode("utf-16-le"))
    with untouched(STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_KEY_LENGTH, 256)
    bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_KEY_LENGTH, 0)
    for name in (bcrypt.BCRYPT_PARAMETER_SET_NAME, bcrypt.BCRYPT_SIGNATURE_LENGTH):
        with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptGetProperty(pair, name)
    # As of every pair, the strength follows from what is set.
    strength = bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_KEY_STRENGTH)
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_KEY_STRENGTH) == strength
    assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME) == "44"
    with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "65")
    for absent in (bcrypt.BCRYPT_ECC_CURVE_NAME, bcrypt.BCRYPT_PARAMETER_SET_NAME):
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(algorithm, absent, "65")
    bcrypt.BCryptDestroyKey(pair)


@pytest.mark.row("3.2 ParameterSetName", "3.2 SignatureLength", "3.2 KeyStrength", "3.2 PublicKeyLength")
@pytest.mark.parametrize(("name", "strength"), [("44", 128), ("65", 192), ("87", 256)])
def test_properties_of_a_key(algorithm: AlgorithmHandle, untouched: Refuses, name: str, strength: int) -> None:
    with seeded(algorithm, name) as pair:
        found = {
            key: bcrypt.BCryptGetProperty(pair, key)
            for key in (
                bcrypt.BCRYPT_ALGORITHM_NAME,
                bcrypt.BCRYPT_PARAMETER_SET_NAME,
                bcrypt.BCRYPT_SIGNATURE_LENGTH,
                bcrypt.BCRYPT_KEY_STRENGTH,
                bcrypt.BCRYPT_KEY_LENGTH,
                bcrypt.BCRYPT_PUBLIC_KEY_LENGTH,
            )
        }
        assert list(found.values()) == ["ML-DSA", name, ML_DSA[name][2], strength, *[8 * ML_DSA[name][0]] * 2]
        for key in (
            bcrypt.BCRYPT_KEM_CIPHERTEXT_LENGTH,
            bcrypt.BCRYPT_KEM_SHARED_SECRET_LENGTH,
            bcrypt.BCRYPT_BLOCK_LENGTH,
            bcrypt.BCRYPT_ECC_CURVE_NAME,
        ):
            with untouched(STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(pair, key)
        assert repr(pair) == f"<KeyPair ML-DSA {name} pair>"
        assert SEED.hex() not in repr(pair) + repr(pair.public)


@pytest.mark.row("IKP-13", "IKP-02", "IKP-03", "EXP-08")
@every_set
def test_every_blob_gives_the_same_key(nss_current_provider: Provider, algorithm: AlgorithmHandle, name: str) -> None:
    host = PRIVATE_KEYS[name].from_seed_bytes(SEED)
    public = host.public_key().public_bytes_raw()
    sk = expanded(nss_current_provider, "ML-DSA", name, SEED)
    for blob_type, data in (
        (bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, blob(b"DSSS", name, SEED)),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(b"DSSS", name, SEED)),
        (bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, blob(b"DSSK", name, sk)),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(b"DSSK", name, sk)),
    ):
        with bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, data) as pair:
            assert public_octets(pair, name) == public
            assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME) == name
            host.public_key().verify(bcrypt.BCryptSignHash(pair, None, MESSAGE), MESSAGE)
            assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE", "SEED") == [b"\1", b"\0", None, None]
            with refused(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptFinalizeKeyPair(pair)
    for blob_type in (bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB, bcrypt.BCRYPT_PUBLIC_KEY_BLOB):
        with bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, blob(b"DSPK", name, public)) as key:
            assert public_octets(key, name) == public
            assert bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_PUBLIC_KEY_BLOB) == blob(b"DSPK", name, public)
            bcrypt.BCryptVerifySignature(key, None, MESSAGE, host.sign(MESSAGE))
            with refused(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(key, None, MESSAGE)
            for private in (bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB):
                with refused(STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptExportKey(key, None, private)


@pytest.mark.row("IKP-13")
@every_set
def test_a_malformed_blob_reaches_no_token(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses, name: str
) -> None:
    public_size, private_size, _ = ML_DSA[name]
    sk = expanded(nss_current_provider, "ML-DSA", name, SEED)
    public = PRIVATE_KEYS[name].from_seed_bytes(SEED).public_key().public_bytes_raw()
    assert (len(public), len(sk)) == (public_size, private_size)
    other_set = next(other for other in ML_DSA if other != name)
    for generic, own, magic, key in (
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB, b"DSPK", public),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, b"DSSK", sk),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, b"DSSS", SEED),
    ):
        good = blob(magic, name, key)
        bcrypt.BCryptImportKeyPair(algorithm, None, own, good).destroy()
        # Every set has seeds of one size.
        of_other_set = [] if key is SEED else [blob(magic, other_set, key)]
        for bad in (*malformed(good), *of_other_set):
            for blob_type in (generic, own):
                with untouched(STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, bad)
    # A blob of another kind than was said, or of another algorithm.
    for blob_type, data in (
        (bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB, blob(b"DSSS", name, SEED)),
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, blob(b"DSSK", name, sk)),
        (bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, blob(b"DSSK", name, sk)),
        (bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, blob(b"DSPK", name, public)),
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, blob(b"MLKP", "768", bytes(1184))),
    ):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, data)
    for blob_type in ("MLKEMPUBLICBLOB", "RSAPUBLICBLOB", "ECCPRIVATEBLOB", "KeyDataBlob", "pqdsapublicblob"):
        with untouched(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, blob(b"DSPK", name, public))


@pytest.mark.row("IKP-13")
@every_set
def test_an_expanded_key_whose_parts_do_not_belong_together(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses, name: str
) -> None:
    """A flipped bit of rho, tr, s1, s2 or t0 is found; K alone, which only feeds the nonce, has no check."""
    sk = expanded(nss_current_provider, "ML-DSA", name, SEED)
    for position in (0, 31, 64, 127, 128, 128 + 96, len(sk) // 3, len(sk) // 2, len(sk) - 1):
        bad = bytearray(sk)
        bad[position] ^= 0x10
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(
                algorithm, None, bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, blob(b"DSSK", name, bytes(bad))
            )
    for fill in (b"\0", b"\xff"):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(
                algorithm, None, bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, blob(b"DSSK", name, fill * len(sk))
            )


@pytest.mark.row("EXP-05", "EXP-07", "EXP-04")
def test_exports(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    with generated(algorithm, "65") as pair:
        for private in (
            bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB,
            bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB,
            bcrypt.BCRYPT_PRIVATE_KEY_BLOB,
            bcrypt.BCRYPT_OPAQUE_KEY_BLOB,
            bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB,
            bcrypt.BCRYPT_ECCPUBLIC_BLOB,
            bcrypt.BCRYPT_KEY_DATA_BLOB,
        ):
            with untouched(STATUS_NOT_SUPPORTED):
                bcrypt.BCryptExportKey(pair, None, private)
    with bcrypt.BCryptGenerateKeyPair(algorithm, 0) as empty, untouched(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptExportKey(empty, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB)


@pytest.mark.row("KEM-05", "SEC-03", "DUP-03")
def test_what_such_a_pair_does_not_do(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    with generated(algorithm, "44") as pair:
        for call in (
            lambda: bcrypt.BCryptEncapsulate(pair),
            lambda: bcrypt.BCryptDecapsulate(pair, bytes(1088)),
            lambda: bcrypt.BCryptEncrypt(pair, b"x", None, None, bcrypt.BCRYPT_PAD_PKCS1),
            lambda: bcrypt.BCryptDecrypt(pair, b"x", None, None, bcrypt.BCRYPT_PAD_PKCS1),
            lambda: bcrypt.BCryptSecretAgreement(pair, pair),
        ):
            with untouched(STATUS_NOT_SUPPORTED):
                call()
        with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDuplicateKey(pair)


@pytest.mark.row("OAP-04", "GKP-02")
def test_a_token_without_it(provider: Provider, nss_current_provider: Provider) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLDSA_ALGORITHM, provider)
    operations = nss_current_provider.capabilities().operations
    for name in ML_DSA:
        assert nss_current_provider.offers("ML-DSA", name) is operations["ML-DSA", name] is Support.NATIVE
        assert operations["ML-DSA", f"{name} deterministic"] is Support.NATIVE
        assert provider.offers("ML-DSA", name) is provider.capabilities().operations["ML-DSA", name] is Support.REFUSED

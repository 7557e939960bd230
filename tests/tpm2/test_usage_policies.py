"""What a key of a TPM may be used for: usage policies, and the one scheme that it is held to.

TPM 2.0 Library, Part 2, section 11.2 (schemes).
"""

from __future__ import annotations

import pytest
from conformance.helpers import refused
from tpm2.helpers import ec_material
from tpm2.test_bound_keys import DIGEST, made
from tpm2.test_identity_keys import IDENTITY, KEY_CLAIM, OF_KEY, OF_PLATFORM, PLATFORM

import hwcng
from hwcng import HRESULT, NTSTATUS, PairSpec, Usage, ncrypt
from hwcng.contract.protection import KeyScheme, Protection
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.providers.tpm2.wire import key_file_asn1

ATTESTING = PairSpec("EC", Usage.ATTEST, curve="nistP256")


def test_usage_policies(storage: StorageProvider) -> None:
    def key(algorithm: str = "RSA") -> NCryptKey:
        return ncrypt.NCryptCreatePersistedKey(storage, algorithm, None)

    for policy in (1, 2, 3, IDENTITY):
        pair = key()
        ncrypt.NCryptSetProperty(pair, "Length", 2048)
        ncrypt.NCryptSetProperty(pair, "PCP_KEY_USAGE_POLICY", policy)
        assert ncrypt.NCryptGetProperty(pair, "PCP_KEY_USAGE_POLICY") == policy
        ncrypt.NCryptFinalizeKey(pair)
        assert ncrypt.NCryptGetProperty(pair, "PCP_KEY_USAGE_POLICY") == policy
        with refused(HRESULT.NTE_INVALID_HANDLE):
            ncrypt.NCryptSetProperty(pair, "PCP_KEY_USAGE_POLICY", policy)
    for algorithm, policy, status in (
        ("RSA", ncrypt.NCRYPT_PCP_STORAGE_KEY, HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", 0, HRESULT.NTE_INVALID_PARAMETER),
        ("RSA", 9, HRESULT.NTE_INVALID_PARAMETER),
        ("RSA", "8", HRESULT.NTE_INVALID_PARAMETER),
        ("ECDH_P256", IDENTITY, HRESULT.NTE_NOT_SUPPORTED),
        ("ECDSA_P256", ncrypt.NCRYPT_PCP_ENCRYPTION_KEY, HRESULT.NTE_NOT_SUPPORTED),
        ("AES", ncrypt.NCRYPT_PCP_ENCRYPTION_KEY, HRESULT.NTE_NOT_SUPPORTED),
    ):
        with refused(status):
            ncrypt.NCryptSetProperty(key(algorithm), "PCP_KEY_USAGE_POLICY", policy)
    # What is said last counts.
    again = key("ECDSA_P256")
    ncrypt.NCryptSetProperty(again, "PCP_KEY_USAGE_POLICY", IDENTITY)
    ncrypt.NCryptSetProperty(again, "Key Usage", ncrypt.NCRYPT_ALLOW_SIGNING_FLAG)
    ncrypt.NCryptFinalizeKey(again)
    assert ncrypt.NCryptSignHash(again, None, DIGEST)


def test_such_keys_are_made_by_the_tpm(storage: StorageProvider, provider: hwcng.Provider) -> None:
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        storage.provider.import_pair(ATTESTING, ec_material("nistP256")[1])
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        storage.provider.generate_pair(PairSpec("RSA", Usage.ATTEST | Usage.SIGN, bits=2048))
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        provider.generate_pair(ATTESTING)
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        provider.named("one").generate_pair(ATTESTING)


PKCS1, PSS = ncrypt.NCRYPT_PAD_PKCS1_FLAG, ncrypt.NCRYPT_PAD_PSS_FLAG


@pytest.mark.parametrize(
    ("properties", "scheme", "policy"),
    [
        ({"PCP_RSA_SCHEME_HASH_ALG": 0xB}, (0x14, 0xB), 1),
        ({"PCP_RSA_SCHEME": 0x14}, (0x14, 0xB), 1),
        ({"PCP_RSA_SCHEME": 0x16, "PCP_RSA_SCHEME_HASH_ALG": 0xC}, (0x16, 0xC), 1),
        ({"PCP_RSA_SCHEME_HASH_ALG": 0xC, "PCP_RSA_SCHEME": 0x16}, (0x16, 0xC), 1),
        ({"PCP_RSA_SCHEME": 0x15}, (0x15, 0x10), 2),
        ({"PCP_RSA_SCHEME": 0x17}, (0x17, 0xB), 2),
        ({"Key_Usage": 1, "PCP_RSA_SCHEME_HASH_ALG": 0xC}, (0x17, 0xC), 2),
        ({"PCP_RSA_SCHEME": 0x16, "PCP_KEY_USAGE_POLICY": IDENTITY}, (0x16, 0xB), IDENTITY),
        ({"PCP_KEY_USAGE_POLICY": IDENTITY, "PCP_RSA_SCHEME_HASH_ALG": 0xC}, (0x14, 0xC), IDENTITY),
        ({"PCP_RSA_SCHEME": 0x14, "PCP_RSA_SCHEME ": 0x10}, None, 1),
    ],
)
def test_a_key_is_held_to_one_scheme(
    storage: StorageProvider, properties: dict[str, int], scheme: tuple[int, int] | None, policy: int
) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "RSA", "held")
    ncrypt.NCryptSetProperty(key, "Length", 2048)
    for name, value in properties.items():
        ncrypt.NCryptSetProperty(key, name.strip().replace("_", " ") if name.startswith("Key") else name.strip(), value)
    expected = scheme or (0x10, 0x10)

    def told(key: NCryptKey) -> None:
        names = ("PCP_RSA_SCHEME", "PCP_RSA_SCHEME_HASH_ALG", "PCP_KEY_USAGE_POLICY")
        assert tuple(ncrypt.NCryptGetProperty(key, name) for name in names) == (*expected, policy)

    told(key)
    ncrypt.NCryptFinalizeKey(key)
    told(key)
    opened = ncrypt.NCryptOpenKey(storage, "held")
    told(opened)
    if scheme == (0x14, 0xB) and policy == 1:
        info = ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
        signature = ncrypt.NCryptSignHash(opened, info, DIGEST, PKCS1)
        ncrypt.NCryptVerifySignature(opened, info, DIGEST, signature, PKCS1)
        for other, digest, flag in (
            (ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA384"), bytes(48), PKCS1),
            (ncrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32), DIGEST, PSS),
        ):
            with refused(HRESULT.NTE_NOT_SUPPORTED):
                ncrypt.NCryptSignHash(opened, other, digest, flag)
    if policy == IDENTITY:
        subject = made(storage, None)
        ncrypt.NCryptVerifyClaim(
            subject, key, KEY_CLAIM, OF_KEY, ncrypt.NCryptCreateClaim(subject, key, KEY_CLAIM, OF_KEY)
        )
        quote = ncrypt.NCryptCreateClaim(storage, key, PLATFORM, OF_PLATFORM)
        ncrypt.NCryptVerifyClaim(None, key, PLATFORM, OF_PLATFORM, quote)


def test_schemes_that_no_key_is_held_to(storage: StorageProvider, provider: hwcng.Provider) -> None:
    for algorithm, name, value, status in (
        ("RSA", "PCP_RSA_SCHEME", 0x18, HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "PCP_RSA_SCHEME_HASH_ALG", 0x12, HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "PCP_RSA_SCHEME", "RSASSA", HRESULT.NTE_INVALID_PARAMETER),
        ("ECDSA_P256", "PCP_RSA_SCHEME", 0x14, HRESULT.NTE_NOT_SUPPORTED),
        ("ECDSA_P256", "PCP_RSA_SCHEME_HASH_ALG", 0xB, HRESULT.NTE_NOT_SUPPORTED),
        ("AES", "PCP_RSA_SCHEME", 0x14, HRESULT.NTE_NOT_SUPPORTED),
    ):
        with refused(status):
            ncrypt.NCryptSetProperty(ncrypt.NCryptCreatePersistedKey(storage, algorithm, None), name, value)
    other = ncrypt.NCryptCreatePersistedKey(ncrypt.NCryptOpenStorageProvider(provider), "RSA", None)
    for name in ("PCP_RSA_SCHEME", "PCP_RSA_SCHEME_HASH_ALG", "PCP_KEY_USAGE_POLICY"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            ncrypt.NCryptSetProperty(other, name, 1)
    # A use that the scheme does not have, said after it.
    key = ncrypt.NCryptCreatePersistedKey(storage, "RSA", None)
    ncrypt.NCryptSetProperty(key, "Length", 2048)
    ncrypt.NCryptSetProperty(key, "PCP_RSA_SCHEME", 0x14)
    ncrypt.NCryptSetProperty(key, "Key Usage", 3)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptFinalizeKey(key)
    signing = PairSpec("RSA", Usage.SIGN, bits=2048)
    for scheme in (
        KeyScheme("ECDSA", "SHA256"),
        KeyScheme("RSASSA"),
        KeyScheme("RSAES", "SHA256"),
        KeyScheme("RSASSA", "MD5"),
    ):
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            storage.provider.protecting(Protection(scheme=scheme)).generate_pair(signing)
    held = storage.provider.protecting(Protection(scheme=KeyScheme("RSAPSS", "SHA256"))).generate_pair(signing)
    assert key_file_asn1.parse(held.opaque()).public


def test_a_salt_as_the_tpm_has_it(storage: StorageProvider) -> None:
    """Of a key that signs only: the TPM makes one as long as the hash, and no other."""
    key = made(storage, None, "RSA", Length=2048, PCP_RSA_SCHEME=0x16)
    asked, had = ncrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 20), ncrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptSignHash(key, asked, DIGEST, PSS)
    signature = ncrypt.NCryptSignHash(key, asked, DIGEST, PSS | ncrypt.NCRYPT_TPM_PAD_PSS_IGNORE_SALT)
    ncrypt.NCryptVerifySignature(key, had, DIGEST, signature, PSS)
    for info, flags, status in (
        (ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), PSS | 0x20, HRESULT.NTE_INVALID_PARAMETER),
        (ncrypt.BCRYPT_PSS_PADDING_INFO("SHA7", 20), PSS | 0x20, HRESULT.NTE_INVALID_PARAMETER),
        (ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), PKCS1 | 0x20, HRESULT.NTE_BAD_FLAGS),
    ):
        with refused(status):
            ncrypt.NCryptSignHash(key, info, DIGEST, flags)
    with refused(HRESULT.NTE_BAD_FLAGS):
        ncrypt.NCryptVerifySignature(key, had, DIGEST, signature, PSS | 0x20)

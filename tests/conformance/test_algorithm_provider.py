"""BCryptOpenAlgorithmProvider, BCryptCloseAlgorithmProvider, BCryptEnumAlgorithms: rows OAP, sections 2.5, 5.2, 5.3."""

from __future__ import annotations

import pytest
from conformance.helpers import BLOCKS, IV, RESERVED_BITS, SECRET, host_cbc, refused
from support import missing

from hwcng.bcrypt import (
    BCRYPT_AES_CBC_ALG_HANDLE,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_HMAC_SHA256_ALG_HANDLE,
    BCRYPT_IS_KEYED_HASH,
    BCRYPT_IS_REUSABLE_HASH,
    BCRYPT_KDF_HASH,
    BCRYPT_MULTI_FLAG,
    BCRYPT_PROV_DISPATCH,
    BCRYPT_RNG_ALG_HANDLE,
    BCRYPT_RSA_ALG_HANDLE,
    BCRYPT_SHA256_ALG_HANDLE,
    MS_PRIMITIVE_PROVIDER,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptCloseAlgorithmProvider,
    BCryptCreateHash,
    BCryptDeriveKey,
    BCryptDestroyHash,
    BCryptDestroyKey,
    BCryptDestroySecret,
    BCryptEncrypt,
    BCryptEnumAlgorithms,
    BCryptFinalizeKeyPair,
    BCryptFinishHash,
    BCryptGenerateKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptGenRandom,
    BCryptGetProperty,
    BCryptHash,
    BCryptHashData,
    BCryptOpenAlgorithmProvider,
    BCryptSecretAgreement,
    BCryptSetProperty,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import NTSTATUS

HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512")
HOST_HASHES = {"MD2", "MD4", "SHAKE128", "SHAKE256", "CSHAKE128", "CSHAKE256"}
RNGS = {"RNG", "FIPS186DSARNG"}
ASYMMETRIC = (
    "RSA",
    "RSA_SIGN",
    "ECDSA_P256",
    "ECDSA_P384",
    "ECDSA_P521",
    "ECDH_P256",
    "ECDH_P384",
    "ECDH_P521",
    "ECDSA",
    "ECDH",
    "DH",
    "DSA",
    "ED25519",
)
KDFS = {"PBKDF2", "SP800_108_CTR_HMAC", "SP800_56A_CONCAT", "CAPI_KDF", "TLS1_2_KDF", "HKDF"}
CIPHERS = {"AES", "3DES", "3DES_112", "XTS-AES"}
ALGORITHMS = (*sorted(CIPHERS), "AES-CMAC", "AES-GMAC", *HASHES, *ASYMMETRIC, "RNG")
ACCEPTED = BCRYPT_PROV_DISPATCH | BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS
DEFINED = ACCEPTED | 0x4 | BCRYPT_ALG_HANDLE_HMAC_FLAG | BCRYPT_HASH_REUSABLE_FLAG | 0x40


@pytest.mark.row("OAP-01")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_opening_gives_a_handle_that_close_ends(provider, name):
    handle = BCryptOpenAlgorithmProvider(name, provider)
    assert BCryptGetProperty(handle, BCRYPT_ALGORITHM_NAME) == name
    BCryptCloseAlgorithmProvider(handle)
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGetProperty(handle, BCRYPT_ALGORITHM_NAME)


@pytest.mark.row("OAP-01", "OAP-08")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_opening_and_closing_costs_no_token_call(provider, calls, name):
    with calls() as counter:
        BCryptCloseAlgorithmProvider(BCryptOpenAlgorithmProvider(name, provider))
    assert counter.names == []


@pytest.mark.row("OAP-02")
@pytest.mark.parametrize("name", [None, 0, b"AES", ["AES"]])
def test_the_algorithm_is_a_string(provider, refuses, name):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptOpenAlgorithmProvider(name, provider)


@pytest.mark.row("OAP-03")
@pytest.mark.parametrize(
    "name", ["", "aes", "Aes", "AES ", "AES\0", "sha256", "SHA-256", "SHA224", "Ed25519", "AES-256"]
)
def test_an_unknown_algorithm_is_not_found(provider, refuses, name):
    with refuses(NTSTATUS.STATUS_NOT_FOUND):
        BCryptOpenAlgorithmProvider(name, provider)


@pytest.mark.row("OAP-03")
@pytest.mark.parametrize("name", ["AES", "SHA256", "RSA"])
def test_an_unknown_provider_is_not_found(refuses, name):
    with refuses(NTSTATUS.STATUS_NOT_FOUND):
        BCryptOpenAlgorithmProvider(name, "No Such Key Provider")


@pytest.mark.row("OAP-04")
@pytest.mark.parametrize("implementation", [None, MS_PRIMITIVE_PROVIDER])
def test_none_and_the_primitive_provider_are_the_default_provider(default_provider, implementation):
    handle = BCryptOpenAlgorithmProvider("AES", implementation)
    assert handle.provider is default_provider
    BCryptCloseAlgorithmProvider(handle)


@pytest.mark.row("OAP-04")
def test_without_a_default_provider_nothing_is_found_but_unkeyed_hashes(monkeypatch):
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)
    for name in ("AES", "RSA", "RNG", "ECDSA_P256"):
        with refused(NTSTATUS.STATUS_NOT_FOUND):
            BCryptOpenAlgorithmProvider(name)
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        BCryptOpenAlgorithmProvider("SHA256", None, BCRYPT_ALG_HANDLE_HMAC_FLAG)
    handle = BCryptOpenAlgorithmProvider("SHA256")
    assert len(BCryptHash(handle, None, b"")) == 32
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CBC)
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        BCryptGenerateSymmetricKey(BCRYPT_AES_CBC_ALG_HANDLE, None, SECRET)


@pytest.mark.row("OAP-04")
def test_an_algorithm_that_the_token_lacks_is_not_found(provider, refuses):
    lacking = [name for name in HASHES if provider.offers(f"HMAC-{name}").name == "REFUSED"]
    if not lacking:
        missing("a token that lacks an HMAC")
    for name in lacking:
        with refuses(NTSTATUS.STATUS_NOT_FOUND):
            BCryptOpenAlgorithmProvider(name, provider, BCRYPT_ALG_HANDLE_HMAC_FLAG)
        BCryptCloseAlgorithmProvider(BCryptOpenAlgorithmProvider(name, provider))


@pytest.mark.row("OAP-05")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_flag_of_open(provider, refuses, name):
    takes = ACCEPTED
    if name in HASHES or name in ("AES-CMAC", "AES-GMAC"):
        takes |= BCRYPT_HASH_REUSABLE_FLAG | BCRYPT_MULTI_FLAG
    if name in HASHES and provider.offers(f"HMAC-{name}").name != "REFUSED":
        takes |= BCRYPT_ALG_HANDLE_HMAC_FLAG
    for flag in RESERVED_BITS:
        if flag & takes:
            BCryptCloseAlgorithmProvider(BCryptOpenAlgorithmProvider(name, provider, flag))
            continue
        status = NTSTATUS.STATUS_NOT_SUPPORTED if flag & DEFINED else NTSTATUS.STATUS_INVALID_PARAMETER
        if name in HASHES and flag == BCRYPT_ALG_HANDLE_HMAC_FLAG:
            status = NTSTATUS.STATUS_NOT_FOUND
        with refuses(status):
            BCryptOpenAlgorithmProvider(name, provider, flag)


@pytest.mark.row("OAP-05")
def test_an_undefined_bit_beside_a_good_flag_is_a_wrong_parameter(provider, refuses):
    for flags in (BCRYPT_HASH_REUSABLE_FLAG | 0x200, 0xFFFFFFFF, -1, 1 << 32):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptOpenAlgorithmProvider("SHA256", provider, flags)


@pytest.mark.row("OAP-06", "HSH-02")
def test_the_hmac_flag_decides_whether_a_secret_is_taken(algorithm, refuses):
    plain, keyed = algorithm("SHA256"), algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptCreateHash(plain, None, SECRET)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptHash(plain, SECRET, b"data")
    assert BCryptGetProperty(plain, BCRYPT_IS_KEYED_HASH) == 0
    assert BCryptGetProperty(keyed, BCRYPT_IS_KEYED_HASH) == 1
    assert len(BCryptHash(keyed, SECRET, b"data")) == 32


@pytest.mark.row("OAP-07")
@pytest.mark.parametrize("flags", [0, BCRYPT_ALG_HANDLE_HMAC_FLAG])
def test_reusable_at_open_makes_all_later_hashes_reusable(algorithm, flags):
    handle = algorithm("SHA256", flags | BCRYPT_HASH_REUSABLE_FLAG)
    secret = SECRET if flags else None
    for _ in range(2):
        with BCryptCreateHash(handle, None, secret) as hashing:
            assert BCryptGetProperty(hashing, BCRYPT_IS_REUSABLE_HASH) == 1
            BCryptHashData(hashing, b"data")
            first = BCryptFinishHash(hashing)
            BCryptHashData(hashing, b"data")
            assert BCryptFinishHash(hashing) == first


@pytest.mark.row("OAP-08")
def test_two_handles_of_one_algorithm_are_independent(algorithm):
    first, second = algorithm("AES"), algorithm("AES")
    BCryptSetProperty(first, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)
    BCryptSetProperty(first, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
    assert BCryptGetProperty(second, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC
    assert BCryptGetProperty(second, NCRYPT_EXPORT_POLICY_PROPERTY) == 0
    BCryptCloseAlgorithmProvider(first)
    assert BCryptGetProperty(second, BCRYPT_ALGORITHM_NAME) == "AES"


@pytest.mark.row("5.2")
def test_a_handle_closes_once(provider, refuses):
    handle = BCryptOpenAlgorithmProvider("AES", provider)
    BCryptCloseAlgorithmProvider(handle)
    for wrong in (handle, None):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptCloseAlgorithmProvider(wrong)


@pytest.mark.row("5.2")
@pytest.mark.parametrize("flags", RESERVED_BITS)
def test_close_takes_no_flag_and_leaves_the_handle_open(algorithm, refuses, flags):
    handle = algorithm("AES")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptCloseAlgorithmProvider(handle, flags)
    assert BCryptGetProperty(handle, BCRYPT_ALGORITHM_NAME) == "AES"


@pytest.mark.row("5.2", "GSK-24")
def test_what_was_made_from_a_handle_outlives_it(algorithm):
    names = ("AES", "SHA256", "ECDSA_P256", "ECDH_P256")
    aes, sha256, ecdsa, ecdh = (algorithm(name) for name in names)
    key, hashing = BCryptGenerateSymmetricKey(aes, None, SECRET), BCryptCreateHash(sha256)
    empty, agreeing = BCryptGenerateKeyPair(ecdsa, 256), BCryptGenerateKeyPair(ecdh, 256)
    BCryptFinalizeKeyPair(agreeing)
    secret = BCryptSecretAgreement(agreeing, agreeing)
    for handle in (aes, sha256, ecdsa, ecdh):
        BCryptCloseAlgorithmProvider(handle)
    assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    BCryptHashData(hashing, b"data")
    assert len(BCryptFinishHash(hashing)) == 32
    BCryptFinalizeKeyPair(empty)
    BCryptVerifySignature(empty, None, bytes(32), BCryptSignHash(empty, None, bytes(32)))
    assert len(BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, 20)) == 20
    for handle in (key, empty, agreeing):
        BCryptDestroyKey(handle)
    BCryptDestroySecret(secret)
    BCryptDestroyHash(hashing)


@pytest.mark.row("2.5", "5.2")
def test_a_pseudo_handle_is_neither_closed_nor_set(default_provider, refuses):
    for handle in (BCRYPT_AES_CBC_ALG_HANDLE, BCRYPT_SHA256_ALG_HANDLE, BCRYPT_RSA_ALG_HANDLE):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptCloseAlgorithmProvider(handle)
        for name, value, flags in ((BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM, 0), (None, None, 1), ("x", None, 0)):
            with refuses(NTSTATUS.STATUS_ACCESS_DENIED):
                BCryptSetProperty(handle, name, value, flags)


@pytest.mark.row("2.5")
def test_a_pseudo_handle_selects_the_default_provider_and_answers_get(default_provider):
    for value, name, mode in (
        (0x1A1, "AES", BCRYPT_CHAIN_MODE_CBC),
        (0x1E1, "AES", BCRYPT_CHAIN_MODE_GCM),
        (0x041, "SHA256", None),
        (0x0B1, "SHA256", None),
        (0x0E1, "RSA", None),
        (0x311, "RSA_SIGN", None),
        (0x301, "ECDSA_P521", None),
        (0x291, "ECDH", None),
        (0x101, "AES-CMAC", None),
        (0x081, "RNG", None),
    ):
        (handle,) = [pseudo for pseudo in type(BCRYPT_RNG_ALG_HANDLE) if pseudo == value]
        assert BCryptGetProperty(handle, BCRYPT_ALGORITHM_NAME) == name
        if mode:
            assert BCryptGetProperty(handle, BCRYPT_CHAINING_MODE) == mode
    assert BCryptGetProperty(BCRYPT_HMAC_SHA256_ALG_HANDLE, BCRYPT_IS_KEYED_HASH) == 1
    assert len(BCryptHash(BCRYPT_HMAC_SHA256_ALG_HANDLE, SECRET, b"data")) == 32


@pytest.mark.row("2.5")
def test_a_pseudo_handle_of_another_class_is_as_the_real_one(default_provider, refuses):
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptCreateHash(BCRYPT_RSA_ALG_HANDLE)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGenerateKeyPair(BCRYPT_SHA256_ALG_HANDLE, 256)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGenRandom(BCRYPT_AES_CBC_ALG_HANDLE, 1)


@pytest.mark.row("5.3")
def test_enumeration_lists_each_algorithm_once_per_class(default_provider, calls):
    with calls() as counter:
        entries = BCryptEnumAlgorithms(0)
    assert counter.names == []
    assert {entry.pszName for entry in entries} == {*ALGORITHMS, *HOST_HASHES, *RNGS} | KDFS
    assert {entry.dwFlags for entry in entries} == {0}
    assert sorted(entry.dwClass for entry in entries if entry.pszName == "RSA") == [3, 5]
    assert sorted(entry.dwClass for entry in entries if entry.pszName == "RSA_SIGN") == [5]
    assert len(entries) == len(set(entries)) == len({*ALGORITHMS, *HOST_HASHES, *RNGS}) + len(KDFS) + 1


@pytest.mark.row("5.3")
@pytest.mark.parametrize(
    ("operation", "names"),
    [
        (0x01, CIPHERS),
        (0x02, {*HASHES, *HOST_HASHES, "AES-CMAC", "AES-GMAC"}),
        (0x04, {"RSA"}),
        (0x08, {"ECDH_P256", "ECDH_P384", "ECDH_P521", "ECDH", "DH"}),
        (0x10, {"RSA", "RSA_SIGN", "ECDSA_P256", "ECDSA_P384", "ECDSA_P521", "ECDSA", "DSA", "ED25519"}),
        (0x20, RNGS),
        (0x21, CIPHERS | RNGS),
        (0x40, KDFS),
        (0x80, set()),
    ],
)
def test_enumeration_by_operation(default_provider, operation, names):
    assert {entry.pszName for entry in BCryptEnumAlgorithms(operation)} == names


@pytest.mark.row("5.3")
@pytest.mark.parametrize("operation", [0x100, 0x101, 0x80000000, 0xFFFFFFFF, -1])
def test_enumeration_of_undefined_bits(default_provider, refuses, operation):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptEnumAlgorithms(operation)


@pytest.mark.row("5.3")
@pytest.mark.parametrize("flags", RESERVED_BITS)
def test_enumeration_takes_no_flag(default_provider, refuses, flags):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptEnumAlgorithms(0, flags)


@pytest.mark.row("5.3")
def test_what_is_listed_opens(default_provider):
    for entry in BCryptEnumAlgorithms(0):
        BCryptCloseAlgorithmProvider(BCryptOpenAlgorithmProvider(entry.pszName))

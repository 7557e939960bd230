"""BCryptGetProperty and BCryptSetProperty: section 3 of the reference, by property."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import (
    FIXED_CURVES,
    IV,
    RESERVED_BITS,
    SECRET,
    refused,
)

from hwcng.bcrypt import (
    BCRYPT_AES_GCM_ALG_HANDLE,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_HASH_BLOCK_LENGTH,
    BCRYPT_HASH_LENGTH,
    BCRYPT_HASH_OID_LIST,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_IS_KEYED_HASH,
    BCRYPT_IS_REUSABLE_HASH,
    BCRYPT_KEY_LENGTH,
    BCRYPT_KEY_OBJECT_LENGTH,
    BCRYPT_MESSAGE_BLOCK_LENGTH,
    BCRYPT_OBJECT_LENGTH,
    BCRYPT_PROVIDER_HANDLE,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptCloseAlgorithmProvider,
    BCryptCreateHash,
    BCryptDestroyHash,
    BCryptDestroySecret,
    BCryptDuplicateKey,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptSecretAgreement,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS, CngError

HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512")
MACS = ("AES-CMAC", "AES-GMAC")
RSA = ("RSA", "RSA_SIGN")
CURVES = tuple(FIXED_CURVES)
GENERIC = ("ECDSA", "ECDH")
ALL = ("AES", *MACS, *HASHES, *RSA, *CURVES, *GENERIC, "RNG")
LATER = (
    "MultiObjectLength",
    "SecretAgreementParam",
    "PCP_PLATFORM_TYPE",
    "PCP_PROVIDER_VERSION",
    "FunctionNameString",
    "CustomizationString",
)
EVERY_PROPERTY = (
    "ObjectLength",
    "AlgorithmName",
    "ProviderHandle",
    "ChainingMode",
    "BlockLength",
    "BlockSizeList",
    "KeyLength",
    "KeyLengths",
    "KeyObjectLength",
    "KeyStrength",
    "IV",
    "AuthTagLength",
    "MessageBlockLength",
    "HashDigestLength",
    "HashBlockLength",
    "HashOIDList",
    "IsKeyedHash",
    "IsReusableHash",
    "PaddingSchemes",
    "SignatureLength",
    "PublicKeyLength",
    "ECCCurveName",
    "ECCCurveNameList",
    "ECCParameters",
    "PrimitiveType",
    "IsIfxTpmWeakKey",
    *LATER,
)


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


@pytest.fixture
def handles(algorithm, aes_key, pair):
    """One handle of each kind that has properties."""
    agreeing = pair("ECDH_P256")
    secret, hashing = BCryptSecretAgreement(agreeing, agreeing), BCryptCreateHash(algorithm("SHA256"))
    yield {
        "algorithm": algorithm("AES"),
        "key": aes_key,
        "pair": pair("RSA"),
        "empty pair": pair("RSA", finalize=False),
        "hash": hashing,
        "secret": secret,
    }
    BCryptDestroySecret(secret)
    BCryptDestroyHash(hashing)


KINDS = ("algorithm", "key", "pair", "empty pair", "hash", "secret")


def only(algorithm, refuses, name: str, values: dict[str, object]) -> None:
    """Algorithms in `values` have this value of the property; every other algorithm does not have the property."""
    for algorithm_name in ALL:
        handle = algorithm(algorithm_name)
        if algorithm_name in values:
            assert BCryptGetProperty(handle, name) == values[algorithm_name], algorithm_name
        else:
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptGetProperty(handle, name)


@pytest.mark.row("3.1")
@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_of_get_come_as_handle_name_property(handles, refuses, kind):
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGetProperty(None, None, 1)
    for name in (None, 0, b"ObjectLength"):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGetProperty(handles[kind], name)
    for name in ("", "no such property", "objectlength", "AlgorithmName "):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(handles[kind], name)


@pytest.mark.row("3.1")
@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_of_set_come_as_handle_name_property_value(handles, refuses, kind):
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptSetProperty(None, None, None, 1)
    for name in (None, 0, b"ChainingMode"):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(handles[kind], name, 1)
    for name in ("", "no such property", "AlgorithmName", "ProviderHandle", "chainingmode"):
        for value in (1, None, utf16("x")):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handles[kind], name, value)


@pytest.mark.row("3.1")
@pytest.mark.parametrize("flags", RESERVED_BITS)
def test_get_and_set_take_no_flag(handles, refuses, flags):
    for kind, name, value in (
        ("algorithm", BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM),
        ("key", BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM),
        ("empty pair", BCRYPT_KEY_LENGTH, 2048),
        ("hash", BCRYPT_INITIALIZATION_VECTOR, IV[:12]),
        ("secret", BCRYPT_PROVIDER_HANDLE, 1),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGetProperty(handles[kind], name, flags)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(handles[kind], name, value, flags)
    assert BCryptGetProperty(handles["algorithm"], BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC
    assert BCryptGetProperty(handles["empty pair"], BCRYPT_KEY_LENGTH) == 1024


@pytest.mark.row("3.1")
@pytest.mark.parametrize("name", [*EVERY_PROPERTY, "Export Policy"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_property_of_any_kind_of_handle_reaches_the_token(handles, calls, kind, name):
    status = None
    with calls() as counter:
        try:
            BCryptGetProperty(handles[kind], name)
        except CngError as error:
            status = error.status
    assert counter.names == []
    empty = {NTSTATUS.STATUS_INVALID_HANDLE} if kind == "empty pair" else set()
    assert status in {None, NTSTATUS.STATUS_NOT_SUPPORTED} | empty


@pytest.mark.row("3.1")
def test_a_value_is_needed_for_what_can_be_set(handles, algorithm, pair, refuses):
    for handle, name in (
        (handles["algorithm"], BCRYPT_CHAINING_MODE),
        (algorithm("ECDSA"), BCRYPT_ECC_CURVE_NAME),
        (handles["algorithm"], NCRYPT_EXPORT_POLICY_PROPERTY),
        (handles["key"], BCRYPT_CHAINING_MODE),
        (handles["key"], BCRYPT_MESSAGE_BLOCK_LENGTH),
        (handles["key"], BCRYPT_INITIALIZATION_VECTOR),
        (handles["empty pair"], BCRYPT_KEY_LENGTH),
        (handles["empty pair"], NCRYPT_EXPORT_POLICY_PROPERTY),
    ):
        for value in (None, object(), 1.5):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptSetProperty(handle, name, value)


@pytest.mark.row("3.1")
def test_setting_on_an_algorithm_is_for_what_is_made_later(aes):
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as before:
        BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)
        with BCryptGenerateSymmetricKey(aes, None, SECRET) as after:
            assert BCryptGetProperty(before, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC
            assert BCryptGetProperty(after, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_GCM


@pytest.mark.row("3.2 ObjectLength")
def test_object_length(algorithm, aes_key, refuses):
    lengths = {"AES": 654, "AES-CMAC": 654, "AES-GMAC": 654, "MD5": 274, "SHA1": 278, "SHA256": 286}
    lengths |= {"SHA384": 382, "SHA512": 382} | dict.fromkeys(("SHA3-256", "SHA3-384", "SHA3-512"), 478)
    only(algorithm, refuses, BCRYPT_OBJECT_LENGTH, lengths)
    assert BCryptGetProperty(aes_key, BCRYPT_OBJECT_LENGTH) == 654
    with BCryptCreateHash(algorithm("SHA256")) as hashing:
        assert BCryptGetProperty(hashing, BCRYPT_OBJECT_LENGTH) == 286


@pytest.mark.row("3.2 KeyObjectLength")
def test_key_object_length(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_KEY_OBJECT_LENGTH, {"AES": 654})


@pytest.mark.row("3.2 AlgorithmName")
def test_algorithm_name(algorithm, aes_key, pair, refuses):
    only(algorithm, refuses, BCRYPT_ALGORITHM_NAME, {name: name for name in ALL})
    assert BCryptGetProperty(aes_key, BCRYPT_ALGORITHM_NAME) == "AES"
    assert BCryptGetProperty(pair("ECDH_P384"), BCRYPT_ALGORITHM_NAME) == "ECDH_P384"
    with BCryptCreateHash(algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG), None, SECRET) as hashing:
        assert BCryptGetProperty(hashing, BCRYPT_ALGORITHM_NAME) == "SHA256"


@pytest.mark.row("3.2 ProviderHandle")
def test_provider_handle(handles, algorithm, refuses):
    aes = handles["algorithm"]
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as key, BCryptDuplicateKey(key) as copy:
        assert BCryptGetProperty(key, BCRYPT_PROVIDER_HANDLE) is aes
        assert BCryptGetProperty(copy, BCRYPT_PROVIDER_HANDLE) is aes
    for kind, name in (("pair", "RSA"), ("hash", "SHA256"), ("secret", "ECDH_P256")):
        made_by = BCryptGetProperty(handles[kind], BCRYPT_PROVIDER_HANDLE)
        assert BCryptGetProperty(made_by, BCRYPT_ALGORITHM_NAME) == name
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(aes, BCRYPT_PROVIDER_HANDLE)


@pytest.mark.row("3.2 ProviderHandle", "2.5")
def test_the_provider_handle_of_a_pseudo_handles_key_is_as_fixed(default_provider, refuses):
    with BCryptGenerateSymmetricKey(BCRYPT_AES_GCM_ALG_HANDLE, None, SECRET) as key:
        made_by = BCryptGetProperty(key, BCRYPT_PROVIDER_HANDLE)
        assert BCryptGetProperty(made_by, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_GCM
        with refuses(NTSTATUS.STATUS_ACCESS_DENIED):
            BCryptSetProperty(made_by, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CBC)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptCloseAlgorithmProvider(made_by)


DIGESTS = dict(zip(HASHES, (16, 20, 32, 48, 64, 32, 48, 64), strict=True)) | dict.fromkeys(MACS, 16)
HASH_BLOCKS = dict(zip(HASHES, (64, 64, 64, 128, 128, 136, 104, 72), strict=True)) | dict.fromkeys(MACS, 16)


@pytest.mark.row("3.2 HashDigestLength", "3.2 HashBlockLength")
def test_hash_lengths(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_HASH_LENGTH, DIGESTS)
    only(algorithm, refuses, BCRYPT_HASH_BLOCK_LENGTH, HASH_BLOCKS)
    for name in HASHES:
        with BCryptCreateHash(algorithm(name)) as hashing:
            assert BCryptGetProperty(hashing, BCRYPT_HASH_LENGTH) == DIGESTS[name]
            assert BCryptGetProperty(hashing, BCRYPT_HASH_BLOCK_LENGTH) == HASH_BLOCKS[name]


@pytest.mark.row("3.2 HashOIDList")
def test_hash_oids_are_of_plain_hashes_only(algorithm, refuses):
    nist = bytes.fromhex("6086480165030402")
    arcs = {"SHA256": 1, "SHA384": 2, "SHA512": 3, "SHA3-256": 8, "SHA3-384": 9, "SHA3-512": 10}
    oids = {name: (nist + bytes([arc]),) for name, arc in arcs.items()}
    oids |= {"MD5": (bytes.fromhex("2a864886f70d0205"),), "SHA1": (bytes.fromhex("2b0e03021a"),)}
    only(algorithm, refuses, BCRYPT_HASH_OID_LIST, oids)
    keyed = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(keyed, BCRYPT_HASH_OID_LIST)


@pytest.mark.row("3.2 IsKeyedHash", "3.2 IsReusableHash")
def test_keyed_and_reusable(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_IS_KEYED_HASH, dict.fromkeys(HASHES, 0) | dict.fromkeys(MACS, 1))
    only(algorithm, refuses, BCRYPT_IS_REUSABLE_HASH, dict.fromkeys((*HASHES, *MACS), 0))
    assert BCryptGetProperty(algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG), BCRYPT_IS_KEYED_HASH) == 1
    plain, reusable = algorithm("SHA256"), algorithm("SHA256", BCRYPT_HASH_REUSABLE_FLAG)
    assert BCryptGetProperty(reusable, BCRYPT_IS_REUSABLE_HASH) == 1
    for handle, flags, expected in ((plain, 0, 0), (plain, BCRYPT_HASH_REUSABLE_FLAG, 1), (reusable, 0, 1)):
        with BCryptCreateHash(handle, None, None, flags) as hashing:
            assert BCryptGetProperty(hashing, BCRYPT_IS_REUSABLE_HASH) == expected


@pytest.mark.row("EXP-07")
@pytest.mark.parametrize("form", [int, lambda value: struct.pack("<I", value)])
def test_the_export_policy(aes, pair, algorithm, refuses, form):
    for handle in (aes, algorithm("RSA"), algorithm("ECDSA"), pair("ECDH_P256", finalize=False)):
        for value in (1, 0):
            BCryptSetProperty(handle, NCRYPT_EXPORT_POLICY_PROPERTY, form(value))
        for value in (2, 3, 4, 8, 0xF):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, NCRYPT_EXPORT_POLICY_PROPERTY, form(value))
        for value in (0x10, 0x11, 0x80000000):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptSetProperty(handle, NCRYPT_EXPORT_POLICY_PROPERTY, form(value))
    assert BCryptGetProperty(aes, NCRYPT_EXPORT_POLICY_PROPERTY) == 0


@pytest.mark.row("EXP-07")
def test_what_has_no_keys_to_export_has_no_export_policy(algorithm, aes_key, refuses):
    for handle in (*(algorithm(name) for name in (*HASHES, *MACS, "RNG")), aes_key):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, NCRYPT_EXPORT_POLICY_PROPERTY, 1)


@pytest.mark.row("3.1")
@pytest.mark.parametrize("name", LATER)
def test_a_property_of_other_algorithms_is_not_supported(algorithm, handles, refuses, name):
    for handle in (*(algorithm(each) for each in ALL), *handles.values()):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(handle, name)
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, name, 1)


def test_a_refused_value_is_no_reason_to_forget_the_last(aes, refuses):
    BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, "no mode")
    assert BCryptGetProperty(aes, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_GCM

"""BCryptGetProperty and BCryptSetProperty: section 3 of the reference, by property."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import (
    BLOCKS,
    FIXED_CURVES,
    IV,
    RESERVED_BITS,
    SECRET,
    host_cbc,
    refused,
    rsa_public_blob,
)

from hwcng.bcrypt import (
    BCRYPT_AES_GCM_ALG_HANDLE,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_AUTH_TAG_LENGTH,
    BCRYPT_AUTH_TAG_LENGTHS_STRUCT,
    BCRYPT_BLOCK_LENGTH,
    BCRYPT_BLOCK_SIZE_LIST,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_ECC_CURVE_NAME_LIST,
    BCRYPT_HASH_BLOCK_LENGTH,
    BCRYPT_HASH_LENGTH,
    BCRYPT_HASH_OID_LIST,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_IS_IFX_TPM_WEAK_KEY,
    BCRYPT_IS_KEYED_HASH,
    BCRYPT_IS_REUSABLE_HASH,
    BCRYPT_KEY_LENGTH,
    BCRYPT_KEY_LENGTHS,
    BCRYPT_KEY_LENGTHS_STRUCT,
    BCRYPT_KEY_OBJECT_LENGTH,
    BCRYPT_KEY_STRENGTH,
    BCRYPT_MESSAGE_BLOCK_LENGTH,
    BCRYPT_OBJECT_LENGTH,
    BCRYPT_PADDING_SCHEMES,
    BCRYPT_PRIMITIVE_TYPE,
    BCRYPT_PROVIDER_HANDLE,
    BCRYPT_PUBLIC_KEY_LENGTH,
    BCRYPT_RSAPUBLIC_BLOB,
    BCRYPT_SIGNATURE_LENGTH,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptCloseAlgorithmProvider,
    BCryptCreateHash,
    BCryptDestroyHash,
    BCryptDestroyKey,
    BCryptDestroySecret,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptImportKeyPair,
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
CLASSES = {"RSA": 3, "RSA_SIGN": 5, "AES": 1, "RNG": 6} | dict.fromkeys((*HASHES, *MACS), 2)
CLASSES |= {name: 5 if name.startswith("ECDSA") else 4 for name in (*CURVES, *GENERIC)}
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


MODES = (
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_GCM,
)


@pytest.mark.row("3.2 ChainingMode")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", [str, utf16, lambda mode: mode + "\0", lambda mode: utf16(mode) + utf16("junk")])
def test_chaining_mode_is_read_up_to_its_nul_whatever_the_size(aes, aes_key, mode, form):
    for handle in (aes, aes_key):
        BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, form(mode))
        assert BCryptGetProperty(handle, BCRYPT_CHAINING_MODE) == mode


@pytest.mark.row("3.2 ChainingMode")
@pytest.mark.parametrize(
    "mode", ["ChainingModeN/A", "ChainingModeXTS", "chainingmodecbc", "CBC", "", "ChainingModeCB", b"CBC", b"\xff"]
)
def test_an_unknown_chaining_mode_is_not_supported_and_changes_nothing(aes, aes_key, refuses, mode):
    for handle in (aes, aes_key):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, mode)
        assert BCryptGetProperty(handle, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC


@pytest.mark.row("3.2 ChainingMode")
def test_only_ciphers_have_a_chaining_mode(algorithm, pair, refuses):
    only(algorithm, refuses, BCRYPT_CHAINING_MODE, {"AES": BCRYPT_CHAIN_MODE_CBC})
    mac_key = algorithm("AES-CMAC").generate_key(128)
    with BCryptCreateHash(algorithm("SHA256")) as hashing:
        for handle in (*(algorithm(name) for name in ALL if name != "AES"), mac_key, hashing, pair("RSA")):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CBC)
    BCryptDestroyKey(mac_key)


@pytest.mark.row("3.2 BlockLength")
def test_block_length(algorithm, aes_key, pair, refuses):
    only(algorithm, refuses, BCRYPT_BLOCK_LENGTH, {"AES": 16, "AES-CMAC": 16, "AES-GMAC": 16})
    assert BCryptGetProperty(aes_key, BCRYPT_BLOCK_LENGTH) == 16
    assert BCryptGetProperty(pair("RSA"), BCRYPT_BLOCK_LENGTH) == 128


@pytest.mark.row("3.2 BlockSizeList")
def test_block_size_list(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_BLOCK_SIZE_LIST, {"AES": (16,)})


@pytest.mark.row("3.2 KeyLength")
def test_key_length(algorithm, aes, aes_key, pair, refuses):
    for size in (16, 24, 32):
        with BCryptGenerateSymmetricKey(aes, None, SECRET[:size]) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 8 * size
    for name, (bits, _) in FIXED_CURVES.items():
        assert BCryptGetProperty(pair(name), BCRYPT_KEY_LENGTH) == bits
    only(algorithm, refuses, BCRYPT_KEY_LENGTH, {name: bits for name, (bits, _) in FIXED_CURVES.items()})
    for handle in (aes, algorithm("RSA"), aes_key):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_KEY_LENGTH, 256)


@pytest.mark.row("3.2 KeyLength")
def test_key_length_after_finalize_is_fixed(pair, refuses):
    key = pair("RSA")
    for value in (2048, 512, struct.pack("<I", 2048)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSetProperty(key, BCRYPT_KEY_LENGTH, value)
    for value in (1024, struct.pack("<I", 1024)):
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, value)
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 1024


@pytest.mark.row("3.2 KeyLengths")
def test_key_lengths(algorithm, refuses):
    lengths = dict.fromkeys(("AES", *MACS), (128, 256, 64)) | dict.fromkeys(RSA, (512, 16384, 64))
    lengths |= {name: (bits, bits, 0) for name, (bits, _) in FIXED_CURVES.items()}
    only(algorithm, refuses, BCRYPT_KEY_LENGTHS, lengths)
    found = BCryptGetProperty(algorithm("AES"), BCRYPT_KEY_LENGTHS)
    assert (found.dwMinLength, found.dwMaxLength, found.dwIncrement) == (128, 256, 64)
    assert isinstance(found, BCRYPT_KEY_LENGTHS_STRUCT)


@pytest.mark.row("3.2 KeyStrength")
def test_key_strength(aes, pair):
    with BCryptGenerateSymmetricKey(aes, None, SECRET[:16]) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_STRENGTH) == 128
    assert BCryptGetProperty(pair("ECDSA_P256"), BCRYPT_KEY_STRENGTH) == 256
    assert BCryptGetProperty(pair("RSA", 2048), BCRYPT_KEY_STRENGTH) == 2048


@pytest.mark.row("3.2 IV")
def test_the_iv_is_set_and_never_read(aes, aes_key, refuses):
    BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, IV)
    assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, IV, BLOCKS)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptSetProperty(aes, BCRYPT_INITIALIZATION_VECTOR, IV)


@pytest.mark.row("3.2 IV")
@pytest.mark.parametrize("iv", [b"", IV[:15], IV + b"\0", IV * 2, IV[:8], "x" * 16, 16])
def test_an_iv_of_another_length_changes_nothing(aes_key, refuses, iv):
    BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, bytearray(IV))
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, iv)
    assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("3.2 IV")
def test_an_asymmetric_key_has_no_iv_and_a_hash_but_gmac_neither(algorithm, pair, refuses):
    for key in (pair("RSA"), pair("ECDSA_P256"), pair("ECDH_P256", finalize=False)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSetProperty(key, BCRYPT_INITIALIZATION_VECTOR, IV)
    with (
        BCryptCreateHash(algorithm("SHA256")) as hashing,
        BCryptCreateHash(algorithm("AES-CMAC"), None, SECRET) as cmac,
        algorithm("AES-CMAC").generate_key(128) as mac_key,
    ):
        for handle in (hashing, cmac, mac_key):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_INITIALIZATION_VECTOR, IV)


@pytest.mark.row("3.2 AuthTagLength")
def test_auth_tag_length_is_of_an_algorithm_in_an_authenticated_mode(algorithm, aes_key, refuses):
    for mode, lengths in ((BCRYPT_CHAIN_MODE_GCM, (12, 16, 1)), (BCRYPT_CHAIN_MODE_CCM, (4, 16, 2))):
        handle = algorithm("AES", properties={BCRYPT_CHAINING_MODE: mode})
        found = BCryptGetProperty(handle, BCRYPT_AUTH_TAG_LENGTH)
        assert found == lengths
        assert isinstance(found, BCRYPT_AUTH_TAG_LENGTHS_STRUCT)
        with BCryptGenerateSymmetricKey(handle, None, SECRET) as key, refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(key, BCRYPT_AUTH_TAG_LENGTH)
    for mode in (BCRYPT_CHAIN_MODE_CBC, BCRYPT_CHAIN_MODE_ECB, BCRYPT_CHAIN_MODE_CFB):
        handle = algorithm("AES", properties={BCRYPT_CHAINING_MODE: mode})
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(handle, BCRYPT_AUTH_TAG_LENGTH)
    only(algorithm, refuses, BCRYPT_AUTH_TAG_LENGTH, {})


@pytest.mark.row("3.2 MessageBlockLength")
def test_message_block_length_is_cfbs_feedback(aes, aes_key, algorithm, refuses):
    only(algorithm, refuses, BCRYPT_MESSAGE_BLOCK_LENGTH, {"AES": 1})
    assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 1
    BCryptSetProperty(aes_key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CFB)
    cfb8 = BCryptEncrypt(aes_key, BLOCKS, None, IV)
    for value in (16, struct.pack("<I", 16)):
        BCryptSetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
        assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 16
    assert BCryptEncrypt(aes_key, BLOCKS, None, IV) != cfb8
    for value in (0, 2, 8, 15, 17, 32, b"\x10\0\0", "16"):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
    assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 16
    for value in (1, 16):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(aes, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
    with algorithm("AES-CMAC").generate_key(128) as mac_key:
        for handle in (mac_key, algorithm("RSA"), algorithm("SHA256")):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_MESSAGE_BLOCK_LENGTH, 16)


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


@pytest.mark.row("3.2 PaddingSchemes")
def test_padding_schemes(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_PADDING_SCHEMES, {"RSA": 0x1F, "RSA_SIGN": 0x15})


@pytest.mark.row("3.2 SignatureLength")
def test_signature_length(pair, refuses):
    for name, length in (("RSA", 128), ("RSA_SIGN", 128), ("ECDSA_P256", 64), ("ECDSA_P384", 96), ("ECDSA_P521", 132)):
        assert BCryptGetProperty(pair(name), BCRYPT_SIGNATURE_LENGTH) == length
    agreeing = pair("ECDH_P256")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(agreeing, BCRYPT_SIGNATURE_LENGTH)


@pytest.mark.row("3.2 PublicKeyLength")
def test_public_key_length(pair, algorithm, rsa_numbers):
    assert BCryptGetProperty(pair("ECDH_P521"), BCRYPT_PUBLIC_KEY_LENGTH) == 521
    blob = rsa_public_blob(rsa_numbers.public_numbers)
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, blob) as key:
        assert BCryptGetProperty(key, BCRYPT_PUBLIC_KEY_LENGTH) == 1024
        assert BCryptGetProperty(key, BCRYPT_SIGNATURE_LENGTH) == 128


@pytest.mark.row("3.2 ECCCurveName")
@pytest.mark.parametrize("name", GENERIC)
@pytest.mark.parametrize("form", [str, utf16])
def test_the_curve_name_of_a_generic_algorithm(algorithm, refuses, name, form):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME)
    for curve in ("nistP256", "secP256r1", "nistP521"):
        BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, form(curve))
        assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == curve
    for unknown in ("", "P-256", "nistp256", "NISTP256", "Curve25519", "prime256v1"):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, form(unknown))
    assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == "nistP521"


@pytest.mark.row("3.2 ECCCurveName")
@pytest.mark.parametrize("name", CURVES)
def test_the_curve_name_of_a_fixed_algorithm_stays(algorithm, pair, refuses, name):
    curve = f"nistP{FIXED_CURVES[name][0]}"
    handle = algorithm(name)
    assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == curve
    assert BCryptGetProperty(pair(name), BCRYPT_ECC_CURVE_NAME) == curve
    empty = pair(name, finalize=False)
    for fixed in (handle, empty):
        for value in (curve, "nistP256", "nistP384"):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(fixed, BCRYPT_ECC_CURVE_NAME, value)


@pytest.mark.row("3.2 ECCCurveName")
def test_other_algorithms_have_no_curve(algorithm, pair, refuses):
    for handle in (*(algorithm(name) for name in (*RSA, "AES", "SHA256", "RNG")), pair("RSA", finalize=False)):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, "nistP256")


@pytest.mark.row("3.2 ECCCurveNameList")
def test_the_list_of_curves_holds_what_can_be_set(algorithm, refuses):
    for name in (*GENERIC, *CURVES):
        assert {"nistP256", "nistP384", "nistP521"} <= set(
            BCryptGetProperty(algorithm(name), BCRYPT_ECC_CURVE_NAME_LIST)
        )
    handle = algorithm("ECDSA")
    for curve in BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME_LIST):
        BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, curve)
    for name in ("RSA", "AES", "SHA256", "RNG"):
        other = algorithm(name)
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(other, BCRYPT_ECC_CURVE_NAME_LIST)


@pytest.mark.row("3.2 PrimitiveType")
def test_primitive_type(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_PRIMITIVE_TYPE, CLASSES)


@pytest.mark.row("3.2 IsIfxTpmWeakKey")
def test_the_infineon_weakness(pair, algorithm, refuses):
    assert BCryptGetProperty(pair("RSA"), BCRYPT_IS_IFX_TPM_WEAK_KEY) == 0
    curve = pair("ECDSA_P256")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(curve, BCRYPT_IS_IFX_TPM_WEAK_KEY)
    primorial = 1
    for prime in (n for n in range(2, 168) if all(n % p for p in range(2, n))):
        primorial *= prime
    modulus = pow(65537, 5, primorial)
    while modulus.bit_length() < 1024 or modulus % 2 == 0:
        modulus += primorial << 800
    numbers = type("Numbers", (), {"e": 65537, "n": modulus})
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(numbers)) as weak:
        assert BCryptGetProperty(weak, BCRYPT_IS_IFX_TPM_WEAK_KEY) == 1


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

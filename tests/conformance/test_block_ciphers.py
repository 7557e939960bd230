"""Reference 2.1, 3.2, 5.6 and 5.13 for the block ciphers of 8 bytes: DES, 3DES, 3DES_112 and RC2."""

from __future__ import annotations

import itertools
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import cipher_key, fails, is_tpm, need, needs_generation

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import AlgorithmHandle
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Usage

SECRETS = {
    "DES": bytes(range(1, 9)),
    "3DES": bytes(range(24)),
    "3DES_112": bytes(range(16)),
    "RC2": bytes(range(40, 56)),
}
NAMES = tuple(SECRETS)
DES_FAMILY = NAMES[:3]
MODES = ("ECB", "CBC", "CFB8", "CFB64")
CHAINED = MODES[1:]
IV = bytes(range(0xA0, 0xA8))
DATA = bytes(octet * 7 % 256 for octet in range(64))


def iv_of(mode: str) -> bytearray | None:
    return None if mode == "ECB" else bytearray(IV)


def expected(name: str, mode: str, data: bytes, secret: bytes | None = None, iv: bytes = IV) -> bytes:
    return oracle.block_cipher(name, mode, secret or SECRETS[name], iv, data)


def handle_of(token: Provider, name: str) -> AlgorithmHandle:
    need(token, name, "CBC")
    return bcrypt.BCryptOpenAlgorithmProvider(name, token)


@pytest.mark.row("ENC-04", "ENC-07", "ENC-09", "ENC-10", "DEC-07", "GSK-14")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_as_another_implementation(token: Provider, name: str, mode: str) -> None:
    key = cipher_key(token, name, SECRETS[name], mode)
    for size in (8, 16, 64) if mode in ("ECB", "CBC") else (1, 7, 8, 9, 17, 64):
        iv = iv_of(mode)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, iv)
        assert ciphertext == expected(name, mode, DATA[:size])
        assert iv in (None, (IV + ciphertext)[-8:])
        iv = iv_of(mode)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv) == DATA[:size]
        assert iv in (None, (IV + ciphertext)[-8:])


# FIPS 81, tables B1, C1, D2 and D5; SP 800-67, appendix B.1; SP 800-17, table A.1.
NOW_IS_THE_TIME = b"Now is the time for all "
FIPS_81 = {
    "ECB": "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53",
    "CBC": "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
    "CFB8": "f31fda07011462ee187f43d80a7cd9b5b0d290da6e5b9a87",
    "CFB64": "f3096249c7f46e51a69e839b1a92f78403467133898ea622",
}


@pytest.mark.row("ENC-10", "GSK-14", "GSK-26")
@pytest.mark.parametrize("name", DES_FAMILY)
@pytest.mark.parametrize("mode", MODES)
def test_published_vectors_of_des(token: Provider, name: str, mode: str) -> None:
    """Keys of equal parts make every variant single DES."""
    secret = bytes.fromhex("0123456789abcdef") * (len(SECRETS[name]) // 8)
    iv = None if mode == "ECB" else bytes.fromhex("1234567890abcdef")
    assert bcrypt.BCryptEncrypt(cipher_key(token, name, secret, mode), NOW_IS_THE_TIME, None, iv).hex() == FIPS_81[mode]


def test_the_published_vector_of_triple_des(token: Provider) -> None:
    secret = bytes.fromhex("0123456789abcdef23456789abcdef01456789abcdef0123")
    key = cipher_key(token, "3DES", secret, "ECB")
    ciphertext = "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900"
    assert bcrypt.BCryptEncrypt(key, b"The qufck brown fox jump").hex() == ciphertext


@pytest.mark.row("GSK-26")
@pytest.mark.parametrize("name", DES_FAMILY)
@pytest.mark.parametrize("part", ["0101010101010101", "fefefefefefefefe", "e0e0e0e0f1f1f1f1", "0000000000000000"])
def test_weak_keys_are_taken(token: Provider, name: str, part: str) -> None:
    secret = bytes.fromhex(part) * (len(SECRETS[name]) // 8)
    key = cipher_key(token, name, secret, "ECB")
    assert bcrypt.BCryptEncrypt(key, DATA) == expected(name, "ECB", DATA, secret)


@pytest.mark.row("GSK-26")
@pytest.mark.parametrize("name", DES_FAMILY)
def test_parity_bits_are_ignored(token: Provider, name: str) -> None:
    secret = SECRETS[name]
    flipped = bytes(octet ^ 1 for octet in secret)
    ciphertexts = {bcrypt.BCryptEncrypt(cipher_key(token, name, value, "ECB"), DATA) for value in (secret, flipped)}
    assert ciphertexts == {expected(name, "ECB", DATA)}


@pytest.mark.row("GSK-15", "GSK-16", "GSK-18")
@pytest.mark.parametrize(("name", "bits"), [("DES", 64), ("3DES", 192), ("3DES_112", 128)])
def test_lengths_of_des_secrets(token: Provider, name: str, bits: int) -> None:
    handle, size = handle_of(token, name), bits // 8
    for length in range(size):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
    for length in (size, size + 1, size + 8, 64):
        key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == bits
        bcrypt.BCryptSetProperty(key, "ChainingMode", "ChainingModeECB")
        assert bcrypt.BCryptEncrypt(key, DATA) == expected(name, "ECB", DATA, bytes(range(size)))


@pytest.mark.row("GSK-15", "GSK-27")
def test_lengths_of_rc2_secrets(token: Provider) -> None:
    handle = handle_of(token, "RC2")
    for length in (0, 1):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(length))
    for length in (*range(2, 17), 17, 40):
        key, used = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length))), min(length, 16)
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == 8 * used
        assert bcrypt.BCryptGetProperty(key, "EffectiveKeyLength") == 8 * used
        assert bcrypt.BCryptEncrypt(key, DATA, None, IV) == oracle.rc2("CBC", bytes(range(used)), IV, DATA)


@pytest.mark.row("GSK-17")
@pytest.mark.parametrize("name", NAMES)
def test_no_secret(token: Provider, name: str) -> None:
    handle = handle_of(token, name)
    for secret in (None, b""):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)


@pytest.mark.row("ENC-04", "DEC-03")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["ECB", "CBC"])
def test_partial_blocks(token: Provider, name: str, mode: str) -> None:
    key, iv = cipher_key(token, name, SECRETS[name], mode), iv_of(mode)
    for size, call in itertools.product((1, 7, 9, 12), (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt)):
        with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            call(key, DATA[:size], None, iv)
    assert iv in (None, IV)


@pytest.mark.row("ENC-05", "DEC-04", "DEC-06")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_block_padding_is_of_8_bytes(token: Provider, name: str, mode: str) -> None:
    key, flag = cipher_key(token, name, SECRETS[name], mode), bcrypt.BCRYPT_BLOCK_PADDING
    for size in range(18):
        fill = 8 - size % 8
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, iv_of(mode), flag)
        assert ciphertext == expected(name, mode, DATA[:size] + bytes([fill]) * fill)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode), flag) == DATA[:size]
    with fails(NTSTATUS.STATUS_DATA_ERROR):
        bcrypt.BCryptDecrypt(key, bcrypt.BCryptEncrypt(key, bytes(8), None, iv_of(mode)), None, iv_of(mode), flag)
    with fails(NTSTATUS.STATUS_DATA_ERROR):
        bcrypt.BCryptDecrypt(key, b"", None, iv_of(mode), flag)


@pytest.mark.row("ENC-06")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_empty_input(token: Provider, name: str, mode: str) -> None:
    key, iv = cipher_key(token, name, SECRETS[name], mode), iv_of(mode)
    assert bcrypt.BCryptEncrypt(key, None, None, iv) == bcrypt.BCryptDecrypt(key, b"", None, iv) == b""
    assert iv in (None, IV)


@pytest.mark.row("ENC-07", "3.2 IV")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 1, 7, 9, 16])
def test_iv_of_wrong_length(token: Provider, name: str, size: int) -> None:
    key = cipher_key(token, name, SECRETS[name], "CBC")
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, bytes(size))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(key, "IV", bytes(size))


@pytest.mark.row("ENC-09", "ENC-12")
@pytest.mark.parametrize("name", NAMES)
def test_what_a_mode_does_not_take(token: Provider, name: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "ECB")
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, IV)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)))


@pytest.mark.row("GSK-23", "ENC-08", "DEC-05", "3.2 IV")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", CHAINED)
def test_the_running_iv(token: Provider, name: str, mode: str) -> None:
    key, other = (cipher_key(token, name, SECRETS[name], mode) for _ in range(2))
    whole = expected(name, mode, DATA, iv=bytes(8))
    assert bcrypt.BCryptEncrypt(key, DATA[:24]) + bcrypt.BCryptEncrypt(key, DATA[24:]) == whole
    assert bcrypt.BCryptDecrypt(other, whole[:16]) + bcrypt.BCryptDecrypt(other, whole[16:]) == DATA
    bcrypt.BCryptSetProperty(key, "IV", IV)
    assert bcrypt.BCryptEncrypt(key, DATA) == expected(name, mode, DATA)


@pytest.mark.row("DUP-01", "DUP-11", "DUP-12", "DUP-13", "DUP-14")
@pytest.mark.parametrize("name", NAMES)
def test_a_duplicate_goes_its_own_way(token: Provider, name: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "CFB64")
    first = bcrypt.BCryptEncrypt(key, DATA[:8])
    duplicate = bcrypt.BCryptDuplicateKey(key)
    assert bcrypt.BCryptGetProperty(duplicate, "MessageBlockLength") == 8
    rest = {bcrypt.BCryptEncrypt(one, DATA[8:]) for one in (key, duplicate)}
    assert rest == {expected(name, "CFB64", DATA, iv=bytes(8))[8:]}
    assert first == expected(name, "CFB64", DATA[:8], iv=bytes(8))
    bcrypt.BCryptSetProperty(duplicate, "ChainingMode", "ChainingModeECB")
    bcrypt.BCryptDestroyKey(key)
    assert bcrypt.BCryptEncrypt(duplicate, DATA) == expected(name, "ECB", DATA)


@pytest.mark.row("GSK-22", "3.2 ChainingMode")
@pytest.mark.parametrize("name", NAMES)
def test_the_mode_of_the_algorithm_handle(token: Provider, name: str) -> None:
    handle = handle_of(token, name)
    assert bcrypt.BCryptGetProperty(handle, "ChainingMode") == "ChainingModeCBC"
    bcrypt.BCryptSetProperty(handle, "ChainingMode", "ChainingModeECB")
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRETS[name])
    bcrypt.BCryptSetProperty(handle, "ChainingMode", "ChainingModeCBC")
    assert bcrypt.BCryptGetProperty(key, "ChainingMode") == "ChainingModeECB"
    assert bcrypt.BCryptEncrypt(key, DATA) == expected(name, "ECB", DATA)


@pytest.mark.row("3.2 ChainingMode")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["ChainingModeGCM", "ChainingModeCCM", "ChainingModeN/A", "ChainingModeOFB", ""])
def test_modes_that_they_do_not_have(token: Provider, name: str, mode: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "CBC")
    for handle in (key, bcrypt.BCryptGetProperty(key, "ProviderHandle")):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(handle, "ChainingMode", mode)
    assert bcrypt.BCryptEncrypt(key, DATA, None, IV) == expected(name, "CBC", DATA)


PSEUDO_HANDLES = {
    ("DES", "CBC"): bcrypt.BCRYPT_DES_CBC_ALG_HANDLE,
    ("DES", "ECB"): bcrypt.BCRYPT_DES_ECB_ALG_HANDLE,
    ("DES", "CFB8"): bcrypt.BCRYPT_DES_CFB_ALG_HANDLE,
    ("3DES", "CBC"): bcrypt.BCRYPT_3DES_CBC_ALG_HANDLE,
    ("3DES", "ECB"): bcrypt.BCRYPT_3DES_ECB_ALG_HANDLE,
    ("3DES", "CFB8"): bcrypt.BCRYPT_3DES_CFB_ALG_HANDLE,
    ("3DES_112", "CBC"): bcrypt.BCRYPT_3DES_112_CBC_ALG_HANDLE,
    ("3DES_112", "ECB"): bcrypt.BCRYPT_3DES_112_ECB_ALG_HANDLE,
    ("3DES_112", "CFB8"): bcrypt.BCRYPT_3DES_112_CFB_ALG_HANDLE,
    ("RC2", "CBC"): bcrypt.BCRYPT_RC2_CBC_ALG_HANDLE,
    ("RC2", "ECB"): bcrypt.BCRYPT_RC2_ECB_ALG_HANDLE,
    ("RC2", "CFB8"): bcrypt.BCRYPT_RC2_CFB_ALG_HANDLE,
}


@pytest.mark.row("GSK-03", "2.5")
@pytest.mark.parametrize(("name", "mode"), PSEUDO_HANDLES)
def test_pseudo_handles(as_default: Provider, name: str, mode: str) -> None:
    need(as_default, name, mode)
    key = bcrypt.BCryptGenerateSymmetricKey(PSEUDO_HANDLES[name, mode], None, SECRETS[name])
    assert bcrypt.BCryptEncrypt(key, DATA, None, iv_of(mode)) == expected(name, mode, DATA)
    with fails(NTSTATUS.STATUS_ACCESS_DENIED):
        bcrypt.BCryptSetProperty(PSEUDO_HANDLES[name, mode], "EffectiveKeyLength", 40)


PROPERTIES = {
    "DES": (64, (64, 64, 0)),
    "3DES": (192, (192, 192, 0)),
    "3DES_112": (128, (128, 128, 0)),
    "RC2": (128, (16, 128, 8)),
}


@pytest.mark.row(
    "3.2 BlockLength", "3.2 BlockSizeList", "3.2 KeyLength", "3.2 KeyLengths", "3.2 KeyStrength", "3.2 ObjectLength"
)
@pytest.mark.parametrize("name", NAMES)
def test_properties(token: Provider, name: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "CBC")
    handle = bcrypt.BCryptGetProperty(key, "ProviderHandle")
    bits, lengths = PROPERTIES[name]
    assert bcrypt.BCryptGetProperty(handle, "BlockLength") == bcrypt.BCryptGetProperty(key, "BlockLength") == 8
    assert bcrypt.BCryptGetProperty(handle, "BlockSizeList") == (8,)
    assert bcrypt.BCryptGetProperty(handle, "KeyLengths") == lengths
    assert bcrypt.BCryptGetProperty(key, "KeyLength") == bcrypt.BCryptGetProperty(key, "KeyStrength") == bits
    assert bcrypt.BCryptGetProperty(handle, "ObjectLength") == bcrypt.BCryptGetProperty(key, "ObjectLength") == 522
    assert bcrypt.BCryptGetProperty(key, "AlgorithmName") == name
    for absent in ("AuthTagLength", "IV"):
        for one in (handle, key):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(one, absent)


@pytest.mark.row("GSK-10", "3.2 ObjectLength")
@pytest.mark.parametrize("name", NAMES)
def test_the_key_object(token: Provider, name: str) -> None:
    handle = handle_of(token, name)
    with fails(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        bcrypt.BCryptGenerateSymmetricKey(handle, bytearray(521), SECRETS[name])
    memory = bytearray(522)
    bcrypt.BCryptDestroyKey(bcrypt.BCryptGenerateSymmetricKey(handle, memory, SECRETS[name]))
    assert memory == bytes(522)


@pytest.mark.row("3.2 MessageBlockLength")
@pytest.mark.parametrize("name", NAMES)
def test_message_block_length(token: Provider, name: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "CFB8")
    handle = bcrypt.BCryptGetProperty(key, "ProviderHandle")
    assert bcrypt.BCryptGetProperty(handle, "MessageBlockLength") == 1
    assert bcrypt.BCryptGetProperty(key, "MessageBlockLength") == 1
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(handle, "MessageBlockLength", 8)
    for length in (0, 2, 7, 9, 16):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(key, "MessageBlockLength", length)
    for length, mode in ((8, "CFB64"), (1, "CFB8")):
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", struct.pack("<I", length))
        assert bcrypt.BCryptGetProperty(key, "MessageBlockLength") == length
        assert bcrypt.BCryptEncrypt(key, DATA, None, IV) == expected(name, mode, DATA)


@pytest.mark.row("3.2 EffectiveKeyLength")
@pytest.mark.parametrize("bits", [8, 16, 40, 56, 64, 120, 128, 1024])
def test_effective_key_length_of_a_key(token: Provider, bits: int) -> None:
    secret = SECRETS["RC2"]
    for mode in MODES:
        key = cipher_key(token, "RC2", secret, mode)
        bcrypt.BCryptSetProperty(key, "EffectiveKeyLength", bits)
        assert bcrypt.BCryptGetProperty(key, "EffectiveKeyLength") == bits
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == 128
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, iv_of(mode))
        assert ciphertext == oracle.rc2(mode, secret, IV, DATA, bits)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode)) == DATA


@pytest.mark.row("3.2 EffectiveKeyLength", "GSK-22", "DUP-11")
def test_effective_key_length_is_inherited_and_copied(token: Provider) -> None:
    handle, secret = handle_of(token, "RC2"), SECRETS["RC2"]
    assert bcrypt.BCryptGetProperty(handle, "EffectiveKeyLength") == 128
    bcrypt.BCryptSetProperty(handle, "EffectiveKeyLength", struct.pack("<I", 40))
    assert bcrypt.BCryptGetProperty(handle, "EffectiveKeyLength") == 40
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)
    bcrypt.BCryptSetProperty(handle, "EffectiveKeyLength", 64)
    duplicate = bcrypt.BCryptDuplicateKey(key)
    bcrypt.BCryptSetProperty(key, "EffectiveKeyLength", 56)
    for one, bits in ((key, 56), (duplicate, 40)):
        assert bcrypt.BCryptGetProperty(one, "EffectiveKeyLength") == bits
        assert bcrypt.BCryptEncrypt(one, DATA, None, IV) == oracle.rc2("CBC", secret, IV, DATA, bits)


@pytest.mark.row("3.2 EffectiveKeyLength")
@pytest.mark.parametrize("bits", [0, 1025, 1 << 31])
def test_effective_key_length_out_of_range(token: Provider, bits: int) -> None:
    key = cipher_key(token, "RC2", SECRETS["RC2"], "CBC")
    for one in (key, bcrypt.BCryptGetProperty(key, "ProviderHandle")):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(one, "EffectiveKeyLength", bits)
    assert bcrypt.BCryptGetProperty(key, "EffectiveKeyLength") == 128


@pytest.mark.row("3.2 EffectiveKeyLength")
def test_effective_key_length_of_a_part_of_a_byte(token: Provider) -> None:
    """NSS rounds up to whole bytes, which gives other ciphertexts wherever the bits that it keeps are not 0."""
    key = cipher_key(token, "RC2", bytes(8), "ECB")
    bcrypt.BCryptSetProperty(key, "EffectiveKeyLength", 63)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptEncrypt(key, bytes(8))


@pytest.mark.row("3.2 EffectiveKeyLength")
@pytest.mark.parametrize(
    ("secret", "bits", "plaintext", "ciphertext"),
    [
        ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
        ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
        ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
        ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
        ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ],
)
def test_published_vectors_of_rc2(token: Provider, secret: str, bits: int, plaintext: str, ciphertext: str) -> None:
    for mode in ("ECB", "CBC"):
        key = cipher_key(token, "RC2", bytes.fromhex(secret), mode)
        bcrypt.BCryptSetProperty(key, "EffectiveKeyLength", bits)
        assert bcrypt.BCryptEncrypt(key, bytes.fromhex(plaintext)).hex() == ciphertext


@pytest.mark.row("3.2 EffectiveKeyLength")
@pytest.mark.parametrize(
    "name", ["AES", "AES-CMAC", "SHA256", *DES_FAMILY, "RC4", "XTS-AES", "CHACHA20_POLY1305", "RSA"]
)
def test_effective_key_length_of_other_algorithms(token: Provider, name: str) -> None:
    if name != "SHA256":
        need(token, name)
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGetProperty(handle, "EffectiveKeyLength")
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(handle, "EffectiveKeyLength", 64)


@pytest.mark.row("3.2 EffectiveKeyLength")
def test_effective_key_length_of_other_keys(token: Provider) -> None:
    key = cipher_key(token, "3DES", SECRETS["3DES"], "ECB")
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGetProperty(key, "EffectiveKeyLength")
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(key, "EffectiveKeyLength", 64)


@pytest.mark.row("GSK-02")
@pytest.mark.parametrize(
    ("name", "bits"), [("DES", 64), ("3DES", 192), ("3DES_112", 128), ("RC2", 16), ("RC2", 40), ("RC2", 128)]
)
def test_keys_that_the_token_makes(token: Provider, name: str, bits: int) -> None:
    handle = handle_of(token, name)
    needs_generation(token, name, bits)
    one, other = handle.generate_key(bits), handle.generate_key(bits)
    assert one.bits == bits
    ciphertext = bcrypt.BCryptEncrypt(one, DATA, None, IV)
    assert bcrypt.BCryptDecrypt(one, ciphertext, None, IV) == DATA
    assert bcrypt.BCryptEncrypt(other, DATA, None, IV) != ciphertext or bits == 16
    for wrong in (bits + 4, 0, 256, 24):
        if name == "RC2" and wrong == 24:
            continue
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            handle.generate_key(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_usage_of_a_generated_key(token: Provider, name: str) -> None:
    handle = handle_of(token, name)
    bits = PROPERTIES[name][0]
    needs_generation(token, name, bits)
    key = handle.generate_key(bits, usage=Usage.ENCRYPT)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, IV)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptDecrypt(key, ciphertext, None, IV)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        handle.generate_key(bits, usage=Usage.ENCRYPT | Usage.WRAP)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_weak(token: Provider, name: str) -> None:
    need(token, name, "CBC")
    capabilities = token.capabilities()
    assert name in capabilities.weak
    needs_generation(token, name, PROPERTIES[name][0])
    assert PROPERTIES[name][0] in capabilities.key_bits[name]
    assert {capabilities.operations[name, mode].value for mode in ("ECB", "CBC")} == {"native"}


@pytest.mark.row("OAP-04")
def test_desx_is_nowhere(token: Provider) -> None:
    with fails(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider("DESX", token)
    if not is_tpm(token):
        assert "whitening keys" in token.capabilities().reasons["DESX", "CBC"]


@pytest.mark.row("OAP-04", "GSK-32")
@pytest.mark.parametrize("name", NAMES)
def test_an_algorithm_that_the_token_lacks(as_default: Provider, name: str) -> None:
    if as_default.offers(name).name != "REFUSED":
        return
    with fails(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(name, as_default)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGenerateSymmetricKey(PSEUDO_HANDLES[name, "CBC"], None, SECRETS[name])


@pytest.mark.parametrize("name", NAMES)
def test_threads_on_one_key(token: Provider, name: str) -> None:
    key = cipher_key(token, name, SECRETS[name], "CBC")

    def work(number: int) -> bool:
        iv = number.to_bytes(8, "big")
        return bcrypt.BCryptEncrypt(key, DATA, None, iv) == expected(name, "CBC", DATA, iv=iv)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(200)))

"""Reference 5.14, rows RSA-*: encryption on the host, decryption in tokens, each against another implementation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance import oracle
from conformance.checks import algorithm, fails, generated, imported, public_of
from conformance.rsa_pairs import every, modulus
from cryptography.hazmat.primitives.asymmetric import padding

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.bcrypt import BCRYPT_OAEP_PADDING_INFO as Oaep
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

NONE, PKCS1, OAEP = bcrypt.BCRYPT_PAD_NONE, bcrypt.BCRYPT_PAD_PKCS1, bcrypt.BCRYPT_PAD_OAEP
LABELS = (b"", b"label", bytes(range(256)))
# What `cryptography` knows for OAEP; the other hashes have oracle.oaep_block and oaep_message alone.
OAEP_HASHES = {name: oracle.CRYPTOGRAPHY[name] for name in ("SHA1", "SHA256", "SHA384", "SHA512")}


def text(size: int) -> bytes:
    return bytes(octet * 3 % 256 for octet in range(size))


@pytest.fixture(scope="module")
def pair(provider: Provider) -> Iterator[KeyPair]:
    with imported(provider, "RSA", oracle.rsa_blob(2048)) as key:
        yield key


@pytest.mark.row("RSA-01", "RSA-02", "RSA-06")
@pytest.mark.parametrize("flags", [NONE, 0])
def test_raw(token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair], flags: int) -> None:
    """Flags 0 are PAD_NONE [choice]. Results keep their leading zeros, up to the number 0 itself."""
    for bits, key in every(token_pairs, callers_pairs):
        size, number = (bits + 7) // 8, modulus(key)
        for value in (1, 2, 0x0123456789ABCDEF, number // 3, number - 2, number - 1):
            block = value.to_bytes(size, "big")
            ciphertext = bcrypt.BCryptEncrypt(key, block, None, None, flags)
            assert ciphertext == oracle.raw_public(block, number)
            assert ciphertext == bcrypt.BCryptEncrypt(public_of(key), block, None, None, flags)
            assert bcrypt.BCryptDecrypt(key, ciphertext, None, None, flags) == block


@pytest.mark.row("RSA-02")
def test_raw_decryption_as_another_implementation(callers_pairs: dict[int, KeyPair]) -> None:
    for bits, key in callers_pairs.items():
        for seed in range(3):
            block = text((bits + 7) // 8 + seed)[seed:]
            block = b"\0" + block[1:]
            assert bcrypt.BCryptDecrypt(key, block, None, None, NONE) == oracle.raw_private(block, bits)


@pytest.mark.row("RSA-02")
@pytest.mark.parametrize("flags", [NONE, 0])
def test_raw_input_is_a_number_below_the_modulus(callers_pairs: dict[int, KeyPair], flags: int) -> None:
    for bits, key in callers_pairs.items():
        size, number = (bits + 7) // 8, modulus(key)
        for wrong in (
            b"",
            bytes(size - 1),
            bytes(size + 1),
            bytes(2 * size),
            number.to_bytes(size, "big"),
            b"\xff" * size,
        ):
            for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    call(key, wrong, None, None, flags)


@pytest.mark.row("RSA-03", "RSA-05", "RSA-06")
def test_pkcs1(token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair]) -> None:
    for bits, key in every(token_pairs, callers_pairs):
        size = (bits + 7) // 8
        for length in sorted({0, 1, 16, size - 12, size - 11}):
            ciphertext = bcrypt.BCryptEncrypt(key, text(length), None, None, PKCS1)
            assert len(ciphertext) == size
            assert bcrypt.BCryptDecrypt(key, ciphertext, None, None, PKCS1) == text(length)
            block = oracle.raw_public(oracle.pkcs1_encryption_block(size, text(length)), modulus(key))
            assert bcrypt.BCryptDecrypt(key, block, None, None, PKCS1) == text(length)


@pytest.mark.row("RSA-03")
def test_pkcs1_as_another_implementation(callers_pairs: dict[int, KeyPair]) -> None:
    for bits in (1024, 1025, 2048, 3072):
        key, private = callers_pairs[bits], oracle.rsa_private_key(bits)
        ciphertext = bcrypt.BCryptEncrypt(public_of(key), text(32), None, None, PKCS1)
        assert private.decrypt(ciphertext, padding.PKCS1v15()) == text(32)
        ciphertext = private.public_key().encrypt(text(33), padding.PKCS1v15())
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, None, PKCS1) == text(33)


@pytest.mark.row("RSA-03")
def test_pkcs1_padding_is_random_and_full(pair: KeyPair) -> None:
    ciphertexts = {bcrypt.BCryptEncrypt(pair, text(20), None, None, PKCS1) for _ in range(20)}
    assert len(ciphertexts) == 20
    for ciphertext in ciphertexts:
        block = oracle.raw_private(ciphertext, 2048)
        assert (block[:2], block[-21:]) == (b"\x00\x02", b"\0" + text(20))
        assert 0 not in block[2:-21]


@pytest.mark.row("RSA-03")
def test_pkcs1_input_that_is_too_long(callers_pairs: dict[int, KeyPair]) -> None:
    for bits, key in callers_pairs.items():
        size = (bits + 7) // 8
        for length in (size - 10, size, size + 1):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptEncrypt(key, text(length), None, None, PKCS1)


@pytest.mark.row("RSA-04", "RSA-05", "RSA-06")
@pytest.mark.parametrize("label", LABELS, ids=len)
@pytest.mark.parametrize("hash_name", oracle.HASHLIB)
def test_oaep(token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair], hash_name: str, label: bytes) -> None:
    h, info = len(oracle.digest(hash_name, b"")), Oaep(hash_name, label)
    for bits, key in every(token_pairs, callers_pairs):
        size = (bits + 7) // 8
        most = size - 2 * h - 2
        if most < 0:
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptEncrypt(key, b"", info, None, OAEP)
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptDecrypt(key, bytes(size - 1) + b"\x02", info, None, OAEP)
            continue
        for length in sorted({0, most // 2, most}):
            ciphertext = bcrypt.BCryptEncrypt(key, text(length), info, None, OAEP)
            assert len(ciphertext) == size
            assert bcrypt.BCryptDecrypt(key, ciphertext, info, None, OAEP) == text(length)
            ciphertext = oracle.raw_public(oracle.oaep_block(size, hash_name, label, text(length)), modulus(key))
            assert bcrypt.BCryptDecrypt(key, ciphertext, info, None, OAEP) == text(length)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, text(most + 1), info, None, OAEP)


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize("label", LABELS, ids=len)
@pytest.mark.parametrize("hash_name", oracle.HASHLIB)
def test_oaep_encryption_as_another_implementation(pair: KeyPair, hash_name: str, label: bytes) -> None:
    ciphertext = bcrypt.BCryptEncrypt(public_of(pair), text(24), Oaep(hash_name, label), None, OAEP)
    assert oracle.oaep_message(oracle.raw_private(ciphertext, 2048), hash_name, label) == text(24)


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize("label", [None, *LABELS], ids=lambda label: "None" if label is None else str(len(label)))
@pytest.mark.parametrize("hash_name", OAEP_HASHES)
def test_oaep_as_cryptography(callers_pairs: dict[int, KeyPair], hash_name: str, label: bytes | None) -> None:
    hash_function = OAEP_HASHES[hash_name]
    scheme = padding.OAEP(padding.MGF1(hash_function), hash_function, label)
    info = Oaep(hash_name, label)
    for bits in (2048, 3072):
        key, private = callers_pairs[bits], oracle.rsa_private_key(bits)
        ciphertext = bcrypt.BCryptEncrypt(key, text(40), info, None, OAEP)
        assert private.decrypt(ciphertext, scheme) == text(40)
        ciphertext = private.public_key().encrypt(text(41), scheme)
        assert bcrypt.BCryptDecrypt(key, ciphertext, info, None, OAEP) == text(41)


@pytest.mark.row("RSA-04")
def test_oaep_seeds_are_random(pair: KeyPair) -> None:
    assert len({bcrypt.BCryptEncrypt(pair, text(20), Oaep("SHA256"), None, OAEP) for _ in range(10)}) == 10


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize(
    "info", [None, Ellipsis, "SHA256", bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), Oaep(None)], ids=str
)
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_oaep_needs_its_record(pair: KeyPair, call, info: object) -> None:
    ciphertext = bcrypt.BCryptEncrypt(pair, text(20), Oaep("SHA1"), None, OAEP)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        call(pair, ciphertext[:20] if call is bcrypt.BCryptEncrypt else ciphertext, info, None, OAEP)


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize("label", ["text", 5, ["l"]], ids=str)
def test_oaep_labels_are_bytes(pair: KeyPair, label: object) -> None:
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(pair, text(256)[:20] if call is bcrypt.BCryptEncrypt else text(256), Oaep("SHA1", label), None, OAEP)


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize("label", [bytearray(b"label"), memoryview(b"label")], ids=["bytearray", "memoryview"])
def test_oaep_labels_in_any_buffer(pair: KeyPair, label: bytes) -> None:
    ciphertext = bcrypt.BCryptEncrypt(pair, text(20), Oaep("SHA256", label), None, OAEP)
    assert bcrypt.BCryptDecrypt(pair, ciphertext, Oaep("SHA256", b"label"), None, OAEP) == text(20)


@pytest.mark.row("RSA-04")
@pytest.mark.parametrize("name", ["AES", "sha1", "SHA224", ""])
def test_oaep_hashes_that_are_none(pair: KeyPair, name: str) -> None:
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            call(pair, text(20), Oaep(name), None, OAEP)


@pytest.mark.row("RSA-01")
@pytest.mark.parametrize("flags", [0x3, 0x5, 0x6, 0x7, 0x8, 0x10, 0x100, 0x102, 0x80000000, -1])
def test_undefined_flags(pair: KeyPair, flags: int) -> None:
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        for info in (None, Oaep("SHA1")):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                call(pair, text(256), info, None, flags)


@pytest.mark.row("RSA-01", "RSA-09")
def test_keys_that_do_not_encrypt(token: Provider) -> None:
    signing = imported(token, "RSA_SIGN", oracle.rsa_blob(2048))
    agreeing = generated(token, "ECDH_P256", 256)
    for key in (signing, public_of(signing), generated(token, "ECDSA_P256", 256), agreeing, public_of(agreeing)):
        for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
            for info, flags in ((None, 0), (None, NONE), (None, PKCS1), (Oaep("SHA1"), OAEP)):
                with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                    call(key, bytes(256), info, None, flags)


@pytest.mark.row("RSA-05", "RSA-06")
def test_the_result_has_exactly_its_length(pair: KeyPair) -> None:
    """What is left of the size query and of BUFFER_TOO_SMALL: the modulus length and the plaintext's own."""
    assert bcrypt.BCryptGetProperty(pair, "BlockLength") == 256
    for length in (0, 1, 100):
        for info, flags in ((None, PKCS1), (Oaep("SHA256"), OAEP), (Oaep("SHA3-256", b"x"), OAEP)):
            ciphertext = bcrypt.BCryptEncrypt(pair, text(length), info, None, flags)
            assert len(ciphertext) == 256
            assert len(bcrypt.BCryptDecrypt(pair, ciphertext, info, None, flags)) == length


@pytest.mark.row("RSA-06")
def test_ciphertexts_keep_their_leading_zeros(token: Provider) -> None:
    key, number = imported(token, "RSA", oracle.rsa_blob(512)), oracle.rsa_numbers(512)[0]
    found = 0
    for seed in range(2000):
        block = oracle.raw_public((seed + 2).to_bytes(64, "big"), number)
        if block[0] == 0:
            found += 1
            assert bcrypt.BCryptEncrypt(key, (seed + 2).to_bytes(64, "big"), None, None, NONE) == block
            assert bcrypt.BCryptDecrypt(key, block, None, None, NONE) == (seed + 2).to_bytes(64, "big")
        if found == 3:
            return
    raise AssertionError("no ciphertext began with a zero byte")


@pytest.mark.row("RSA-07")
def test_handles_that_do_not_encrypt(provider: Provider) -> None:
    handle = algorithm(provider, "RSA")
    destroyed = imported(provider, "RSA", oracle.rsa_blob(1024))
    bcrypt.BCryptDestroyKey(destroyed)
    for wrong in (None, handle, destroyed, bcrypt.BCryptGenerateKeyPair(handle, 1024)):
        for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
            for flags in (0, PKCS1, 0xFFFF):
                with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                    call(wrong, bytes(128), None, None, flags)


@pytest.mark.row("RSA-07")
@pytest.mark.parametrize(("info", "flags"), [(None, NONE), (None, PKCS1), (Oaep("SHA1"), OAEP)], ids=str)
def test_a_public_key_does_not_decrypt(pair: KeyPair, info: object, flags: int) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(public_of(pair), bytes(255) + b"\x02", info, None, flags)


def malformed_oaep(hash_name: str, label: bytes) -> dict[str, bytes]:
    """Blocks of 256 bytes, each with one thing wrong."""
    good = oracle.oaep_block(256, hash_name, label, text(10))
    h = len(oracle.digest(hash_name, b""))
    # An unmasked block of the caller's own making, masked as OAEP does.
    seed = bytes(range(h))

    def masked(block: bytes, first: int = 0) -> bytes:
        outer = oracle.xor(block, oracle.mgf1(hash_name, seed, len(block)))
        return bytes([first]) + oracle.xor(seed, oracle.mgf1(hash_name, outer, h)) + outer

    label_hash, rest = oracle.digest(hash_name, label), 256 - 2 * h - 1
    return {
        "first byte": masked(label_hash + bytes(rest - 4) + b"\x01abc", first=1),
        "label": masked(oracle.digest(hash_name, label + b"!") + bytes(rest - 4) + b"\x01abc"),
        "no separator": masked(label_hash + bytes(rest)),
        "another separator": masked(label_hash + bytes(rest - 4) + b"\x02abc"),
        "separator late": masked(label_hash + bytes(rest - 5) + b"\x03\x01abc"),
        "seed changed": good[:1] + bytes([good[1] ^ 1]) + good[2:],
        "end changed": good[:-1] + bytes([good[-1] ^ 1]),
        "zero": bytes(256),
        "text": b"\0" + text(255),
    }


@pytest.mark.row("RSA-08")
@pytest.mark.parametrize("label", [b"", b"label"], ids=len)
@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256", "SHA3-512"])
def test_every_malformed_oaep_block_looks_alike(token: Provider, hash_name: str, label: bytes) -> None:
    key = imported(token, "RSA", oracle.rsa_blob(2048))
    messages = set()
    for block in malformed_oaep(hash_name, label).values():
        ciphertext = oracle.raw_public(block, modulus(key))
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER) as caught:
            bcrypt.BCryptDecrypt(key, ciphertext, Oaep(hash_name, label), None, OAEP)
        assert caught.value.token_code is None
        messages.add(str(caught.value))
    assert len(messages) == 1


MALFORMED_PKCS1 = {
    "first byte": b"\x01\x02" + b"\xaa" * 240 + b"\0" + text(13),
    "signature's type": b"\x00\x01" + b"\xff" * 240 + b"\0" + text(13),
    "type 0": b"\x00\x00" + b"\xaa" * 240 + b"\0" + text(13),
    "no separator": b"\x00\x02" + b"\xaa" * 254,
    "separator at once": b"\x00\x02\x00" + b"\xaa" * 253,
    "short filler": b"\x00\x02" + b"\xaa" * 7 + b"\0" + b"\xaa" * 246,
    "zero": bytes(256),
}


@pytest.mark.row("RSA-08")
def test_every_malformed_pkcs1_block_looks_alike(token: Provider) -> None:
    """Either one error, or, of a token with implicit rejection, a plaintext of no meaning, the same at each try."""
    key = imported(token, "RSA", oracle.rsa_blob(2048))
    answers = set()
    for block in MALFORMED_PKCS1.values():
        ciphertext = oracle.raw_public(block, modulus(key))
        try:
            plaintext = bcrypt.BCryptDecrypt(key, ciphertext, None, None, PKCS1)
        except CngError as error:
            answers.add((error.status, error.token_code, str(error)))
        else:
            assert plaintext != block[-len(plaintext) :] or not plaintext
            assert plaintext == bcrypt.BCryptDecrypt(key, ciphertext, None, None, PKCS1)
            answers.add("implicit rejection")
    assert len(answers) == 1
    assert answers == {"implicit rejection"} or next(iter(answers))[:2] == (NTSTATUS.STATUS_INVALID_PARAMETER, None)


@pytest.mark.row("RSA-08")
@pytest.mark.parametrize(
    ("info", "flags"), [(None, PKCS1), (Oaep("SHA1"), OAEP), (Oaep("SHA512", b"x"), OAEP)], ids=str
)
def test_ciphertexts_of_wrong_length(token: Provider, info: object, flags: int) -> None:
    key = imported(token, "RSA", oracle.rsa_blob(2048))
    good = bcrypt.BCryptEncrypt(key, text(10), info, None, flags)
    number = modulus(key)
    same = (int.from_bytes(good, "big") + number).to_bytes(257, "big")
    for wrong in (b"", good[:-1], good + b"\0", b"\0" + good, same, number.to_bytes(256, "big"), b"\xff" * 256):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDecrypt(key, wrong, info, None, flags)
    assert bcrypt.BCryptDecrypt(key, good, info, None, flags) == text(10)

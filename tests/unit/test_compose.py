"""hwcng.hostcrypto.rsa_encodings: each composition against `cryptography`, and how many primitive calls it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcng.contract.specs import RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec, RsaPssSpec, RsaRawSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import modes as modes_
from hwcng.hostcrypto import rsa_encodings
from hwcng.standards.hashes import HASHES

KEY = bytes(range(16))
IV = bytes(range(16))
HOST_HASHES: dict[str, hashes.HashAlgorithm] = {name: getattr(hashes, name.replace("-", "_"))() for name in HASHES}
LENGTHS = [0, 1, 15, 16, 17, 31, 32, 33, 200]


@contextmanager
def refused(status: NTSTATUS) -> Iterator[None]:
    with pytest.raises(CngError) as caught:
        yield
    assert caught.value.status is status


@contextmanager
def read_or_refused() -> Iterator[None]:
    try:
        yield
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
            raise


class Token:
    """AES primitives that count their calls and take whole blocks only."""

    def __init__(self, key: bytes = KEY) -> None:
        self._algorithm = algorithms.AES(key)
        self.calls = 0

    def _run(self, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
        assert data
        assert len(data) % 16 == 0
        self.calls += 1
        encryptor = Cipher(self._algorithm, mode).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def ecb(self, data: bytes) -> bytes:
        return self._run(modes.ECB(), data)  # noqa: S305

    def cbc(self, data: bytes) -> bytes:
        return self._run(modes.CBC(bytes(16)), data)


def encrypted(mode: CFB | CFB8 | modes.CTR, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(KEY), mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


class TestXor:
    @given(st.binary(max_size=100))
    def test_it_is_its_own_inverse(self, data: bytes) -> None:
        mask = os.urandom(len(data))
        assert modes_.xor(modes_.xor(data, mask), mask) == data
        assert modes_.xor(data, mask) == bytes(left ^ right for left, right in zip(data, mask, strict=True))

    def test_a_megabyte(self) -> None:
        data = os.urandom(1 << 20)
        assert modes_.xor(data, data) == bytes(1 << 20)

    def test_unequal_lengths_are_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="3 and 2 bytes"):
            modes_.xor(b"abc", b"ab")


class TestCfb:
    @pytest.mark.row("ENC-10")
    def test_the_vector_of_the_reference(self) -> None:
        assert modes_.cfb8_encrypt(Token().ecb, IV, IV).hex() == "0a22f796e1b93e9032cff804838adfc3"

    @pytest.mark.parametrize("length", LENGTHS)
    def test_cfb8(self, length: int) -> None:
        data, token = os.urandom(length), Token()
        ciphertext = encrypted(CFB8(IV), data)
        assert modes_.cfb8_encrypt(token.ecb, IV, data) == ciphertext
        assert token.calls == length
        assert modes_.cfb8_decrypt(token.ecb, IV, ciphertext) == data
        assert token.calls == length + (length > 0)

    @pytest.mark.parametrize("length", LENGTHS)
    def test_cfb128(self, length: int) -> None:
        data, token = os.urandom(length), Token()
        ciphertext = encrypted(CFB(IV), data)
        assert modes_.cfb_encrypt(token.ecb, IV, data) == ciphertext
        assert token.calls == -(-length // 16)
        token.calls = 0
        assert modes_.cfb_decrypt(token.ecb, IV, ciphertext) == data
        assert token.calls == (length > 0)


class TestCtr:
    @pytest.mark.parametrize("length", LENGTHS)
    def test_a_sixteen_byte_counter_is_ctr_mode(self, length: int) -> None:
        start = bytes(12) + b"\xff\xff\xff\xfe"
        token = Token()
        assert modes_.ctr_keystream(token.ecb, start, 16, length) == encrypted(modes.CTR(start), bytes(length))
        assert token.calls == (length > 0)

    def test_a_counter_wraps_in_its_own_field(self) -> None:
        token = Token()
        stream = modes_.ctr_keystream(token.ecb, b"n" * 12 + b"\xff" * 4, 4, 32)
        assert stream == token.ecb(b"n" * 12 + b"\xff" * 4 + b"n" * 12 + bytes(4))

    def test_gcm_uses_a_four_byte_counter(self) -> None:
        nonce, data = os.urandom(12), os.urandom(100)
        stream = modes_.ctr_keystream(Token().ecb, nonce + b"\x00\x00\x00\x02", 4, len(data))
        assert modes_.xor(data, stream) == AESGCM(KEY).encrypt(nonce, data, None)[:-16]


class TestCcm:
    # SP 800-38C, appendix C, examples 1 to 4.
    KEY = bytes(range(0x40, 0x50))

    @pytest.mark.parametrize(
        ("nonce", "aad", "length", "tag", "expected"),
        [
            (7, bytes(range(8)), 4, 4, "7162015b4dac255d"),
            (8, bytes(range(16)), 16, 6, "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd"),
            (12, bytes(range(20)), 24, 8, "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951"),
            (
                13,
                bytes(range(256)) * 256,
                32,
                14,
                "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b",
            ),
        ],
    )
    def test_the_examples_of_the_standard(self, nonce: int, aad: bytes, length: int, tag: int, expected: str) -> None:
        token = Token(self.KEY)
        nonce_bytes, plaintext = bytes(range(0x10, 0x10 + nonce)), bytes(range(0x20, 0x20 + length))
        ciphertext = modes_.ccm_encrypt(token.ecb, token.cbc, nonce_bytes, aad, plaintext, tag)
        assert ciphertext.hex() == expected
        assert modes_.ccm_decrypt(token.ecb, token.cbc, nonce_bytes, aad, ciphertext, tag) == plaintext

    @settings(deadline=None, max_examples=200)
    @given(
        nonce=st.binary(min_size=7, max_size=13),
        aad=st.binary(max_size=70),
        plaintext=st.binary(max_size=70),
        tag=st.sampled_from([4, 6, 8, 10, 12, 14, 16]),
    )
    def test_it_is_cryptographys(self, nonce: bytes, aad: bytes, plaintext: bytes, tag: int) -> None:
        token = Token()
        ciphertext = modes_.ccm_encrypt(token.ecb, token.cbc, nonce, aad, plaintext, tag)
        assert token.calls == 2
        assert ciphertext == AESCCM(KEY, tag).encrypt(nonce, plaintext, aad)
        assert modes_.ccm_decrypt(token.ecb, token.cbc, nonce, aad, ciphertext, tag) == plaintext
        assert token.calls == 4

    @pytest.mark.parametrize("length", [0xFEFF, 0xFF00, 0x10001])
    def test_long_associated_data(self, length: int) -> None:
        token, aad = Token(), bytes(length)
        ciphertext = modes_.ccm_encrypt(token.ecb, token.cbc, bytes(13), aad, b"text", 16)
        assert ciphertext == AESCCM(KEY).encrypt(bytes(13), b"text", aad)

    def test_lengths_of_associated_data_are_encoded_as_in_the_standard(self) -> None:
        # SP 800-38C, appendix A.2.2; nobody has 4 GiB to spare for the last form.
        assert modes_._ccm_aad_length(0xFEFF) == b"\xfe\xff"
        assert modes_._ccm_aad_length(0xFF00) == b"\xff\xfe\x00\x00\xff\x00"
        assert modes_._ccm_aad_length(2**32 - 1) == b"\xff\xfe\xff\xff\xff\xff"
        assert modes_._ccm_aad_length(2**32) == b"\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00"

    @pytest.mark.row("AEAD-06")
    def test_every_flipped_bit_is_a_mismatch(self) -> None:
        token = Token()
        ciphertext = modes_.ccm_encrypt(token.ecb, token.cbc, bytes(12), b"aad", b"plaintext", 16)
        for position in range(8 * len(ciphertext)):
            wrong = bytearray(ciphertext)
            wrong[position // 8] ^= 1 << position % 8
            with refused(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
                modes_.ccm_decrypt(token.ecb, token.cbc, bytes(12), b"aad", bytes(wrong), 16)
        for nonce, aad in ((b"\x01" + bytes(11), b"aad"), (bytes(12), b"aae"), (bytes(12), b"")):
            with refused(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
                modes_.ccm_decrypt(token.ecb, token.cbc, nonce, aad, ciphertext, 16)

    @pytest.mark.row("AEAD-01", "AEAD-02")
    @pytest.mark.parametrize(
        ("nonce", "tag", "length"),
        [(0, 16, 20), (6, 16, 20), (14, 16, 20), (12, 0, 20), (12, 2, 20), (12, 5, 20), (12, 18, 20), (13, 16, 65536)],
    )
    def test_what_does_not_fit_reaches_no_token(self, nonce: int, tag: int, length: int) -> None:
        token = Token()
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            modes_.ccm_encrypt(token.ecb, token.cbc, bytes(nonce), b"", bytes(length), tag)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            modes_.ccm_decrypt(token.ecb, token.cbc, bytes(nonce), b"", bytes(length + tag), tag)
        assert token.calls == 0

    def test_input_shorter_than_the_tag_is_refused(self) -> None:
        token = Token()
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            modes_.ccm_decrypt(token.ecb, token.cbc, bytes(12), b"", bytes(15), 16)
        assert token.calls == 0


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def raw_rsa(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    numbers = key.private_numbers()
    modulus, size = numbers.public_numbers.n, (key.key_size + 7) // 8

    def run(data: bytes) -> bytes:
        assert len(data) == size
        value = int.from_bytes(data, "big")
        assert value < modulus
        return pow(value, numbers.d, modulus).to_bytes(size, "big")

    return run


# Moduli of 8k - 1, 8k and 8k + 1 bits: PSS has one byte less than the modulus in the last case.
SIZES = [1031, 1032, 1033, 2048]


class TestRsaSignatures:
    @pytest.mark.parametrize("bits", SIZES)
    @pytest.mark.parametrize("name", HASHES)
    def test_pkcs1(self, name: str, bits: int) -> None:
        key, digest = rsa_key(bits), HASHES[name].digest(b"message")
        signature = rsa_encodings.rsa_sign(raw_rsa(key), RsaPkcs1SignSpec(name), digest, bits)
        prehashed = utils.Prehashed(HOST_HASHES[name])
        key.public_key().verify(signature, digest, padding.PKCS1v15(), prehashed)
        # The encoding has no random part, so it must be the very same signature.
        assert signature == key.sign(digest, padding.PKCS1v15(), prehashed)

    @pytest.mark.row("SIG-07")
    def test_pkcs1_without_digest_info(self) -> None:
        key, digest = rsa_key(2048), os.urandom(36)
        signature = rsa_encodings.rsa_sign(raw_rsa(key), RsaPkcs1SignSpec(None), digest, 2048)
        assert key.public_key().recover_data_from_signature(signature, padding.PKCS1v15(), None) == digest

    @pytest.mark.parametrize("bits", SIZES)
    @pytest.mark.parametrize("name", HASHES)
    @pytest.mark.parametrize("salt", [0, 1, "digest", "max"])
    def test_pss(self, name: str, bits: int, salt: int | str) -> None:
        key, digest = rsa_key(bits), HASHES[name].digest(b"message")
        room = (bits - 1 + 7) // 8 - len(digest) - 2
        length = {"digest": min(len(digest), room), "max": room}.get(salt, salt) if isinstance(salt, str) else salt
        assert isinstance(length, int)
        if length > room:
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                rsa_encodings.rsa_sign(raw_rsa(key), RsaPssSpec(name, length), digest, bits)
            return
        signature = rsa_encodings.rsa_sign(raw_rsa(key), RsaPssSpec(name, length), digest, bits)
        scheme = padding.PSS(padding.MGF1(HOST_HASHES[name]), length)
        key.public_key().verify(signature, digest, scheme, utils.Prehashed(HOST_HASHES[name]))

    @pytest.mark.parametrize("bits", SIZES)
    @pytest.mark.parametrize("salt", [0, 20, 32])
    def test_pss_of_cryptography_is_verified(self, bits: int, salt: int) -> None:
        key, digest = rsa_key(bits), HASHES["SHA256"].digest(b"message")
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        signature = key.sign(digest, scheme, utils.Prehashed(hashes.SHA256()))
        numbers = key.public_key().public_numbers()
        encoded = pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes((bits + 6) // 8, "big")
        assert rsa_encodings.emsa_pss_verify(digest, encoded, "SHA256", salt, bits - 1)
        assert not rsa_encodings.emsa_pss_verify(digest, encoded, "SHA256", salt + 1, bits - 1)
        assert not rsa_encodings.emsa_pss_verify(digest, encoded, "SHA256", max(salt - 1, 0) or 1, bits - 1)
        assert not rsa_encodings.emsa_pss_verify(bytes(32), encoded, "SHA256", salt, bits - 1)

    @pytest.mark.parametrize("bits", [1023, 1024, 1025, 1026, 1031])
    def test_every_flipped_bit_of_a_pss_encoding_is_noticed(self, bits: int) -> None:
        digest = HASHES["SHA256"].digest(b"message")
        encoded = rsa_encodings.emsa_pss_encode(digest, "SHA256", 32, bits)
        assert int.from_bytes(encoded, "big").bit_length() <= bits
        assert rsa_encodings.emsa_pss_verify(digest, encoded, "SHA256", 32, bits)
        for position in range(8 * len(encoded)):
            wrong = bytearray(encoded)
            wrong[position // 8] ^= 1 << position % 8
            assert not rsa_encodings.emsa_pss_verify(digest, bytes(wrong), "SHA256", 32, bits)

    @pytest.mark.parametrize("encoded", [b"", b"\xbc", bytes(127) + b"\xbc", bytes(128) + b"\xbc"])
    def test_no_pss_encoding_at_all(self, encoded: bytes) -> None:
        assert not rsa_encodings.emsa_pss_verify(bytes(32), encoded, "SHA256", 32, 1023)
        assert not rsa_encodings.emsa_pss_verify(bytes(32), encoded, "SHA256", -1, 1023)
        assert not rsa_encodings.emsa_pss_verify(bytes(32), encoded, "SHA256", 500, 1023)

    def test_pss_salts_differ(self) -> None:
        digest = bytes(32)
        assert rsa_encodings.emsa_pss_encode(digest, "SHA256", 32, 1023) != rsa_encodings.emsa_pss_encode(
            digest, "SHA256", 32, 1023
        )

    @pytest.mark.row("SIG-07", "SIG-14")
    def test_a_digest_of_wrong_size_or_without_room_is_refused(self) -> None:
        for make in (
            lambda: rsa_encodings.emsa_pkcs1_encode(bytes(31), "SHA256", 256),
            lambda: rsa_encodings.emsa_pkcs1_encode(bytes(64), "SHA512", 64 + 19 + 10),
            lambda: rsa_encodings.emsa_pkcs1_encode(bytes(54), None, 64),
            lambda: rsa_encodings.emsa_pss_encode(bytes(31), "SHA256", 32, 2047),
            lambda: rsa_encodings.emsa_pss_encode(bytes(32), "SHA256", 95, 1023),
            lambda: rsa_encodings.emsa_pss_encode(bytes(32), "SHA256", -1, 1023),
            lambda: rsa_encodings.emsa_pss_verify(bytes(33), bytes(128), "SHA256", 32, 1023),
        ):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                make()
        assert len(rsa_encodings.emsa_pkcs1_encode(bytes(64), "SHA512", 64 + 19 + 11)) == 94
        assert len(rsa_encodings.emsa_pkcs1_encode(bytes(53), None, 64)) == 64
        assert len(rsa_encodings.emsa_pss_encode(bytes(32), "SHA256", 94, 1023)) == 128

    @pytest.mark.row("SIG-08")
    @pytest.mark.parametrize("name", ["AES", "", "sha256"])
    def test_what_is_not_a_hash_is_not_supported(self, name: str) -> None:
        for make in (
            lambda: rsa_encodings.emsa_pkcs1_encode(bytes(32), name, 256),
            lambda: rsa_encodings.emsa_pss_encode(bytes(32), name, 32, 2047),
            lambda: rsa_encodings.emsa_pss_verify(bytes(32), bytes(256), name, 32, 2047),
            lambda: rsa_encodings.eme_oaep_encode(b"", 256, name),
            lambda: rsa_encodings.eme_oaep_decode(bytes(256), name),
        ):
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
                make()


class TestRsaDecryption:
    @pytest.mark.parametrize("bits", SIZES)
    @pytest.mark.parametrize("name", ["SHA1", "SHA256", "SHA384", "SHA512"])
    @pytest.mark.parametrize("label", [b"", b"label"])
    def test_oaep_of_cryptography_is_decrypted(self, name: str, label: bytes, bits: int) -> None:
        key = rsa_key(bits)
        room = (bits + 7) // 8 - 2 * HASHES[name].digest_size - 2
        scheme = padding.OAEP(padding.MGF1(HOST_HASHES[name]), HOST_HASHES[name], label)
        for length in (0, 1, room) if room >= 1 else ():
            plaintext = os.urandom(length)
            ciphertext = key.public_key().encrypt(plaintext, scheme)
            assert rsa_encodings.rsa_decrypt(raw_rsa(key), RsaOaepSpec(name, label), ciphertext, bits) == plaintext

    @pytest.mark.parametrize("name", HASHES)
    @given(message=st.binary(max_size=126), label=st.binary(max_size=20))
    def test_oaep_round_trip(self, name: str, message: bytes, label: bytes) -> None:
        encoded = rsa_encodings.eme_oaep_encode(message, 256, name, label)
        assert len(encoded) == 256
        assert rsa_encodings.eme_oaep_decode(encoded, name, label) == message

    @pytest.mark.parametrize("bits", SIZES)
    def test_pkcs1_of_cryptography_is_decrypted(self, bits: int) -> None:
        key = rsa_key(bits)
        for length in (0, 1, (bits + 7) // 8 - 11):
            plaintext = os.urandom(length)
            ciphertext = key.public_key().encrypt(plaintext, padding.PKCS1v15())
            assert rsa_encodings.rsa_decrypt(raw_rsa(key), RsaPkcs1DecryptSpec(), ciphertext, bits) == plaintext

    @given(message=st.binary(max_size=117))
    def test_pkcs1_round_trip(self, message: bytes) -> None:
        encoded = rsa_encodings.eme_pkcs1_encode(message, 128)
        assert len(encoded) == 128
        assert 0 not in encoded[2 : 128 - len(message) - 1]
        assert rsa_encodings.eme_pkcs1_decode(encoded) == message

    def test_a_raw_decryption_keeps_its_leading_zeros(self) -> None:
        key = rsa_key(1032)
        numbers = key.public_key().public_numbers()
        ciphertext = pow(5, numbers.e, numbers.n).to_bytes(129, "big")
        assert rsa_encodings.rsa_decrypt(raw_rsa(key), RsaRawSpec(), ciphertext, 1032) == b"\x05".rjust(129, b"\x00")

        def stripping(data: bytes) -> bytes:
            return raw_rsa(key)(data).lstrip(b"\x00")

        assert rsa_encodings.rsa_decrypt(stripping, RsaRawSpec(), ciphertext, 1032) == b"\x05".rjust(129, b"\x00")

    @pytest.mark.row("RSA-03", "RSA-04")
    def test_what_does_not_fit_is_refused(self) -> None:
        assert len(rsa_encodings.eme_pkcs1_encode(bytes(117), 128)) == 128
        assert len(rsa_encodings.eme_oaep_encode(bytes(62), 128, "SHA256")) == 128
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_encodings.eme_pkcs1_encode(bytes(118), 128)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_encodings.eme_oaep_encode(bytes(63), 128, "SHA256")

    @pytest.mark.row("RSA-08")
    def test_all_failures_look_alike(self) -> None:
        good = rsa_encodings.eme_oaep_encode(b"message", 128, "SHA256", b"label")
        block = bytearray(b"\x00\x02" + b"\x01" * 100)
        failing: list[Callable[[], bytes]] = [
            lambda: rsa_encodings.eme_oaep_decode(b"\x01" + good[1:], "SHA256", b"label"),
            lambda: rsa_encodings.eme_oaep_decode(good, "SHA256", b"other label"),
            lambda: rsa_encodings.eme_oaep_decode(good, "SHA384", b"label"),
            lambda: rsa_encodings.eme_oaep_decode(good[:-1] + bytes([good[-1] ^ 1]), "SHA256"),
            lambda: rsa_encodings.eme_oaep_decode(good[:65], "SHA256", b"label"),
            lambda: rsa_encodings.eme_oaep_decode(b"", "SHA256"),
            lambda: rsa_encodings.eme_pkcs1_decode(bytes(block)),
            lambda: rsa_encodings.eme_pkcs1_decode(b"\x01\x02" + b"\x01" * 8 + b"\x00message"),
            lambda: rsa_encodings.eme_pkcs1_decode(b"\x00\x01" + b"\x01" * 8 + b"\x00message"),
            lambda: rsa_encodings.eme_pkcs1_decode(b"\x00\x02" + b"\x01" * 7 + b"\x00message"),
            lambda: rsa_encodings.eme_pkcs1_decode(b"\x00\x02\x00" + b"\x01" * 20),
            lambda: rsa_encodings.eme_pkcs1_decode(b""),
            lambda: rsa_encodings.rsa_decrypt(raw_rsa(rsa_key(1032)), RsaRawSpec(), bytes(128), 1032),
            lambda: rsa_encodings.rsa_decrypt(raw_rsa(rsa_key(1032)), RsaPkcs1DecryptSpec(), bytes(129), 1032),
        ]
        seen = set()
        for attempt in failing:
            with pytest.raises(CngError) as caught:
                attempt()
            seen.add((caught.value.status, str(caught.value), caught.value.__cause__, caught.value.__context__))
        assert len(seen) == 1
        assert seen.pop()[0] is NTSTATUS.STATUS_INVALID_PARAMETER

    def test_the_separator_must_be_there(self) -> None:
        def masked(block: bytes) -> bytes:
            """EME-OAEP of a data block that the encoder would never make."""
            seed, sha256 = os.urandom(32), HASHES["SHA256"]
            hidden = modes_.xor(block, rsa_encodings.mgf1(sha256, seed, len(block)))
            return b"\x00" + modes_.xor(seed, rsa_encodings.mgf1(sha256, hidden, 32)) + hidden

        lhash = HASHES["SHA256"].digest(b"")
        assert rsa_encodings.eme_oaep_decode(masked(lhash + bytes(20) + b"\x01text"), "SHA256") == b"text"
        assert rsa_encodings.eme_oaep_decode(masked(lhash + b"\x01\x01\x00\x02"), "SHA256") == b"\x01\x00\x02"
        for tail in (bytes(30), bytes(10) + b"\x02\x01text", b"\x03" + bytes(5) + b"\x01text", b"\x81text"):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                rsa_encodings.eme_oaep_decode(masked(lhash + tail), "SHA256")

    @settings(max_examples=300)
    @given(st.binary(max_size=140))
    def test_whatever_comes_is_decoded_or_refused(self, encoded: bytes) -> None:
        for decode in (
            rsa_encodings.eme_pkcs1_decode,
            lambda data: rsa_encodings.eme_oaep_decode(data, "SHA256"),
            lambda data: rsa_encodings.eme_pkcs1_decode(b"\x00\x02" + data),
        ):
            with read_or_refused():
                assert decode(encoded) in encoded

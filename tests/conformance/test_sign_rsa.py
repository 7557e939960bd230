"""Reference 5.15, rows SIG-*: RSA signatures, PKCS #1 v1.5 and PSS, made in tokens and checked by others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance import oracle
from conformance.checks import algorithm, fails, generated, imported, is_tpm, need, public_of
from conformance.rsa_pairs import SIZES, every, modulus
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, utils
from pkcs11 import Mechanism
from support import has_bits, missing_on

from hwcng import NTSTATUS, bcrypt
from hwcng.bcrypt import BCRYPT_PKCS1_PADDING_INFO as Pkcs1
from hwcng.bcrypt import BCRYPT_PSS_PADDING_INFO as Pss
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter

HASHES = oracle.CRYPTOGRAPHY
PKCS1, PSS = bcrypt.BCRYPT_PAD_PKCS1, bcrypt.BCRYPT_PAD_PSS
OPTIONAL_OID = bcrypt.BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID
MESSAGE = b"what is signed"


def digest(hash_name: str) -> bytes:
    return oracle.digest(hash_name, MESSAGE)


@pytest.fixture(scope="module")
def pair(provider: Provider) -> Iterator[KeyPair]:
    with imported(provider, "RSA", oracle.rsa_blob(2048)) as key:
        yield key


@pytest.mark.row("SIG-03", "SIG-07")
@pytest.mark.parametrize("hash_name", HASHES)
def test_pkcs1_as_another_implementation(
    token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair], hash_name: str
) -> None:
    value, info = digest(hash_name), Pkcs1(hash_name)
    for bits, key in every(token_pairs, callers_pairs):
        size = (bits + 7) // 8
        if len(bytes.fromhex(oracle.DIGEST_INFO[hash_name])) + len(value) + 11 > size:
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(key, info, value, PKCS1)
            continue
        signature = bcrypt.BCryptSignHash(key, info, value, PKCS1)
        assert len(signature) == size == bcrypt.BCryptGetProperty(key, "SignatureLength")
        assert oracle.raw_public(signature, modulus(key)) == oracle.pkcs1_signature_block(size, hash_name, value)
        if bits >= 1024:
            public = oracle.rsa_public_key(modulus(key))
            public.verify(signature, value, padding.PKCS1v15(), utils.Prehashed(HASHES[hash_name]))
        bcrypt.BCryptVerifySignature(key, info, value, signature, PKCS1)
        bcrypt.BCryptVerifySignature(public_of(key), info, value, signature, PKCS1)


@pytest.mark.row("SIG-03", "SIG-07")
@pytest.mark.parametrize("hash_name", HASHES)
def test_pkcs1_of_another_implementation_is_the_same(callers_pairs: dict[int, KeyPair], hash_name: str) -> None:
    value = digest(hash_name)
    for bits in (1024, 2048, 3072):
        expected = oracle.rsa_private_key(bits).sign(value, padding.PKCS1v15(), utils.Prehashed(HASHES[hash_name]))
        assert bcrypt.BCryptSignHash(callers_pairs[bits], Pkcs1(hash_name), value, PKCS1) == expected


@pytest.mark.row("SIG-07")
@pytest.mark.parametrize("size", [1, 20, 32, 36, 51, 53])
def test_pkcs1_without_digest_info(
    token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair], size: int
) -> None:
    """36 bytes are MD5 and SHA-1 of TLS 1.1; 53 fill a 512-bit modulus."""
    value = bytes(range(1, size + 1))
    for bits, key in every(token_pairs, callers_pairs):
        signature = bcrypt.BCryptSignHash(key, Pkcs1(None), value, PKCS1)
        block = oracle.pkcs1_signature_block((bits + 7) // 8, None, value)
        assert oracle.raw_public(signature, modulus(key)) == block
        bcrypt.BCryptVerifySignature(key, Pkcs1(None), value, signature, PKCS1)
        if bits == 2048:
            oracle.rsa_public_key(modulus(key)).verify(signature, value, padding.PKCS1v15(), utils.NoDigestInfo())


@pytest.mark.row("SIG-07")
@pytest.mark.parametrize("flags", [PKCS1, PSS])
@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256", "SHA3-512"])
def test_a_named_hash_has_its_length(pair: KeyPair, flags: int, hash_name: str) -> None:
    info = Pkcs1(hash_name) if flags == PKCS1 else Pss(hash_name, 20)
    value = digest(hash_name)
    signature = bcrypt.BCryptSignHash(pair, info, value, flags)
    for wrong in (b"", value[:-1], value + b"\0", value * 2):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, info, wrong, flags)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptVerifySignature(pair, info, wrong, signature, flags)


@pytest.mark.row("SIG-01", "SIG-04")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
def test_the_length_is_known_before_signing(provider: Provider, name: str) -> None:
    """What is left of the size query: SignatureLength, of a public key too."""
    for bits in SIZES:
        key = imported(provider, name, oracle.rsa_blob(bits))
        for half in (key, public_of(key)):
            assert bcrypt.BCryptGetProperty(half, "SignatureLength") == (bits + 7) // 8
        assert len(bcrypt.BCryptSignHash(key, Pkcs1("SHA1"), digest("SHA1"), PKCS1)) == (bits + 7) // 8


@pytest.mark.row("SIG-01")
@pytest.mark.parametrize("nothing", [None, b""])
def test_no_digest(pair: KeyPair, nothing: bytes | None) -> None:
    for info, flags in ((Pkcs1("SHA256"), PKCS1), (Pkcs1(None), PKCS1), (Pss("SHA256", 32), PSS)):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, info, nothing, flags)


@pytest.mark.row("SIG-01", "SIG-02")
def test_handles_that_do_not_sign(provider: Provider, pair: KeyPair) -> None:
    handle = algorithm(provider, "RSA")
    destroyed = imported(provider, "RSA", oracle.rsa_blob(1024))
    bcrypt.BCryptDestroyKey(destroyed)
    empty = bcrypt.BCryptGenerateKeyPair(handle, 1024)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider).generate_key(128)
    for wrong in (None, handle, destroyed, empty, aes, object()):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptSignHash(wrong, Pkcs1("SHA1"), digest("SHA1"), PKCS1)
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptVerifySignature(wrong, Pkcs1("SHA1"), digest("SHA1"), bytes(128), PKCS1)


@pytest.mark.row("SIG-02")
def test_a_public_key_does_not_sign(pair: KeyPair) -> None:
    for info, flags in ((Pkcs1("SHA256"), PKCS1), (Pss("SHA256", 32), PSS)):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(public_of(pair), info, digest("SHA256"), flags)


@pytest.mark.row("SIG-03")
@pytest.mark.parametrize(
    ("info", "flags"),
    [
        (None, 0),
        (None, PKCS1),
        (None, PSS),
        (Pkcs1("SHA256"), 0),
        (Pss("SHA256", 32), 0),
        (Pkcs1("SHA256"), PSS),
        (Pss("SHA256", 32), PKCS1),
        (Pkcs1("SHA256"), PKCS1 | PSS),
        (Pkcs1("SHA256"), 0x1),
        (Pkcs1("SHA256"), 0x4),
        (Pkcs1("SHA256"), 0x10),
        (Pkcs1("SHA256"), 0x100 | PKCS1),
        (bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256"), PKCS1),
        ("SHA256", PKCS1),
    ],
    ids=str,
)
def test_padding_info_and_flag_go_together(pair: KeyPair, info: object, flags: int) -> None:
    value = digest("SHA256")
    signature = bcrypt.BCryptSignHash(pair, Pkcs1("SHA256"), value, PKCS1)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(pair, info, value, flags)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptVerifySignature(pair, info, value, signature, flags)


@pytest.mark.row("SIG-09", "SIG-03")
def test_the_optional_oid_flag_is_for_verifying(pair: KeyPair) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(pair, Pkcs1("SHA256"), digest("SHA256"), PKCS1 | OPTIONAL_OID)
    signature = bcrypt.BCryptSignHash(pair, Pss("SHA256", 32), digest("SHA256"), PSS)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptVerifySignature(pair, Pss("SHA256", 32), digest("SHA256"), signature, PSS | OPTIONAL_OID)


@pytest.mark.row("SIG-08")
@pytest.mark.parametrize("name", ["AES", "RNG", "sha256", "SHA224", "SHA-256", "", 5])
def test_hashes_that_are_none(pair: KeyPair, name: str) -> None:
    value = digest("SHA256")
    for info, flags in ((Pkcs1(name), PKCS1), (Pss(name, 32), PSS)):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(pair, info, value, flags)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptVerifySignature(pair, info, value, bytes(256), flags)


@pytest.mark.row("SIG-09")
def test_signatures_with_and_without_oid(pair: KeyPair) -> None:
    value = digest("SHA256")
    with_oid = bcrypt.BCryptSignHash(pair, Pkcs1("SHA256"), value, PKCS1)
    without = bcrypt.BCryptSignHash(pair, Pkcs1(None), value, PKCS1)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, Pkcs1(None), value, with_oid, PKCS1)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, Pkcs1("SHA256"), value, without, PKCS1)
    for signature in (with_oid, without):
        bcrypt.BCryptVerifySignature(pair, Pkcs1("SHA256"), value, signature, PKCS1 | OPTIONAL_OID)
    bcrypt.BCryptVerifySignature(pair, Pkcs1(None), value, without, PKCS1 | OPTIONAL_OID)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, Pkcs1(None), value, with_oid, PKCS1 | OPTIONAL_OID)
    other_oid = bcrypt.BCryptSignHash(pair, Pkcs1("SHA3-256"), value, PKCS1)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, Pkcs1("SHA256"), value, other_oid, PKCS1 | OPTIONAL_OID)


@pytest.mark.row("SIG-09")
@pytest.mark.parametrize("flags", [PKCS1, PSS])
def test_signatures_that_are_not_valid(pair: KeyPair, flags: int) -> None:
    info, value = (Pkcs1("SHA256") if flags == PKCS1 else Pss("SHA256", 32)), digest("SHA256")
    signature = bcrypt.BCryptSignHash(pair, info, value, flags)
    too_large = (int.from_bytes(signature, "big") + modulus(pair)).to_bytes(257, "big")
    for wrong in (
        b"",
        signature[:-1],
        signature + b"\0",
        b"\0" + signature,
        too_large[-256:],
        bytes(256),
        b"\xff" * 256,
        bytes([signature[0] ^ 1]) + signature[1:],
    ):
        with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(pair, info, value, wrong, flags)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, info, digest("SHA3-256"), signature, flags)
    bcrypt.BCryptVerifySignature(pair, info, bytearray(value), memoryview(signature), flags)


@pytest.mark.row("SIG-11")
@pytest.mark.parametrize("hash_name", HASHES)
def test_pss_as_another_implementation(
    token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair], hash_name: str
) -> None:
    """Salts of no byte, one byte, the digest's length and all that fits; modulus bits of 8k + 1 too."""
    value = digest(hash_name)
    for bits, key in every(token_pairs, callers_pairs):
        size, most = (bits + 7) // 8, (bits - 1 + 7) // 8 - len(value) - 2
        for salt_length in sorted({0, 1, len(value), most}):
            info = Pss(hash_name, salt_length)
            if not 0 <= salt_length <= most:
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptSignHash(key, info, value, PSS)
                continue
            signature = bcrypt.BCryptSignHash(key, info, value, PSS)
            assert len(signature) == size
            salt = oracle.pss_salt(oracle.raw_public(signature, modulus(key)), bits, hash_name, value)
            assert salt is not None and len(salt) == salt_length
            if bits >= 1024:
                scheme = padding.PSS(padding.MGF1(HASHES[hash_name]), salt_length)
                public = oracle.rsa_public_key(modulus(key))
                public.verify(signature, value, scheme, utils.Prehashed(HASHES[hash_name]))
            bcrypt.BCryptVerifySignature(public_of(key), info, value, signature, PSS)


@pytest.mark.row("SIG-11")
@pytest.mark.parametrize("hash_name", HASHES)
def test_pss_of_another_implementation(provider: Provider, hash_name: str) -> None:
    """The verifier knows no salt length but the given one."""
    value = digest(hash_name)
    for bits in (1024, 1025, 2048):
        private = oracle.rsa_private_key(bits)
        public = bcrypt.BCryptImportKeyPair(
            algorithm(provider, "RSA"), None, "RSAPUBLICBLOB", oracle.rsa_public_blob(oracle.rsa_numbers(bits)[0])
        )
        most = (bits - 1 + 7) // 8 - len(value) - 2
        for salt_length in {0, 1, min(len(value), most), most}:
            scheme = padding.PSS(padding.MGF1(HASHES[hash_name]), salt_length)
            signature = private.sign(value, scheme, utils.Prehashed(HASHES[hash_name]))
            bcrypt.BCryptVerifySignature(public, Pss(hash_name, salt_length), value, signature, PSS)
            for other in {0, salt_length - 1, salt_length + 1, len(value), most, 10_000} - {salt_length, -1}:
                with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
                    bcrypt.BCryptVerifySignature(public, Pss(hash_name, other), value, signature, PSS)


@pytest.mark.row("SIG-11")
def test_pss_mgf1_uses_the_digests_hash(provider: Provider, pair: KeyPair) -> None:
    value = digest("SHA256")
    scheme = padding.PSS(padding.MGF1(HASHES["SHA1"]), 32)
    signature = oracle.rsa_private_key(2048).sign(value, scheme, utils.Prehashed(HASHES["SHA256"]))
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, Pss("SHA256", 32), value, signature, PSS)
    own = bcrypt.BCryptSignHash(pair, Pss("SHA256", 32), value, PSS)
    with pytest.raises(InvalidSignature):
        oracle.rsa_public_key(modulus(pair)).verify(own, value, scheme, utils.Prehashed(HASHES["SHA256"]))


@pytest.mark.row("SIG-11")
@pytest.mark.parametrize("info", [Pss(None, 32), Pss("SHA256", -1), Pss("SHA256", None), Pss("SHA256", "32")], ids=str)
def test_pss_parameters_that_are_none(pair: KeyPair, info: Pss) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(pair, info, digest("SHA256"), PSS)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptVerifySignature(pair, info, digest("SHA256"), bytes(256), PSS)


@pytest.mark.row("SIG-11")
def test_pss_salts_are_random(token: Provider) -> None:
    key = imported(token, "RSA", oracle.rsa_blob(1024))
    for hash_name in ("SHA256", "SHA3-256"):
        signatures = {bcrypt.BCryptSignHash(key, Pss(hash_name, 20), digest(hash_name), PSS) for _ in range(5)}
        assert len(signatures) == 5


@pytest.mark.row("SIG-14")
def test_what_does_not_fit_the_modulus(callers_pairs: dict[int, KeyPair]) -> None:
    for bits, key in callers_pairs.items():
        size = (bits + 7) // 8
        longest = bytes(range(256)) * 2
        bcrypt.BCryptSignHash(key, Pkcs1(None), longest[: size - 11], PKCS1)
        for length in (size - 10, size, size + 1, 512):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(key, Pkcs1(None), longest[:length], PKCS1)
        value = digest("SHA256")
        most = (bits - 1 + 7) // 8 - 34
        for salt_length in (most + 1, 10_000):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSignHash(key, Pss("SHA256", salt_length), value, PSS)


@pytest.mark.row("SIG-01", "SIG-04")
def test_signatures_keep_their_leading_zeros(token: Provider) -> None:
    """One in 256 begins with a zero byte; a 512-bit key makes many in little time."""
    key, zeros = imported(token, "RSA", oracle.rsa_blob(512)), 0
    number = oracle.rsa_numbers(512)[0]
    for step in range(4000):
        value = step.to_bytes(20, "big")
        expected = oracle.raw_private(oracle.pkcs1_signature_block(64, None, value), 512)
        if expected[0]:
            continue
        zeros += 1
        assert bcrypt.BCryptSignHash(key, Pkcs1(None), value, PKCS1) == expected
        if zeros == 3:
            break
    assert zeros == 3
    for _ in range(300):
        for info in (Pss("SHA1", 20), Pss("SHA3-256", 20)):
            value = digest(info.pszAlgId)
            signature = bcrypt.BCryptSignHash(key, info, value, PSS)
            assert len(signature) == 64
            assert oracle.pss_salt(oracle.raw_public(signature, number), 512, info.pszAlgId, value) is not None


@pytest.mark.row("SIG-03")
def test_rsa_sign_keys_sign(token: Provider) -> None:
    for key in (imported(token, "RSA_SIGN", oracle.rsa_blob(2048)), generated(token, "RSA_SIGN", 1024)):
        for info, flags in ((Pkcs1("SHA256"), PKCS1), (Pss("SHA256", 32), PSS), (Pss("SHA3-256", 32), PSS)):
            value = digest(info.pszAlgId)
            if is_tpm(token) and info.pszAlgId == "SHA3-256":
                # It would take raw RSA, which is decryption, and this key is not for that.
                with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                    bcrypt.BCryptSignHash(key, info, value, flags)
                continue
            signature = bcrypt.BCryptSignHash(key, info, value, flags)
            bcrypt.BCryptVerifySignature(public_of(key), info, value, signature, flags)


@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256"])
def test_pss_of_a_modulus_of_one_bit_over_whole_bytes_is_raw_rsa(token: Provider, hash_name: str) -> None:
    """Its encoding has a byte less than the modulus, which tokens have been measured to miscount."""
    if is_tpm(token) or not has_bits(token, "RSA", 1025):
        missing_on(token, "C_ calls, or RSA of 1025 bits")
    need(token, "RSA", "RAW")
    key, value = imported(token, "RSA", oracle.rsa_blob(1025)), digest(hash_name)
    info = Pss(hash_name, len(value))
    bcrypt.BCryptSignHash(key, info, value, PSS)
    with CallCounter(token) as counter:
        signature = bcrypt.BCryptSignHash(key, info, value, PSS)
    assert counter.mechanisms == [int(Mechanism.RSA_X_509)]
    assert len(counter.asked) == 2 and len(signature) == 129
    bcrypt.BCryptVerifySignature(public_of(key), info, value, signature, PSS)

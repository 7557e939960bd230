"""Reference 5.16, rows SEC-* and DRV-*: agreements in tokens with a software peer, whose Z checks every derivation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import pytest
from conformance import oracle
from conformance.checks import algorithm, fails, generated, imported, need, public_of
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from pkcs11 import Mechanism

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import KeyPair, Secret
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.standards.hashes import HASHES as HASH_FUNCTIONS

HASH, HMAC, TLS_PRF = bcrypt.BCRYPT_KDF_HASH, bcrypt.BCRYPT_KDF_HMAC, bcrypt.BCRYPT_KDF_TLS_PRF
CONCAT, RAW = bcrypt.BCRYPT_SP80056A_CONCAT_KDF, bcrypt.BCRYPT_KDF_RAW_SECRET
SECRET_IS_KEY = bcrypt.KDF_USE_SECRET_AS_HMAC_KEY_FLAG
HASH_NAME, PREPEND, APPEND = (
    bcrypt.KDF_HASH_ALGORITHM,
    bcrypt.KDF_SECRET_PREPEND,
    bcrypt.KDF_SECRET_APPEND,
)
HMAC_KEY, LABEL, SEED, PROTOCOL = (
    bcrypt.KDF_HMAC_KEY,
    bcrypt.KDF_TLS_PRF_LABEL,
    bcrypt.KDF_TLS_PRF_SEED,
    bcrypt.KDF_TLS_PRF_PROTOCOL,
)
ALGORITHM_ID, PARTY_U, PARTY_V, PUBLIC_INFO, PRIVATE_INFO = (
    bcrypt.KDF_ALGORITHMID,
    bcrypt.KDF_PARTYUINFO,
    bcrypt.KDF_PARTYVINFO,
    bcrypt.KDF_SUPPPUBINFO,
    bcrypt.KDF_SUPPPRIVINFO,
)
TLS1_0, TLS1_1, TLS1_2, DTLS1_0 = 0x0301, 0x0302, 0x0303, 0xFEFF
TLS_LABEL, TLS_SEED = b"master secret", bytes(range(64))
HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
SHA3 = ("SHA3-256", "SHA3-384", "SHA3-512")

# Algorithm, ECCCurveName of a generic one, the curve.
ROWS = (
    ("ECDH_P256", None, "nistP256"),
    ("ECDH_P384", None, "nistP384"),
    ("ECDH_P521", None, "nistP521"),
    ("ECDH", "nistP384", "nistP384"),
    ("ECDH", "x962P256v1", "nistP256"),
    ("ECDH", "nistP192", "nistP192"),
    ("ECDH", "secP256k1", "secP256k1"),
    ("ECDH", "brainpoolP256r1", "brainpoolP256r1"),
)
CONCAT_DEFAULTS = {"nistP256": "SHA256", "nistP384": "SHA384", "nistP521": "SHA512"}
CONCAT_HASHES = {name: oracle.CRYPTOGRAPHY[name] for name in ("SHA256", "SHA384", "SHA512")}

every_row = pytest.mark.parametrize(("name", "curve_name", "curve"), ROWS, ids=lambda part: part or "")
NIST = ROWS[:3]
nist_rows = pytest.mark.parametrize(("name", "curve_name", "curve"), NIST, ids=lambda part: part or "")


class Agreed(NamedTuple):
    """A token's secret and what it must be."""

    secret: Secret
    z: bytes


def software(curve: str, scalar: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(scalar, oracle.EC_CURVES[curve])


def peer_of(
    pair: KeyPair, name: str, curve_name: str | None, curve: str, private: ec.EllipticCurvePrivateKey
) -> Agreed:
    """What `pair` agrees on with the software key `private`."""
    handle = bcrypt.BCryptGetProperty(pair, "ProviderHandle")
    blob = oracle.ec_blob("ECDH", curve, private.public_key(), generic=curve_name is not None)
    peer = bcrypt.BCryptImportKeyPair(handle, None, "ECCPUBLICBLOB", blob)
    secret = bcrypt.BCryptSecretAgreement(pair, peer)
    ours = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(pair, None, "ECCPUBLICBLOB"))
    return Agreed(secret, private.exchange(ec.ECDH(), ours))


def agreed(token: Provider, name: str, curve_name: str | None, curve: str) -> Agreed:
    pair = generated(token, name, oracle.EC_CURVES[curve].key_size, curve_name)
    return peer_of(pair, name, curve_name, curve, ec.generate_private_key(oracle.EC_CURVES[curve]))


@cache
def zero_led(curve: str, ours: int) -> int:
    """A peer's scalar with which Z begins with a zero byte."""
    public = software(curve, ours).public_key()
    return next(scalar for scalar in range(2, 4000) if not software(curve, scalar).exchange(ec.ECDH(), public)[0])


def agreed_with_leading_zero(token: Provider, name: str, curve_name: str | None, curve: str) -> Agreed:
    ours = 0x1234567
    blob = oracle.ec_blob("ECDH", curve, software(curve, ours), generic=curve_name is not None)
    pair = imported(token, name, blob, curve_name)
    found = peer_of(pair, name, curve_name, curve, software(curve, zero_led(curve, ours)))
    assert found.z[0] == 0
    return found


def both(token: Provider, name: str, curve_name: str | None, curve: str) -> Sequence[Agreed]:
    return (
        agreed(token, name, curve_name, curve),
        agreed_with_leading_zero(token, name, curve_name, curve),
    )


def takes_hmac_key(token: Provider, hash_name: str, z: bytes) -> bool:
    """SoftHSM's HMAC takes no key that is shorter than the digest."""
    return "SoftHSM" not in token.token.manufacturer or len(z) >= len(oracle.digest(hash_name, b""))


def keys_an_hmac_of_itself(token: Provider, hash_name: str, z: bytes) -> bool:
    """A secret that is longer than a block of the hash does it by its digest; another is masked in the token."""
    if len(z) > HASH_FUNCTIONS[hash_name].block_size:
        return digests_keys(token, hash_name)
    return not isinstance(token, Pkcs11Provider) or token._offered.has(int(Mechanism.XOR_BASE_AND_DATA))


def digests_keys(token: Provider, hash_name: str) -> bool:
    """SoftHSM's C_DigestKey takes MD5 for readable secrets alone."""
    return "SoftHSM" not in token.token.manufacturer or hash_name != "MD5"


def hashes_of(token: Provider) -> Sequence[str]:
    return [hash_name for hash_name in HASHES if digests_keys(token, hash_name)]


@pytest.fixture(scope="module")
def p256(provider: Provider) -> Agreed:
    return agreed(provider, "ECDH_P256", None, "nistP256")


@pytest.mark.row("SEC-01", "SEC-02", "DRV-05")
@every_row
def test_both_sides_agree(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    """Two token keys, each with the other's public half; the secrets outlive the keys."""
    bits = oracle.EC_CURVES[curve].key_size
    one, other = (generated(token, name, bits, curve_name) for _ in range(2))
    secrets = [
        bcrypt.BCryptSecretAgreement(one, public_of(other)),
        bcrypt.BCryptSecretAgreement(other, public_of(one)),
        bcrypt.BCryptSecretAgreement(one, other),
    ]
    bcrypt.BCryptDestroyKey(one)
    bcrypt.BCryptDestroyKey(other)
    assert len({bcrypt.BCryptDeriveKey(secret, HASH, None, None) for secret in secrets}) == 1
    for secret in secrets:
        bcrypt.BCryptDestroySecret(secret)


@pytest.mark.row("SEC-01")
@nist_rows
def test_the_same_key_on_both_sides(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    blob = oracle.ec_blob("ECDH", curve, software(curve, 77), generic=False)
    pair = imported(token, name, blob)
    z = software(curve, 77).exchange(ec.ECDH(), software(curve, 77).public_key())
    secret = bcrypt.BCryptSecretAgreement(pair, pair)
    assert bcrypt.BCryptDeriveKey(secret, HASH, [(HASH_NAME, "SHA256")], None) == oracle.digest("SHA256", z)


@pytest.mark.row("SEC-01")
def test_the_public_key_may_be_of_another_provider(provider: Provider, nss_provider: Provider) -> None:
    here, there = generated(provider, "ECDH_P256", 256), generated(nss_provider, "ECDH_P256", 256)
    secrets = bcrypt.BCryptSecretAgreement(here, there), bcrypt.BCryptSecretAgreement(there, here)
    assert len({bcrypt.BCryptDeriveKey(secret, HASH, None, None) for secret in secrets}) == 1


@pytest.mark.row("SEC-01", "SEC-03")
def test_handles_that_do_not_agree(provider: Provider) -> None:
    handle = algorithm(provider, "ECDH_P256")
    good, destroyed = generated(provider, "ECDH_P256", 256), generated(provider, "ECDH_P256", 256)
    bcrypt.BCryptDestroyKey(destroyed)
    empty = bcrypt.BCryptGenerateKeyPair(handle, 256)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider).generate_key(128)
    for wrong in (None, handle, destroyed, empty, aes, object()):
        for private, public in ((wrong, good), (good, wrong), (wrong, wrong)):
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptSecretAgreement(private, public)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSecretAgreement(public_of(good), good)
    for flags in (1, 0x80000000):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSecretAgreement(good, good, flags)


@pytest.mark.row("SEC-01", "SEC-03")
def test_keys_of_different_algorithms(provider: Provider) -> None:
    keys = [
        generated(provider, "ECDH_P256", 256),
        generated(provider, "ECDH_P384", 384),
        generated(provider, "ECDH", 256, "nistP256"),
        generated(provider, "ECDSA_P256", 256),
        imported(provider, "RSA", oracle.rsa_blob(1024)),
    ]
    for private in keys:
        for public in keys:
            if private is not public:
                with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                    bcrypt.BCryptSecretAgreement(private, public)


@pytest.mark.row("SEC-03")
def test_keys_that_are_not_for_agreement(provider: Provider) -> None:
    for key in (
        imported(provider, "RSA", oracle.rsa_blob(1024)),
        imported(provider, "RSA_SIGN", oracle.rsa_blob(1024)),
        generated(provider, "ECDSA_P256", 256),
        generated(provider, "ECDSA", 256, "nistP256"),
    ):
        for public in (key, public_of(key)):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSecretAgreement(key, public)


@pytest.mark.row("SEC-03")
def test_generic_keys_on_different_curves(provider: Provider) -> None:
    one, other = (generated(provider, "ECDH", 256, curve) for curve in ("nistP256", "secP256k1"))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSecretAgreement(one, other)
    same = generated(provider, "ECDH", 256, "secP256r1")
    secrets = bcrypt.BCryptSecretAgreement(one, same), bcrypt.BCryptSecretAgreement(same, one)
    assert len({bcrypt.BCryptDeriveKey(secret, HASH, None, None) for secret in secrets}) == 1


@pytest.mark.row("SEC-04", "DRV-01")
def test_handles_that_are_no_secrets(provider: Provider) -> None:
    pair = generated(provider, "ECDH_P256", 256)
    secret = bcrypt.BCryptSecretAgreement(pair, pair)
    bcrypt.BCryptDestroySecret(secret)
    for wrong in (None, algorithm(provider, "ECDH_P256"), pair, secret, object()):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDestroySecret(wrong)
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDeriveKey(wrong, None, 5, -1, 0xFFFF)


@pytest.mark.row("SEC-04")
def test_destroying_one_secret_leaves_the_others(token: Provider) -> None:
    pair = generated(token, "ECDH_P256", 256)
    one, other = (bcrypt.BCryptSecretAgreement(pair, pair) for _ in range(2))
    expected = bcrypt.BCryptDeriveKey(one, HASH, None, None)
    bcrypt.BCryptDestroySecret(one)
    assert bcrypt.BCryptDeriveKey(other, HASH, None, None) == expected


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("function", [None, 5, b"HASH"], ids=str)
def test_functions_that_are_no_names(p256: Agreed, function: object) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, function, None, None)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize(
    "parameters", [5, "text", [5], [(1, 2, 3)], [("HASH", "SHA1")], [(None, b"")], {1: b"x"}], ids=str
)
def test_parameter_lists_that_are_none(p256: Agreed, parameters: object) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, HASH, parameters, None)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("value", ["text", 5, None, ["l"]], ids=str)
@pytest.mark.parametrize("kind", [PREPEND, APPEND, HMAC_KEY], ids=str)
def test_buffers_that_are_none(p256: Agreed, kind: int, value: object) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, HMAC, [(HMAC_KEY, b"key"), (kind, value)], None)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("length", [-1, "20", 1.5], ids=str)
def test_lengths_that_are_none(p256: Agreed, length: object) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, HASH, None, length)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("function", [HASH, TLS_PRF, CONCAT, RAW])
@pytest.mark.parametrize("flags", [0x1, 0x2, 0x80000000])
def test_flags_of_other_functions(p256: Agreed, function: str, flags: int) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, function, everything(TLS1_2), None, flags)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("flags", [0x2, 0x3, 0x80000001])
def test_undefined_flags_of_hmac(p256: Agreed, flags: int) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, HMAC, [(HMAC_KEY, b"key")], None, flags)


@pytest.mark.row("DRV-02")
@pytest.mark.parametrize("function", ["hash", "HKDF2", "", "SHA256", "PBKDF2"])
def test_unknown_functions(p256: Agreed, function: str) -> None:
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptDeriveKey(p256.secret, function, None, None)


@pytest.mark.row("DRV-02")
@pytest.mark.parametrize("function", [HASH, HMAC, TLS_PRF, CONCAT])
@pytest.mark.parametrize("hash_name", ["RNG", "AES", "sha256", "unknown", ""])
def test_unknown_hashes(p256: Agreed, function: str, hash_name: object) -> None:
    parameters = [*everything(TLS1_2), (HASH_NAME, hash_name)]
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptDeriveKey(p256.secret, function, parameters, None)


@pytest.mark.row("DRV-02")
@pytest.mark.parametrize("function", [HASH, HMAC, TLS_PRF, CONCAT])
def test_what_is_no_name_of_a_hash(p256: Agreed, function: str) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, function, [*everything(TLS1_2), (HASH_NAME, 5)], None)


def everything(protocol: int) -> list[tuple[int, object]]:
    """What all functions together require."""
    return [
        (HMAC_KEY, b"key"),
        (LABEL, TLS_LABEL),
        (SEED, TLS_SEED),
        (PROTOCOL, protocol),
        (ALGORITHM_ID, b"algorithm"),
        (PARTY_U, b"party u"),
        (PARTY_V, b"party v"),
    ]


@pytest.mark.row("DRV-03", "DRV-04")
@pytest.mark.parametrize(
    ("function", "hash_name", "natural"),
    [
        (HASH, "SHA1", 20),
        (HASH, "SHA512", 64),
        (HMAC, "SHA256", 32),
        (HMAC, "SHA384", 48),
        (TLS_PRF, "SHA256", 48),
        (CONCAT, "SHA256", 32),
        (CONCAT, "SHA512", 64),
    ],
)
def test_lengths(token: Provider, function: str, hash_name: str, natural: int) -> None:
    """Less is cut off, more is not made; None asks for the natural length."""
    secret, _ = agreed(token, "ECDH_P256", None, "nistP256")
    parameters = [(HASH_NAME, hash_name), *everything(TLS1_2)]
    whole = bcrypt.BCryptDeriveKey(secret, function, parameters, None)
    assert len(whole) == natural
    for length in (0, 1, natural - 1, natural, natural + 1, 1000):
        assert bcrypt.BCryptDeriveKey(secret, function, parameters, length) == whole[:length]


@pytest.mark.row("DRV-05")
@every_row
def test_hash(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    for secret, z in both(token, name, curve_name, curve):
        for nothing in (None, [], ()):
            assert bcrypt.BCryptDeriveKey(secret, HASH, nothing, None) == oracle.digest("SHA1", z)
        for hash_name in hashes_of(token):
            for prefix, suffix in ((b"", b""), (b"before", b""), (b"", b"after"), (b"b" * 200, b"a" * 129)):
                parameters = [(HASH_NAME, hash_name), (PREPEND, prefix), (APPEND, suffix)]
                expected = oracle.digest(hash_name, prefix + z + suffix)
                assert bcrypt.BCryptDeriveKey(secret, HASH, parameters, None) == expected


@pytest.mark.row("DRV-02")
@pytest.mark.parametrize("hash_name", SHA3)
def test_sha3_of_a_secret(pkcs11_token: Provider, hash_name: str) -> None:
    """The token does it where it has the hash; else Z does not leave the token to be hashed on the host."""
    token = pkcs11_token
    secret, z = agreed(token, "ECDH_P256", None, "nistP256")
    parameters = [(HASH_NAME, hash_name), *everything(TLS1_2)]
    otherinfo = b"algorithm" + b"party u" + b"party v"
    expected = {
        (HASH, 0): oracle.digest(hash_name, z),
        (HMAC, 0): oracle.mac(hash_name, b"key", z),
        (CONCAT, 0): oracle.digest(hash_name, b"\0\0\0\1" + z + otherinfo),
        (TLS_PRF, 0): oracle.p_hash(hash_name, z, TLS_LABEL + TLS_SEED, 48),
    }
    for (function, flags), derived in expected.items():
        if token.offers(f"HMAC-{hash_name}") is not Support.REFUSED:
            assert bcrypt.BCryptDeriveKey(secret, function, parameters, None, flags) == derived
            continue
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            bcrypt.BCryptDeriveKey(secret, function, parameters, None, flags)
        assert hash_name in caught.value.message and token.token.label in caught.value.message


@pytest.mark.row("DRV-02", "DRV-03")
@pytest.mark.parametrize("function", [HASH, HMAC, CONCAT])
def test_md5_of_a_secret(token: Provider, function: str) -> None:
    secret, z = agreed(token, "ECDH_P256", None, "nistP256")
    parameters = [(HASH_NAME, "MD5"), *everything(TLS1_2)]
    if not digests_keys(token, "MD5"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            bcrypt.BCryptDeriveKey(secret, function, parameters, None)
        assert "MD5" in caught.value.message and token.token.label in caught.value.message
        return
    expected = {
        HASH: oracle.digest("MD5", z),
        HMAC: oracle.mac("MD5", b"key", z),
        CONCAT: oracle.digest("MD5", b"\0\0\0\1" + z + b"algorithm" + b"party u" + b"party v"),
    }
    assert bcrypt.BCryptDeriveKey(secret, function, parameters, None) == expected[function]


@pytest.mark.row("DRV-06")
@pytest.mark.parametrize("function", [HASH, HMAC])
def test_buffers_of_one_type_are_joined_in_their_order(token: Provider, function: str) -> None:
    secret, z = agreed(token, "ECDH_P256", None, "nistP256")
    parameters = [
        (APPEND, b"x"),
        (PREPEND, b"3"),
        (HASH_NAME, "SHA256"),
        (APPEND, bytearray(b"y")),
        (PREPEND, memoryview(b"1")),
        (HMAC_KEY, b"key"),
        (PREPEND, b""),
        (PREPEND, b"2"),
        (APPEND, b"z"),
    ]
    message = b"312" + z + b"xyz"
    expected = oracle.digest("SHA256", message) if function == HASH else oracle.mac("SHA256", b"key", message)
    assert bcrypt.BCryptDeriveKey(secret, function, parameters, None) == expected
    assert bcrypt.BCryptDeriveKey(secret, function, tuple(parameters), None) == expected


@pytest.mark.row("DRV-06", "DRV-05")
@pytest.mark.parametrize("name", ["SHA256", "SHA256\0", "SHA256".encode("utf-16-le"), "SHA256\0".encode("utf-16-le")])
def test_a_hash_name_is_a_string_or_its_buffer(token: Provider, name: str | bytes) -> None:
    secret, z = agreed(token, "ECDH_P256", None, "nistP256")
    assert bcrypt.BCryptDeriveKey(secret, HASH, [(HASH_NAME, name)], None) == oracle.digest("SHA256", z)


@pytest.mark.row("DRV-05")
@every_row
def test_hmac_with_the_callers_key(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    for secret, z in both(token, name, curve_name, curve):
        for size in (0, 1, 20, 64, 65, 128, 129, 300):
            key = bytes(octet % 256 for octet in range(size))
            expected = oracle.mac("SHA1", key, z)
            assert bcrypt.BCryptDeriveKey(secret, HMAC, [(HMAC_KEY, key)], None) == expected
            for hash_name in hashes_of(token):
                parameters = [(HASH_NAME, hash_name), (HMAC_KEY, key), (PREPEND, b"before"), (APPEND, b"after")]
                expected = oracle.mac(hash_name, key, b"before" + z + b"after")
                assert bcrypt.BCryptDeriveKey(secret, HMAC, parameters, None) == expected


@pytest.mark.row("DRV-05")
@every_row
def test_hmac_with_the_secret_as_key(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    """The secret is the key and stays in the message."""
    for secret, z in both(token, name, curve_name, curve):
        if keys_an_hmac_of_itself(token, "SHA1", z):
            assert bcrypt.BCryptDeriveKey(secret, HMAC, None, None, SECRET_IS_KEY) == oracle.mac("SHA1", z, z)
        for hash_name in HASHES:
            for prefix, suffix in ((b"", b""), (b"before", b"after"), (b"b" * 5000, b"")):
                parameters = [(HASH_NAME, hash_name), (PREPEND, prefix), (APPEND, suffix), (HMAC_KEY, b"ignored")]
                if not keys_an_hmac_of_itself(token, hash_name, z):
                    with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
                        bcrypt.BCryptDeriveKey(secret, HMAC, parameters, None, SECRET_IS_KEY)
                    assert token.token.label in caught.value.message
                    continue
                derived = bcrypt.BCryptDeriveKey(secret, HMAC, parameters, None, SECRET_IS_KEY)
                assert derived == oracle.mac(hash_name, z, prefix + z + suffix)


@pytest.mark.row("DRV-05")
def test_a_secret_that_cannot_be_masked_is_the_key_where_it_may_be_read(raw_secret_token: Provider) -> None:
    for name, curve in (("ECDH_P256", "nistP256"), ("ECDH_P521", "nistP521")):
        need(raw_secret_token, "ECDH", curve)
        secret, z = agreed(raw_secret_token, name, None, curve)
        for hash_name in ("SHA1", "SHA256", "SHA512"):
            parameters = [(HASH_NAME, hash_name), (PREPEND, b"before"), (APPEND, b"after")]
            derived = bcrypt.BCryptDeriveKey(secret, HMAC, parameters, None, SECRET_IS_KEY)
            assert derived == oracle.mac(hash_name, z, b"before" + z + b"after")


@pytest.mark.row("DRV-05")
@pytest.mark.parametrize("parameters", [None, [], [(HASH_NAME, "SHA256")], [(PREPEND, b"x")]], ids=str)
def test_hmac_needs_a_key(p256: Agreed, parameters: list[tuple[int, object]] | None) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, HMAC, parameters, None)


@pytest.mark.row("DRV-03")
@every_row
@pytest.mark.parametrize("hash_name", ["SHA256", "SHA384"])
def test_tls12_prf(token: Provider, name: str, curve_name: str | None, curve: str, hash_name: str) -> None:
    for secret, z in both(token, name, curve_name, curve):
        parameters = [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, TLS1_2), (HASH_NAME, hash_name)]
        if not takes_hmac_key(token, hash_name, z):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
                bcrypt.BCryptDeriveKey(secret, TLS_PRF, parameters, None)
            assert f"HMAC-{hash_name} under an agreed secret of {len(z)} bytes" in caught.value.message
            continue
        expected = oracle.p_hash(hash_name, z, TLS_LABEL + TLS_SEED, 48)
        assert bcrypt.BCryptDeriveKey(secret, TLS_PRF, parameters, None) == expected
        if hash_name == "SHA256":
            assert bcrypt.BCryptDeriveKey(secret, TLS_PRF, parameters[:3], None) == expected
            parameters[2] = (PROTOCOL, TLS1_2.to_bytes(4, "little"))
            assert bcrypt.BCryptDeriveKey(secret, TLS_PRF, parameters, 48) == expected


@pytest.mark.row("DRV-03")
@every_row
@pytest.mark.parametrize("protocol", [TLS1_0, TLS1_1, DTLS1_0, None])
def test_tls10_prf(nss_provider: Provider, name: str, curve_name: str | None, curve: str, protocol: int | None) -> None:
    """TLS 1.0, also where no protocol is named: each half of Z keys its HMAC in the token."""
    for secret, z in both(nss_provider, name, curve_name, curve):
        parameters = [(LABEL, TLS_LABEL), (SEED, TLS_SEED), *([(PROTOCOL, protocol)] if protocol else [])]
        derived = bcrypt.BCryptDeriveKey(secret, TLS_PRF, parameters, None)
        assert derived == oracle.tls10_prf(z, TLS_LABEL, TLS_SEED, 48)


@pytest.mark.row("DRV-03")
@nist_rows
@pytest.mark.parametrize("protocol", [TLS1_0, TLS1_1, DTLS1_0])
def test_tls10_prf_without_halving(
    provider: Provider, name: str, curve_name: str | None, curve: str, protocol: int
) -> None:
    secret, _ = agreed(provider, name, curve_name, curve)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
        bcrypt.BCryptDeriveKey(secret, TLS_PRF, [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, protocol)], None)
    assert "CKM_EXTRACT_KEY_FROM_KEY" in caught.value.message and provider.token.label in caught.value.message


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize(
    "parameters",
    [
        None,
        [(LABEL, TLS_LABEL), (PROTOCOL, TLS1_2)],
        [(SEED, TLS_SEED), (PROTOCOL, TLS1_2)],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED[:63]), (PROTOCOL, TLS1_2)],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED + b"\0"), (PROTOCOL, TLS1_2)],
        [(LABEL, "master secret"), (SEED, TLS_SEED), (PROTOCOL, TLS1_2)],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, 0x0300)],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, 0x0304)],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, b"\x03\x03")],
        [(LABEL, TLS_LABEL), (SEED, TLS_SEED), (PROTOCOL, "TLS 1.2")],
    ],
    ids=range(10),
)
def test_tls_prf_parameters_that_are_none(p256: Agreed, parameters: list[tuple[int, object]] | None) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, TLS_PRF, parameters, None)


@pytest.mark.row("DRV-03", "DRV-05")
@every_row
def test_sp800_56a_concat(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    parts = (
        (ALGORITHM_ID, b"algorithm"),
        (PARTY_U, b"u" * 40),
        (PARTY_V, b""),
        (PUBLIC_INFO, b"p"),
        (PRIVATE_INFO, b"q"),
    )
    for secret, z in both(token, name, curve_name, curve):
        for count in (3, 4, 5):
            other_info = b"".join(value for _, value in parts[:count])
            default = CONCAT_DEFAULTS.get(curve, "SHA256")
            for hash_name in (None, *hashes_of(token)):
                # The order of a list is not that of OtherInfo.
                parameters = [*reversed(parts[:count]), *([(HASH_NAME, hash_name)] if hash_name else [])]
                derived = bcrypt.BCryptDeriveKey(secret, CONCAT, parameters, None)
                used = hash_name or default
                assert derived == oracle.digest(used, b"\0\0\0\1" + z + other_info)
                if used in CONCAT_HASHES:
                    function = CONCAT_HASHES[used]
                    assert derived == ConcatKDFHash(function, function.digest_size, other_info).derive(z)


@pytest.mark.row("DRV-01")
@pytest.mark.parametrize("absent", [ALGORITHM_ID, PARTY_U, PARTY_V], ids=str)
def test_concat_parameters_that_are_missing(p256: Agreed, absent: int) -> None:
    parameters = [(kind, value) for kind, value in everything(TLS1_2) if kind != absent]
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(p256.secret, CONCAT, parameters, None)


@pytest.mark.row("DRV-03")
@every_row
def test_the_raw_secret_stays_in_the_token(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    secret, z = agreed(token, name, curve_name, curve)
    for length in (None, 0, 16, len(z)):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            bcrypt.BCryptDeriveKey(secret, RAW, None, length)
        assert "allow_raw_secret" in caught.value.message
        assert z.hex() not in str(caught.value) and z[::-1].hex() not in str(caught.value)


@pytest.mark.row("DRV-03", "DRV-04")
@every_row
def test_the_raw_secret_on_request(raw_secret_token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    """Little-endian, as Windows has it; a short length cuts the reversed secret [choice]."""
    for secret, z in both(raw_secret_token, name, curve_name, curve):
        assert bcrypt.BCryptDeriveKey(secret, RAW, None, None) == z[::-1]
        for length in (0, 1, 16, len(z), len(z) + 1):
            assert bcrypt.BCryptDeriveKey(secret, RAW, [], length) == z[::-1][:length]
        assert bcrypt.BCryptDeriveKey(secret, HASH, None, None) == oracle.digest("SHA1", z)
        assert bcrypt.BCryptDeriveKey(secret, HMAC, None, None, SECRET_IS_KEY) == oracle.mac("SHA1", z, z)


@pytest.mark.row("DRV-04", "SEC-02")
def test_one_secret_in_four_threads(token: Provider) -> None:
    need(token, "ECDH", "nistP384")
    secret, z = agreed(token, "ECDH_P384", None, "nistP384")
    functions: Sequence[Callable[[bytes], bool]] = (
        lambda text: (
            bcrypt.BCryptDeriveKey(secret, HASH, [(HASH_NAME, "SHA256"), (PREPEND, text)], None)
            == oracle.digest("SHA256", text + z)
        ),
        lambda text: bcrypt.BCryptDeriveKey(secret, HMAC, [(HMAC_KEY, text)], None) == oracle.mac("SHA1", text, z),
        lambda text: (
            not keys_an_hmac_of_itself(token, "SHA1", z)
            or bcrypt.BCryptDeriveKey(secret, HMAC, [(APPEND, text)], None, SECRET_IS_KEY)
            == oracle.mac("SHA1", z, z + text)
        ),
    )

    def work(thread: int) -> bool:
        return all(function(bytes([thread, step])) for step in range(50) for function in functions)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))

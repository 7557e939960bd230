"""Keys derived from a secret into the token: neither is on the host, and the key is the one that the formula gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from conformance import oracle
from conformance.checks import algorithm, fails, need
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from pkcs11 import Attribute
from support import missing

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import AlgorithmHandle, Secret, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11 import objects
from hwcng.testing.calls import CallCounter

HASH, PREPEND, APPEND = bcrypt.KDF_HASH_ALGORITHM, bcrypt.KDF_SECRET_PREPEND, bcrypt.KDF_SECRET_APPEND
DATA = bytes(range(64))
OTHER_INFO = [
    (bcrypt.KDF_ALGORITHMID, b"algorithm"),
    (bcrypt.KDF_PARTYUINFO, b"u"),
    (bcrypt.KDF_PARTYVINFO, b"v"),
]


@pytest.fixture
def agreed(token: Provider) -> tuple[Secret, bytes]:
    """A secret in the token, and Z as the peer has it."""
    handle = algorithm(token, "ECDH_P256")
    peer = ec.generate_private_key(ec.SECP256R1())
    blob = oracle.ec_blob("ECDH", "nistP256", peer.public_key(), generic=False)
    ours = bcrypt.BCryptGenerateKeyPair(handle, 256)
    bcrypt.BCryptFinalizeKeyPair(ours)
    secret = bcrypt.BCryptSecretAgreement(ours, bcrypt.BCryptImportKeyPair(handle, None, "ECCPUBLICBLOB", blob))
    public = oracle.ec_public_key("nistP256", bcrypt.BCryptExportKey(ours, None, "ECCPUBLICBLOB"))
    return secret, peer.exchange(ec.ECDH(), public)


def hashed(name: str, prefix: bytes = b"", suffix: bytes = b"") -> Callable[[bytes, int], bytes]:
    return lambda z, size: oracle.digest(name, prefix + z + suffix)[:size]


def hkdf(salt: bytes | None, info: bytes, name: str = "SHA256") -> Callable[[bytes, int], bytes]:
    return lambda z, size: HKDF(oracle.CRYPTOGRAPHY[name], size, salt, info).derive(z)


INFO = b"\0\0\0\x01", b"algorithmuv"
CASES: dict[str, tuple[str, Sequence[tuple[int, object]], Callable[[bytes, int], bytes]]] = {
    "HASH": ("HASH", [(HASH, "SHA256")], hashed("SHA256")),
    "HASH default": ("HASH", [], hashed("SHA1")),
    "HASH prefix": ("HASH", [(HASH, "SHA384"), (PREPEND, b"before")], hashed("SHA384", b"before")),
    "HASH suffix": ("HASH", [(HASH, "SHA512"), (APPEND, b"after")], hashed("SHA512", b"", b"after")),
    "HASH both": ("HASH", [(HASH, "SHA256"), (PREPEND, b"b"), (APPEND, b"a")], hashed("SHA256", b"b", b"a")),
    "CONCAT": ("SP800_56A_CONCAT", OTHER_INFO, hashed("SHA256", *INFO)),
    "CONCAT SHA512": ("SP800_56A_CONCAT", [*OTHER_INFO, (HASH, "SHA512")], hashed("SHA512", *INFO)),
    "HKDF": ("HKDF", [(HASH, "SHA256")], hkdf(None, b"")),
    "HKDF salt and info": (
        "HKDF",
        [(HASH, "SHA512"), (bcrypt.KDF_HKDF_SALT, b"salt"), (bcrypt.KDF_HKDF_INFO, b"info")],
        hkdf(b"salt", b"info", "SHA512"),
    ),
}


def need_function(token: Provider, function: str) -> None:
    need(token, "HKDF" if function == "HKDF" else "HASH", "KEY")


def stays_inside(key: SymmetricKey) -> bool:
    held = key.token_key.held  # type: ignore[attr-defined]
    kinds = [Attribute.SENSITIVE, Attribute.EXTRACTABLE]
    return list(objects.read_attributes(held.connection, held.handle, kinds, 1).values()) == [b"\1", b"\0"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bits", [128, 256])
def test_aes_key_of_an_agreed_secret(token: Provider, agreed: tuple[Secret, bytes], case: str, bits: int) -> None:
    function, parameters, formula = CASES[case]
    need_function(token, function)
    secret, z = agreed
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    if case == "HASH default" and bits > 160:
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            secret.derive_to_key(aes, function, parameters, bits)
        return
    with secret.derive_to_key(aes, function, parameters, bits) as key:
        assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == bits
        assert bcrypt.BCryptEncrypt(key, DATA, None, bytes(16)) == oracle.aes(
            "CBC", formula(z, bits // 8), bytes(16), DATA
        )
        assert stays_inside(key)
        for blob_type in (bcrypt.BCRYPT_KEY_DATA_BLOB, bcrypt.BCRYPT_OPAQUE_KEY_BLOB):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptExportKey(key, None, blob_type)


@pytest.mark.parametrize("case", ["HASH both", "HKDF salt and info"])
def test_keys_of_other_algorithms(token: Provider, agreed: tuple[Secret, bytes], case: str) -> None:
    function, parameters, formula = CASES[case]
    need_function(token, function)
    secret, z = agreed
    hmac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", token, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with secret.derive_to_key(hmac, function, parameters, 256) as key:
        assert bcrypt.BCryptHash(hmac, key, DATA) == oracle.mac("SHA256", formula(z, 32), DATA)
        assert stays_inside(key)
    cmac = bcrypt.BCryptOpenAlgorithmProvider("AES-CMAC", token)
    with secret.derive_to_key(cmac, function, parameters, 128) as key:
        assert bcrypt.BCryptHash(cmac, key, DATA) == bcrypt.BCryptHash(cmac, formula(z, 16), DATA)
    kdf = bcrypt.BCryptOpenAlgorithmProvider("HKDF", token)
    with secret.derive_to_key(kdf, function, parameters, 256) as key:
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, b"salt")
        derived = bcrypt.BCryptKeyDerivation(key, None, 40)
        assert derived == hkdf(b"salt", b"")(formula(z, 32), 40)


def test_secrets_take_hkdf_properties(token: Provider, agreed: tuple[Secret, bytes]) -> None:
    need(token, "HKDF", "KEY")
    secret, z = agreed
    bcrypt.BCryptSetProperty(secret, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
    bcrypt.BCryptSetProperty(secret, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, b"salt")
    info = [(bcrypt.KDF_HKDF_INFO, b"info")]
    assert bcrypt.BCryptDeriveKey(secret, "HKDF", info, 100) == hkdf(b"salt", b"info")(z, 100)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    with secret.derive_to_key(aes, "HKDF", info, 128) as key:
        expected = oracle.aes("CBC", hkdf(b"salt", b"info")(z, 16), bytes(16), DATA)
        assert bcrypt.BCryptEncrypt(key, DATA, None, bytes(16)) == expected


@pytest.mark.row("DRV-03")
def test_hkdf_of_an_agreed_secret_for_the_caller(token: Provider, agreed: tuple[Secret, bytes]) -> None:
    secret, z = agreed
    parameters = [(HASH, "SHA384"), (bcrypt.KDF_HKDF_SALT, b"salt"), (bcrypt.KDF_HKDF_INFO, b"info")]
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDeriveKey(secret, "HKDF", parameters[1:], 32)
    need(token, "HKDF", "KEY")
    for length in (1, 48, 49, 1000):
        expected = hkdf(b"salt", b"info", "SHA384")(z, length)
        assert bcrypt.BCryptDeriveKey(secret, "HKDF", parameters, length) == expected
    assert len(bcrypt.BCryptDeriveKey(secret, "HKDF", parameters, None)) == 48


def test_what_stays_outside_is_refused(token: Provider, agreed: tuple[Secret, bytes]) -> None:
    secret, _ = agreed
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    for function in ("HMAC", "TLS_PRF", "TRUNCATE", "nothing"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            secret.derive_to_key(aes, function, None, 128)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        secret.derive_to_key(aes, "SP800_56A_CONCAT", OTHER_INFO[1:], 128)
    for bits in (0, 136, 127, -128, None):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            secret.derive_to_key(aes, "HASH", [(HASH, "SHA256")], bits)  # type: ignore[arg-type]
    aes.destroy()
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        secret.derive_to_key(aes, "HASH", [(HASH, "SHA256")], 128)


WEAK = [
    ("SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG, 8),
    ("SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG, 104),
    ("HKDF", 0, 8),
    ("SP800_108_CTR_HMAC", 0, 40),
    ("RC2", 0, 40),
    ("RC4", 0, 56),
    ("DES", 0, 64),
]


@pytest.mark.parametrize(("name", "flags", "bits"), WEAK)
@pytest.mark.parametrize("case", ["HASH", "CONCAT", "HKDF"])
def test_a_key_that_can_be_guessed_is_not_derived(
    token: Provider,
    agreed: tuple[Secret, bytes],
    calls: Callable[..., CallCounter],
    case: str,
    name: str,
    flags: int,
    bits: int,
) -> None:
    """It is the beginning of a longer key of the same parameters."""
    function, parameters, _ = CASES[case]
    need_function(token, function)
    need(token, f"HMAC-{name}" if flags else name)
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token, flags)
    with calls(token) as counter, fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        agreed[0].derive_to_key(handle, function, parameters, bits)
    assert not counter.names


@pytest.mark.parametrize("name", ["HKDF", "SP800_108_CTR_HMAC"])
def test_a_key_of_a_base_key_that_can_be_guessed_is_not_derived(token: Provider, name: str) -> None:
    need(token, name)
    key = base_key(token, name, DATA[:32])
    if name == "HKDF":
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE, None)
    handle = bcrypt.BCryptOpenAlgorithmProvider("SHA256", token, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    parameters = None if name == "HKDF" else [(HASH, "SHA256"), (bcrypt.KDF_LABEL, b"l"), (bcrypt.KDF_CONTEXT, b"c")]
    for bits in (8, 64, 104):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            key.derive_to_key(handle, parameters, bits)  # type: ignore[attr-defined]
        assert "112" in str(caught.value)


def test_an_rc2_key_of_few_effective_bits_is_not_derived(token: Provider, agreed: tuple[Secret, bytes]) -> None:
    need(token, "RC2")
    need_function(token, "HASH")
    handle = bcrypt.BCryptOpenAlgorithmProvider("RC2", token)
    bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH, 16)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        agreed[0].derive_to_key(handle, "HASH", [(HASH, "SHA256")], 128)


def test_a_token_without_the_mechanism_refuses(provider: Provider) -> None:
    if provider.offers("HASH", "KEY").name != "REFUSED":
        missing("a token without CKM_SHA256_KEY_DERIVATION")
    handle = algorithm(provider, "ECDH_P256")
    ours = bcrypt.BCryptGenerateKeyPair(handle, 256)
    bcrypt.BCryptFinalizeKeyPair(ours)
    secret, aes = bcrypt.BCryptSecretAgreement(ours, ours), bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    for function in ("HASH", "HKDF"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            secret.derive_to_key(aes, function, [(HASH, "SHA256")], 128)


def kbkdf(key: bytes, size: int) -> bytes:
    return KBKDFHMAC(
        oracle.CRYPTOGRAPHY["SHA256"], Mode.CounterMode, size, 4, 4, CounterLocation.BeforeFixed, b"l", b"c", None
    ).derive(key)


def base_key(token: Provider, name: str, secret: bytes) -> SymmetricKey:
    return bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCryptOpenAlgorithmProvider(name, token), None, secret)


def test_keys_of_base_keys(token: Provider, calls: Callable[..., CallCounter]) -> None:
    need(token, "SP800_108_CTR_HMAC", "KEY")
    need(token, "HKDF", "KEY")
    aes: AlgorithmHandle = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    for size in (5, 32, 100):
        value = bytes(range(size))
        counter_key, hkdf_key = base_key(token, "SP800_108_CTR_HMAC", value), base_key(token, "HKDF", value)
        bcrypt.BCryptSetProperty(hkdf_key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
        bcrypt.BCryptSetProperty(hkdf_key, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, None)
        parameters = [(HASH, "SHA256"), (bcrypt.KDF_LABEL, b"l"), (bcrypt.KDF_CONTEXT, b"c")]
        for key, pairs, expected in (
            (counter_key, parameters, kbkdf(value, 32)),
            (hkdf_key, [(bcrypt.KDF_HKDF_INFO, b"i")], hkdf(None, b"i")(value, 32)),
        ):
            with calls(token) as counter:
                made = key.derive_to_key(aes, pairs, 256)  # type: ignore[attr-defined]
            assert counter.names.count("C_DeriveKey") == 1
            with made:
                assert bcrypt.BCryptEncrypt(made, DATA, None, bytes(16)) == oracle.aes("CBC", expected, bytes(16), DATA)
                assert stays_inside(made)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        base_key(token, "PBKDF2", b"x").derive_to_key(aes, None, 256)  # type: ignore[attr-defined]

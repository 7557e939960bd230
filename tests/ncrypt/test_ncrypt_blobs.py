"""NCryptImportKey and NCryptExportKey."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from conformance.helpers import (
    RESERVED_BITS,
    capi_private_blob,
    ecc_blob,
    ecc_key,
    key_data_blob,
    refused,
    rsa_private_blob,
    rsa_public_blob,
)
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils, x448
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from hwcng import ncrypt
from hwcng.errors import HRESULT
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    BCRYPT_PKCS1_PADDING_INFO,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_CIPHER_KEY_BLOB,
    NCRYPT_DO_NOT_FINALIZE_FLAG,
    NCRYPT_MACHINE_KEY_FLAG,
    NCRYPT_OPAQUETRANSPORT_BLOB,
    NCRYPT_OVERWRITE_KEY_FLAG,
    NCRYPT_PKCS8_PRIVATE_KEY_BLOB,
    NCRYPT_SILENT_FLAG,
    NCRYPTBUFFER_ECC_CURVE_NAME,
    NCRYPTBUFFER_PKCS_ALG_ID,
    NCRYPTBUFFER_PKCS_KEY_NAME,
    NCRYPTBUFFER_PKCS_SECRET,
    NCryptEncrypt,
    NCryptExportKey,
    NCryptFinalizeKey,
    NCryptGetProperty,
    NCryptImportKey,
    NCryptOpenKey,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
SECRET = bytes(range(16))


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(name: str | None) -> list[tuple[int, str]]:
    return [] if name is None else [(NCRYPTBUFFER_PKCS_KEY_NAME, name)]


def pkcs8(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    protection = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, protection)


def check_rsa(key: NCryptKey, host: rsa.RSAPrivateKey) -> None:
    signature = NCryptSignHash(key, PKCS1, DIGEST, 2)
    host.public_key().verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def check_ecdsa(key: NCryptKey, host: ec.EllipticCurvePrivateKey) -> None:
    signature = NCryptSignHash(key, None, DIGEST)
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    host.public_key().verify(utils.encode_dss_signature(r, s), DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


@pytest.mark.parametrize("with_name", [True, False])
@pytest.mark.parametrize(
    "blob_type", ["RSAPRIVATEBLOB", "RSAFULLPRIVATEBLOB", "PRIVATEBLOB", "CAPIPRIVATEBLOB", "PKCS8"]
)
def test_rsa_pairs(
    storage: StorageProvider, name: str, rsa_key: rsa.RSAPrivateKey, blob_type: str, with_name: bool
) -> None:
    numbers = rsa_key.private_numbers()
    blob = {
        "CAPIPRIVATEBLOB": lambda: capi_private_blob(numbers),
        "RSAFULLPRIVATEBLOB": lambda: rsa_private_blob(numbers, full=True),
        "PKCS8": lambda: pkcs8(rsa_key),
    }.get(blob_type, lambda: rsa_private_blob(numbers))()
    kind = NCRYPT_PKCS8_PRIVATE_KEY_BLOB if blob_type == "PKCS8" else blob_type
    key = NCryptImportKey(storage, None, kind, named(name if with_name else None), blob)
    assert NCryptGetProperty(key, "Algorithm Name") == "RSA"
    assert NCryptGetProperty(key, "Length") == 2048
    check_rsa(NCryptOpenKey(storage, name) if with_name else key, rsa_key)
    assert NCryptExportKey(key, None, "RSAPUBLICBLOB") == rsa_public_blob(numbers.public_numbers)
    assert NCryptExportKey(key, None, "CAPIPUBLICBLOB")[20:] == numbers.public_numbers.n.to_bytes(256, "little")


@pytest.mark.parametrize("magic", [b"ECS2", b"ECK2", b"ECDV"])
@pytest.mark.parametrize("blob_type", ["ECCPRIVATEBLOB", "PRIVATEBLOB"])
def test_ec_pairs(storage: StorageProvider, name: str, magic: bytes, blob_type: str) -> None:
    x, y, scalar = ecc_key(256)
    parameters = [*named(name), (NCRYPTBUFFER_ECC_CURVE_NAME, "nistP256".encode("utf-16-le"))]
    key = NCryptImportKey(storage, None, blob_type, parameters, ecc_blob(magic, 32, x, y, scalar))
    algorithm = {b"ECS2": "ECDSA_P256", b"ECK2": "ECDH_P256", b"ECDV": "ECDSA"}[magic]
    assert NCryptGetProperty(key, "Algorithm Name") == algorithm
    public = {b"ECS2": b"ECS1", b"ECK2": b"ECK1", b"ECDV": b"ECDP"}[magic]
    assert NCryptExportKey(key, None, "ECCPUBLICBLOB") == ecc_blob(public, 32, x, y)
    if magic != b"ECK2":
        host = ec.derive_private_key(scalar, ec.SECP256R1())
        check_ecdsa(NCryptOpenKey(storage, name), host)


@pytest.mark.parametrize(("magic", "public"), [(b"ECS2", b"ECS1"), (b"ECK2", b"ECK1"), (b"ECDV", b"ECDP")])
def test_an_ec_pair_without_its_point_gets_it(storage: StorageProvider, magic: bytes, public: bytes) -> None:
    x, y, scalar = ecc_key(256)
    parameters = [(NCRYPTBUFFER_ECC_CURVE_NAME, "nistP256".encode("utf-16-le"))]
    key = NCryptImportKey(storage, None, "ECCPRIVATEBLOB", parameters, ecc_blob(magic, 32, 0, 0, scalar))
    assert NCryptExportKey(key, None, "ECCPUBLICBLOB") == ecc_blob(public, 32, x, y)


def test_a_generic_blob_without_its_curve(soft_storage: StorageProvider) -> None:
    x, y, scalar = ecc_key(256)
    for blob_type, blob in (
        ("ECCPRIVATEBLOB", ecc_blob(b"ECDV", 32, x, y, scalar)),
        ("ECCPUBLICBLOB", ecc_blob(b"ECDP", 32, x, y)),
    ):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptImportKey(soft_storage, None, blob_type, None, blob)
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptImportKey(soft_storage, None, blob_type, [(NCRYPTBUFFER_ECC_CURVE_NAME, "no curve")], blob)


def test_public_keys_stay_on_the_host(storage: StorageProvider, name: str, rsa_key: rsa.RSAPrivateKey) -> None:
    blob = rsa_public_blob(rsa_key.public_key().public_numbers())
    for blob_type in ("RSAPUBLICBLOB", "PUBLICBLOB"):
        key = NCryptImportKey(storage, None, blob_type, None, blob)
        signature = rsa_key.sign(DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        NCryptVerifySignature(key, PKCS1, DIGEST, signature, 2)
        assert len(NCryptEncrypt(key, b"text", None, 2)) == 256
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptImportKey(storage, None, blob_type, named(name), blob)
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(storage, name)


def test_malformed_rsa_blobs(soft_storage: StorageProvider, rsa_key: rsa.RSAPrivateKey, name: str) -> None:
    public = rsa_public_blob(rsa_key.public_key().public_numbers())
    private = rsa_private_blob(rsa_key.private_numbers())
    exponent_of_9 = public[:8] + struct.pack("<I", 9) + public[12:]
    for blob_type, blob, status in (
        ("RSAPUBLICBLOB", public[:-1], HRESULT.NTE_BAD_DATA),
        ("RSAPUBLICBLOB", public + b"\0", HRESULT.NTE_BAD_DATA),
        ("RSAPUBLICBLOB", exponent_of_9, HRESULT.NTE_BAD_DATA),
        ("RSAPUBLICBLOB", b"", HRESULT.NTE_BAD_DATA),
        ("RSAPUBLICBLOB", b"RSA9" + public[4:], HRESULT.NTE_INVALID_PARAMETER),
        ("RSAPRIVATEBLOB", private[:-1], HRESULT.NTE_BAD_DATA),
        ("RSAPRIVATEBLOB", private + b"\0", HRESULT.NTE_BAD_DATA),
        ("RSAPRIVATEBLOB", public, HRESULT.NTE_INVALID_PARAMETER),
        ("RSAPRIVATEBLOB", b"XXXX" + private[4:], HRESULT.NTE_INVALID_PARAMETER),
        ("PRIVATEBLOB", b"XXXX" + private[4:], HRESULT.NTE_INVALID_PARAMETER),
        ("PUBLICBLOB", b"", HRESULT.NTE_INVALID_PARAMETER),
        ("ECCPUBLICBLOB", public, HRESULT.NTE_INVALID_PARAMETER),
        ("RSAPUBLICBLOB", b"ECS1" + bytes(68), HRESULT.NTE_INVALID_PARAMETER),
    ):
        with refused(status):
            NCryptImportKey(soft_storage, None, blob_type, None, blob)
    with refused(HRESULT.NTE_BAD_DATA):
        NCryptImportKey(soft_storage, None, "RSAPRIVATEBLOB", named(name), private[:-1])
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(soft_storage, name)


@pytest.mark.parametrize("blob_type", ["", "no such blob", "PKCS7_ENVELOPE", "ProtectedKeyBlob", "CAPIPUBLICBLOB"])
def test_types_that_are_not_imported(storage: StorageProvider, blob_type: str) -> None:
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptImportKey(storage, None, blob_type, None, b"blob")


def test_flags_and_parameters(soft_storage: StorageProvider, rsa_key: rsa.RSAPrivateKey, name: str) -> None:
    blob = rsa_public_blob(rsa_key.public_key().public_numbers())
    known = NCRYPT_OVERWRITE_KEY_FLAG | NCRYPT_MACHINE_KEY_FLAG | NCRYPT_DO_NOT_FINALIZE_FLAG | NCRYPT_SILENT_FLAG | 8
    for flags in (49, *(bit for bit in RESERVED_BITS if not bit & known)):
        with refused(HRESULT.NTE_BAD_FLAGS):
            NCryptImportKey(soft_storage, None, "RSAPUBLICBLOB", None, blob, flags)
    NCryptImportKey(soft_storage, None, "RSAPUBLICBLOB", None, blob, known)
    for wrong in (7, [7], [("x", name)], [(NCRYPTBUFFER_PKCS_KEY_NAME, 7)], [(NCRYPTBUFFER_PKCS_KEY_NAME, "\0")]):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptImportKey(soft_storage, None, "RSAPRIVATEBLOB", wrong, rsa_private_blob(rsa_key.private_numbers()))  # type: ignore[arg-type]
    for handle in (soft_storage, 1, "key"):
        with refused(HRESULT.NTE_INVALID_HANDLE):
            NCryptImportKey(soft_storage, handle, "RSAPUBLICBLOB", None, blob)  # type: ignore[arg-type]


def test_a_taken_name(storage: StorageProvider, made: Make, name: str, rsa_key: rsa.RSAPrivateKey) -> None:
    made(storage, "ECDSA_P256", name)
    blob = rsa_private_blob(rsa_key.private_numbers())
    with refused(HRESULT.NTE_EXISTS):
        NCryptImportKey(storage, None, "RSAPRIVATEBLOB", named(name), blob)
    assert NCryptGetProperty(NCryptOpenKey(storage, name), "Algorithm Name") == "ECDSA_P256"
    NCryptImportKey(storage, None, "RSAPRIVATEBLOB", named(name), blob, NCRYPT_OVERWRITE_KEY_FLAG)
    check_rsa(NCryptOpenKey(storage, name), rsa_key)


def test_properties_before_an_import_is_finished(
    soft_storage: StorageProvider, name: str, rsa_key: rsa.RSAPrivateKey
) -> None:
    blob = rsa_private_blob(rsa_key.private_numbers())
    key = NCryptImportKey(soft_storage, None, "RSAPRIVATEBLOB", named(name), blob, NCRYPT_DO_NOT_FINALIZE_FLAG)
    assert NCryptGetProperty(key, "Length") == 2048
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptSignHash(key, PKCS1, DIGEST, 2)
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(soft_storage, name)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSetProperty(key, "Length", 1024)
    NCryptSetProperty(key, "Key Usage", ncrypt.NCRYPT_ALLOW_SIGNING_FLAG)
    NCryptSetProperty(key, "Export Policy", NCRYPT_ALLOW_EXPORT_FLAG)
    NCryptFinalizeKey(key)
    again = NCryptOpenKey(soft_storage, name)
    check_rsa(again, rsa_key)
    assert NCryptGetProperty(again, "Key Usage") == ncrypt.NCRYPT_ALLOW_SIGNING_FLAG
    assert NCryptGetProperty(again, "Export Policy") == NCRYPT_ALLOW_EXPORT_FLAG
    with refused(HRESULT.NTE_PERM):
        ncrypt.NCryptDecrypt(again, NCryptEncrypt(again, b"x", None, 2), None, 2)


def cipher_key_blob(name: str, secret: bytes, magic: bytes = b"CPHR") -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return struct.pack("<I", 16) + magic + struct.pack("<2I", len(text), len(secret)) + text + secret


def ecb(key: NCryptKey) -> bytes:
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeECB")
    return NCryptEncrypt(key, bytes(16))


AES_ECB_OF_ZEROS = bytes.fromhex("c6a13b37878f5b826f4f8162a1c8d879")
"""AES-128 of sixteen zero bytes under 000102..0f."""


@pytest.mark.parametrize(
    ("blob_type", "blob"),
    [("KeyDataBlob", key_data_blob(SECRET)), (NCRYPT_CIPHER_KEY_BLOB, cipher_key_blob("AES", SECRET))],
)
def test_symmetric_keys(storage: StorageProvider, name: str, blob_type: str, blob: bytes) -> None:
    key = NCryptImportKey(storage, None, blob_type, named(name), blob)
    assert (NCryptGetProperty(key, "Algorithm Name"), NCryptGetProperty(key, "Length")) == ("AES", 128)
    assert ecb(key) == ecb(NCryptOpenKey(storage, name)) == AES_ECB_OF_ZEROS
    draft = NCryptImportKey(storage, None, blob_type, None, blob, NCRYPT_DO_NOT_FINALIZE_FLAG)
    assert NCryptGetProperty(draft, "Length") == 128
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSetProperty(draft, "Length", 256)
    NCryptFinalizeKey(draft)
    assert ecb(draft) == AES_ECB_OF_ZEROS


def test_malformed_symmetric_blobs(soft_storage: StorageProvider) -> None:
    good = cipher_key_blob("AES", SECRET)
    for blob_type, blob, status in (
        (NCRYPT_CIPHER_KEY_BLOB, good[:15], HRESULT.NTE_BAD_DATA),
        (NCRYPT_CIPHER_KEY_BLOB, good[:-1], HRESULT.NTE_BAD_DATA),
        (NCRYPT_CIPHER_KEY_BLOB, good + b"\0", HRESULT.NTE_BAD_DATA),
        (NCRYPT_CIPHER_KEY_BLOB, b"\x11" + good[1:], HRESULT.NTE_BAD_DATA),
        (NCRYPT_CIPHER_KEY_BLOB, cipher_key_blob("AES", SECRET, b"XPHR"), HRESULT.NTE_INVALID_PARAMETER),
        (NCRYPT_CIPHER_KEY_BLOB, cipher_key_blob("AES", SECRET[:-1]), HRESULT.NTE_INVALID_PARAMETER),
        (NCRYPT_CIPHER_KEY_BLOB, cipher_key_blob("ROT13", SECRET), HRESULT.NTE_NOT_SUPPORTED),
        (NCRYPT_CIPHER_KEY_BLOB, cipher_key_blob("SHA256", SECRET), HRESULT.NTE_NOT_SUPPORTED),
        ("KeyDataBlob", key_data_blob(SECRET)[:8], HRESULT.NTE_BUFFER_TOO_SMALL),
        ("KeyDataBlob", key_data_blob(SECRET, magic=b"KDBX"), HRESULT.NTE_INVALID_PARAMETER),
        ("KeyDataBlob", key_data_blob(SECRET[:-1]), HRESULT.NTE_INVALID_PARAMETER),
    ):
        with refused(status):
            NCryptImportKey(soft_storage, None, blob_type, None, blob)


def test_wrapped_keys(soft_storage: StorageProvider, name: str) -> None:
    kek_bytes = bytes(range(32, 64))
    kek = NCryptImportKey(soft_storage, None, "KeyDataBlob", None, key_data_blob(kek_bytes))
    wrapped = aes_key_wrap(kek_bytes, SECRET)
    draft = NCryptImportKey(soft_storage, kek, "Rfc3565KeyWrapBlob", named(name), wrapped, NCRYPT_DO_NOT_FINALIZE_FLAG)
    NCryptSetProperty(draft, "Export Policy", NCRYPT_ALLOW_EXPORT_FLAG)
    NCryptFinalizeKey(draft)
    key = NCryptOpenKey(soft_storage, name)
    assert ecb(key) == AES_ECB_OF_ZEROS
    assert NCryptExportKey(key, kek, "Rfc3565KeyWrapBlob") == wrapped
    assert NCryptExportKey(key, kek.key, "Rfc3565KeyWrapBlob") == wrapped  # type: ignore[arg-type]
    for hexport in (
        None,
        NCryptImportKey(soft_storage, None, "PUBLICBLOB", None, ecc_blob(b"ECS1", 32, *ecc_key(256)[:2])),
    ):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptExportKey(key, hexport, "Rfc3565KeyWrapBlob")
    for damaged in (wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1])):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptImportKey(soft_storage, kek, "Rfc3565KeyWrapBlob", None, damaged)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptImportKey(soft_storage, None, "Rfc3565KeyWrapBlob", None, wrapped)


@pytest.mark.parametrize("blob_type", ["OpaqueKeyBlob", NCRYPT_OPAQUETRANSPORT_BLOB])
@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "AES"])
def test_opaque_blobs(
    storage: StorageProvider, made: Make, new_name: Callable[[], str], blob_type: str, algorithm: str
) -> None:
    # The algorithm of a loaded key is told by the key.
    key = made(storage, algorithm, new_name(), Export_Policy=NCRYPT_ALLOW_EXPORT_FLAG)
    blob, second = NCryptExportKey(key, None, blob_type), new_name()
    draft = NCryptImportKey(storage, None, blob_type, named(second), blob, NCRYPT_DO_NOT_FINALIZE_FLAG)
    assert NCryptGetProperty(draft, "Algorithm Name") == algorithm
    assert NCryptGetProperty(draft, "Length") == 256
    # A TPM's opaque form is its own, and needs no policy.
    policy = 0 if "tpm2:" in storage.provider.uri else NCRYPT_ALLOW_EXPORT_FLAG
    assert NCryptGetProperty(draft, "Export Policy") == policy
    assert NCryptGetProperty(draft, "Key Usage") == NCryptGetProperty(key, "Key Usage")
    for fixed, value in (("Length", 256), ("Export Policy", 0), ("Key Usage", 2)):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSetProperty(draft, fixed, value)
    NCryptFinalizeKey(draft)
    for copy in (draft, NCryptOpenKey(storage, second), NCryptImportKey(storage, None, blob_type, None, blob)):
        if algorithm == "AES":
            assert ecb(copy) == ecb(key)
        else:
            NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(copy, None, DIGEST))
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptImportKey(storage, None, blob_type, None, blob[:-20])


def test_what_is_set_on_an_opaque_blobs_key_before_it_is_finalized(storage: StorageProvider, made: Make) -> None:
    key = made(storage, "AES", None, Export_Policy=NCRYPT_ALLOW_EXPORT_FLAG)
    blob = NCryptExportKey(key, None, "OpaqueKeyBlob")
    draft = NCryptImportKey(storage, None, "OpaqueKeyBlob", None, blob, NCRYPT_DO_NOT_FINALIZE_FLAG)
    NCryptSetProperty(draft, "Chaining Mode", "ChainingModeECB")
    NCryptFinalizeKey(draft)
    assert NCryptGetProperty(draft, "Chaining Mode") == "ChainingModeECB"


@pytest.mark.parametrize("password", [None, "p\u00e4ssw\u00f6rd"])
def test_pkcs8(storage: StorageProvider, name: str, ec_key: ec.EllipticCurvePrivateKey, password: str | None) -> None:
    blob = pkcs8(ec_key, password.encode() if password else None)
    parameters = [*named(name), *([(NCRYPTBUFFER_PKCS_SECRET, password)] if password else [])]
    key = NCryptImportKey(storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, parameters, blob)
    assert NCryptGetProperty(key, "Algorithm Name") == "ECDSA_P256"
    check_ecdsa(NCryptOpenKey(storage, name), ec_key)
    if password:
        for wrong in (named(name + "x"), [(NCRYPTBUFFER_PKCS_SECRET, "wrong")]):
            with refused(HRESULT.NTE_BAD_DATA) as error:
                NCryptImportKey(storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, wrong, blob)
            assert error.value.__context__ is None or error.value.__context__ is error.value.__cause__
            assert password not in str(error.value)


@pytest.mark.parametrize("algorithm", ["ECDH_P256", "ECDH", "ECDSA"])
def test_the_algorithm_of_a_pkcs8_key(
    soft_storage: StorageProvider, ec_key: ec.EllipticCurvePrivateKey, algorithm: str
) -> None:
    parameters = [(NCRYPTBUFFER_PKCS_ALG_ID, algorithm)]
    key = NCryptImportKey(soft_storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, parameters, pkcs8(ec_key))
    assert NCryptGetProperty(key, "Algorithm Name") == algorithm


def test_a_pkcs8_key_of_ed25519(soft_storage: StorageProvider, name: str) -> None:
    own = ed25519.Ed25519PrivateKey.generate()
    encoded = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    NCryptImportKey(soft_storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, named(name), encoded)
    key = NCryptOpenKey(soft_storage, name)
    assert NCryptGetProperty(key, "Algorithm Name") == "ED25519"
    assert NCryptSignHash(key, None, b"the message") == own.sign(b"the message")
    again = NCryptImportKey(soft_storage, None, "ED25519PUBLICBLOB", None, NCryptExportKey(key, None, "PUBLICBLOB"))
    NCryptVerifySignature(again, None, b"the message", own.sign(b"the message"))
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        parameters = [(NCRYPTBUFFER_PKCS_ALG_ID, "ECDSA_P256")]
        NCryptImportKey(soft_storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, parameters, encoded)


def test_pkcs8_that_is_refused(
    soft_storage: StorageProvider, ec_key: ec.EllipticCurvePrivateKey, rsa_key: rsa.RSAPrivateKey
) -> None:
    edwards = ed448.Ed448PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    unknown = x448.X448PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for blob, algorithm, status in (
        (b"", None, HRESULT.NTE_BAD_DATA),
        (pkcs8(ec_key)[:-1], None, HRESULT.NTE_BAD_DATA),
        (edwards, None, HRESULT.NTE_NOT_SUPPORTED),
        (unknown, None, HRESULT.NTE_NOT_SUPPORTED),
        (pkcs8(ec_key), "ECDSA_P384", HRESULT.NTE_INVALID_PARAMETER),
        (pkcs8(ec_key), "RSA", HRESULT.NTE_INVALID_PARAMETER),
        (pkcs8(rsa_key), "ECDSA_P256", HRESULT.NTE_INVALID_PARAMETER),
        (pkcs8(rsa_key), "AES", HRESULT.NTE_INVALID_PARAMETER),
        (pkcs8(rsa_key), "ROT13", HRESULT.NTE_NOT_SUPPORTED),
    ):
        parameters = [] if algorithm is None else [(NCRYPTBUFFER_PKCS_ALG_ID, algorithm)]
        with refused(status):
            NCryptImportKey(soft_storage, None, NCRYPT_PKCS8_PRIVATE_KEY_BLOB, parameters, blob)


@pytest.mark.parametrize(
    ("algorithm", "blob_type", "status"),
    [
        ("RSA", "RSAPRIVATEBLOB", HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "RSAFULLPRIVATEBLOB", HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "PRIVATEBLOB", HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "CAPIPRIVATEBLOB", HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "PKCS8_PRIVATEKEY", HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", "ECCPUBLICBLOB", HRESULT.NTE_BAD_TYPE),
        ("RSA", "KeyDataBlob", HRESULT.NTE_BAD_TYPE),
        ("RSA", "no such blob", HRESULT.NTE_BAD_TYPE),
        ("ECDSA_P256", "ECCPRIVATEBLOB", HRESULT.NTE_NOT_SUPPORTED),
        ("ECDSA_P256", "RSAPUBLICBLOB", HRESULT.NTE_BAD_TYPE),
        ("AES", "KeyDataBlob", HRESULT.NTE_NOT_SUPPORTED),
        ("AES", "RSAPUBLICBLOB", HRESULT.NTE_BAD_TYPE),
        ("AES", "PUBLICBLOB", HRESULT.NTE_BAD_TYPE),
        ("AES", "no such blob", HRESULT.NTE_BAD_TYPE),
    ],
)
def test_what_is_not_exported(
    storage: StorageProvider, made: Make, name: str, algorithm: str, blob_type: str, status: HRESULT
) -> None:
    key = made(storage, algorithm, name, **({"Length": 2048} if algorithm == "RSA" else {}))
    with refused(status):
        NCryptExportKey(key, None, blob_type)


def test_arguments_of_an_export(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    for bit in RESERVED_BITS:
        if bit != NCRYPT_SILENT_FLAG:
            with refused(HRESULT.NTE_BAD_FLAGS):
                NCryptExportKey(key, None, "ECCPUBLICBLOB", None, bit)
    assert NCryptExportKey(key, None, "ECCPUBLICBLOB", [], NCRYPT_SILENT_FLAG)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptExportKey(key, None, "ECCPUBLICBLOB", [(45, "name")])
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptExportKey(key, soft_storage, "ECCPUBLICBLOB")  # type: ignore[arg-type]

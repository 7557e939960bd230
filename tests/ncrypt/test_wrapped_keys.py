"""NCryptImportKey of keys that others wrapped: named ones are unwrapped where the token keeps them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import key_data_blob, refused
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import hwcng
from hwcng import AES_KWP_KEY_BLOB, HRESULT, CngError, ncrypt
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

KEK, SECRET, DIGEST = bytes(range(32, 64)), bytes(range(32)), bytes(range(32))
CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR = 0x54, 0x05


def pkcs8(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def parameters(name: str, algorithm: str | None = None) -> list[tuple[int, str]]:
    given = [(ncrypt.NCRYPTBUFFER_PKCS_KEY_NAME, name)]
    return given + ([(ncrypt.NCRYPTBUFFER_PKCS_ALG_ID, algorithm)] if algorithm else [])


@pytest.fixture
def kek(soft_storage: StorageProvider) -> NCryptKey:
    return ncrypt.NCryptImportKey(soft_storage, None, "KeyDataBlob", None, key_data_blob(KEK))


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def signed(key: NCryptKey) -> bytes:
    return ncrypt.NCryptSignHash(key, ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), DIGEST, ncrypt.NCRYPT_PAD_PKCS1_FLAG)


def test_a_named_rsa_key(soft_storage: StorageProvider, kek: NCryptKey, name: str, rsa_key: rsa.RSAPrivateKey) -> None:
    blob = aes_key_wrap_with_padding(KEK, pkcs8(rsa_key))
    draft = ncrypt.NCryptImportKey(
        soft_storage, kek, AES_KWP_KEY_BLOB, parameters(name, "RSA"), blob, ncrypt.NCRYPT_DO_NOT_FINALIZE_FLAG
    )
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptSetProperty(draft, "Length", 4096)
    ncrypt.NCryptSetProperty(draft, "Key Usage", ncrypt.NCRYPT_ALLOW_SIGNING_FLAG)
    ncrypt.NCryptFinalizeKey(draft)
    key = ncrypt.NCryptOpenKey(soft_storage, name)
    rsa_key.public_key().verify(signed(key), DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    with refused(HRESULT.NTE_PERM):
        ncrypt.NCryptDecrypt(key, bytes(256), None, ncrypt.NCRYPT_PAD_PKCS1_FLAG)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptExportKey(key, None, "OpaqueKeyBlob")


def test_a_named_key_on_a_curve(soft_storage: StorageProvider, kek: NCryptKey, name: str) -> None:
    """Its public half, which nobody told the token, lies beside it and opens with it."""
    private = ec.generate_private_key(ec.SECP256R1())
    blob = aes_key_wrap_with_padding(KEK, pkcs8(private))
    ncrypt.NCryptImportKey(soft_storage, kek, AES_KWP_KEY_BLOB, parameters(name, "ECDSA_P256"), blob)
    key = ncrypt.NCryptOpenKey(soft_storage, name)
    signature = ncrypt.NCryptSignHash(key, None, DIGEST)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    private.public_key().verify(encode_dss_signature(r, s), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    ncrypt.NCryptVerifySignature(key, None, DIGEST, signature)


def test_a_named_key_brought_along(soft_storage: StorageProvider, new_name: Callable[[], str]) -> None:
    """The pair that it comes under is a named one, for import and nothing else."""
    transport = ncrypt.NCryptCreatePersistedKey(soft_storage, "RSA", new_name())
    ncrypt.NCryptSetProperty(transport, "Length", 2048)
    ncrypt.NCryptSetProperty(transport, "Key Usage", ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG)
    ncrypt.NCryptFinalizeKey(transport)
    opened = ncrypt.NCryptOpenKey(soft_storage, transport.name or "")
    assert ncrypt.NCryptGetProperty(opened, "Key Usage") == ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG
    public: Any = hwcng.open_key(opened.uri).public_key()
    between, algorithm = os.urandom(32), "SHA1".encode("utf-16-le") + bytes(2)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    wrapped = public.encrypt(between, oaep) + aes_key_wrap_with_padding(between, SECRET)
    header = ncrypt.BCRYPT_PKCS11_RSA_AES_WRAP_BLOB(
        ncrypt.BCRYPT_PKCS11_RSA_AES_WRAP_BLOB_MAGIC, len(wrapped), len(algorithm), 0
    )
    name, kind = new_name(), ncrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    blob = header.pack() + wrapped + algorithm
    ncrypt.NCryptImportKey(soft_storage, opened, kind, parameters(name, "AES"), blob)
    key = ncrypt.NCryptOpenKey(soft_storage, name)
    same = ncrypt.NCryptImportKey(soft_storage, None, "KeyDataBlob", None, key_data_blob(SECRET))
    info = ncrypt.NCRYPT_CIPHER_PADDING_INFO(ncrypt.NCRYPT_CIPHER_NO_PADDING_FLAG, bytes(16))
    results = {ncrypt.NCryptEncrypt(one, bytes(32), info, ncrypt.NCRYPT_PAD_CIPHER_FLAG) for one in (key, same)}
    assert len(results) == 1


def test_a_token_that_copies_nothing(
    soft_storage: StorageProvider, kek: NCryptKey, name: str, provider: Pkcs11Provider
) -> None:
    blob = aes_key_wrap_with_padding(KEK, SECRET)
    with FaultInjector(provider) as faults:
        faults.fail("C_CopyObject", CKR_FUNCTION_NOT_SUPPORTED)
        ncrypt.NCryptImportKey(soft_storage, kek, AES_KWP_KEY_BLOB, parameters(name), blob)
        assert faults.injected == 0
    assert ncrypt.NCryptGetProperty(ncrypt.NCryptOpenKey(soft_storage, name), "Length") == 256


@pytest.fixture
def old(soft_storage: StorageProvider, name: str, rsa_key: rsa.RSAPrivateKey) -> Iterator[None]:
    """A key of that name, which is there and signs after the test too."""
    blob = [(ncrypt.NCRYPTBUFFER_PKCS_KEY_NAME, name)]
    ncrypt.NCryptImportKey(soft_storage, None, ncrypt.NCRYPT_PKCS8_PRIVATE_KEY_BLOB, blob, pkcs8(rsa_key))
    yield
    key = ncrypt.NCryptOpenKey(soft_storage, name)
    rsa_key.public_key().verify(signed(key), DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))


@pytest.mark.usefixtures("old")
def test_a_damaged_blob_takes_no_keys_place(
    soft_storage: StorageProvider, kek: NCryptKey, name: str, rsa_key: rsa.RSAPrivateKey
) -> None:
    blob = aes_key_wrap_with_padding(KEK, pkcs8(rsa_key))
    for damaged, algorithm in ((blob[:-8], "RSA"), (bytes([blob[0] ^ 1]) + blob[1:], "RSA")):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            ncrypt.NCryptImportKey(
                soft_storage,
                kek,
                AES_KWP_KEY_BLOB,
                parameters(name, algorithm),
                damaged,
                ncrypt.NCRYPT_OVERWRITE_KEY_FLAG,
            )


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("nth", [1, 2])
def test_a_token_that_fails_meanwhile(
    soft_storage: StorageProvider, kek: NCryptKey, name: str, provider: Pkcs11Provider, nth: int
) -> None:
    """The first C_UnwrapKey sees what is in the blob, the second puts it in its place."""
    private = ec.generate_private_key(ec.SECP256R1())
    blob = aes_key_wrap_with_padding(KEK, pkcs8(private))
    flags = ncrypt.NCRYPT_OVERWRITE_KEY_FLAG
    with FaultInjector(provider) as faults:
        faults.fail("C_UnwrapKey", CKR_GENERAL_ERROR, nth=nth)
        with pytest.raises(CngError) as caught:
            ncrypt.NCryptImportKey(soft_storage, kek, AES_KWP_KEY_BLOB, parameters(name, "ECDSA_P256"), blob, flags)
        assert faults.injected == 1
    assert caught.value.token_code == CKR_GENERAL_ERROR


def test_a_tpm_unwraps_nothing(tpm_store: hwcng.Provider) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(tpm_store)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptImportKey(storage, None, AES_KWP_KEY_BLOB, None, bytes(40))
    transport = ncrypt.NCryptCreatePersistedKey(storage, "RSA", None)
    ncrypt.NCryptSetProperty(transport, "Key Usage", ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG)
    with pytest.raises(CngError) as caught:
        ncrypt.NCryptFinalizeKey(transport)
    assert caught.value.status is HRESULT.NTE_NOT_SUPPORTED

"""A token, and a key on P-256 that a cloud has wrapped for its transport key: OAEP with SHA-1, then AES-KWP."""

import os

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hwcng import bcrypt, ncrypt

uri = pin = None


def _wrapped_by_a_cloud(blob: bytes) -> bytes:
    header = ncrypt.BCRYPT_RSAKEY_BLOB.unpack(blob[:24])
    exponent, modulus = blob[24 : 24 + header.cbPublicExp], blob[24 + header.cbPublicExp :]
    public = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    between = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - the cloud's
    pkcs8 = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return public.encrypt(between, oaep) + keywrap.aes_key_wrap_with_padding(between, pkcs8)


storage = ncrypt.NCryptOpenStorageProvider()
transport_key = ncrypt.NCryptCreatePersistedKey(storage, "RSA", "transport")
ncrypt.NCryptSetProperty(
    transport_key,
    ncrypt.NCRYPT_KEY_USAGE_PROPERTY,
    ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG | ncrypt.NCRYPT_ALLOW_DECRYPT_FLAG,
)
ncrypt.NCryptFinalizeKey(transport_key)
cloud_output = _wrapped_by_a_cloud(ncrypt.NCryptExportKey(transport_key, None, bcrypt.BCRYPT_RSAPUBLIC_BLOB))
uri, pin = os.environ["HWCNG_PROVIDER"], os.environ["TOKEN_PIN"]

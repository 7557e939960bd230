"""The keys and data that the cases share."""

from __future__ import annotations

import struct
from typing import Any

from conformance import oracle
from cryptography.hazmat.primitives.asymmetric import ec
from wine.cases.registry import Run

from hwcng import bcrypt

KEY, IV = bytes(range(16)), bytes(range(0x10, 0x20))
DATA = bytes(range(256)) * 4
KEY_SIZES = (16, 24, 32)
PADDED = bcrypt.BCRYPT_BLOCK_PADDING
HMAC_FLAG, REUSABLE = bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG, bcrypt.BCRYPT_HASH_REUSABLE_FLAG
PKCS1, PSS, OAEP, RAW = (
    bcrypt.BCRYPT_PAD_PKCS1,
    bcrypt.BCRYPT_PAD_PSS,
    bcrypt.BCRYPT_PAD_OAEP,
    bcrypt.BCRYPT_PAD_NONE,
)
AuthInfo = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO
HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
B16, B32, B17 = DATA[:16], DATA[:32], DATA[:17]
HMAC_KEY = DATA[:32]
RSA_N = oracle.rsa_numbers(1024)[0]
RSA_PUBLIC, RSA_PRIVATE = oracle.rsa_public_blob(RSA_N), oracle.rsa_blob(1024)
Pkcs1Info, PssInfo, OaepInfo = (
    bcrypt.BCRYPT_PKCS1_PADDING_INFO,
    bcrypt.BCRYPT_PSS_PADDING_INFO,
    bcrypt.BCRYPT_OAEP_PADDING_INFO,
)
DIGESTS = {name: oracle.digest(name, b"message") for name in HASHES}
SHA256 = DIGESTS["SHA256"]


def cipher(api: Any, mode: str | None = None, key: bytes = KEY, *, name: str = "AES") -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider(name)
    if mode is not None:
        api.BCryptSetProperty(algorithm, "ChainingMode", f"ChainingMode{mode}")
    return api.BCryptGenerateSymmetricKey(algorithm, None, key)


def hash_object(api: Any, name: str = "SHA256", flags: int = 0, secret: bytes | None = None) -> Any:
    return api.BCryptCreateHash(api.BCryptOpenAlgorithmProvider(name, None, flags), None, secret)


def rsa_private(api: Any, bits: int = 1024, name: str = "RSA") -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider(name)
    return api.BCryptImportKeyPair(algorithm, None, "RSAPRIVATEBLOB", oracle.rsa_blob(bits))


def rsa_public(api: Any, bits: int = 1024) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider("RSA")
    blob = oracle.rsa_public_blob(oracle.rsa_numbers(bits)[0])
    return api.BCryptImportKeyPair(algorithm, None, "RSAPUBLICBLOB", blob)


CURVES = {"P256": "nistP256", "P384": "nistP384", "P521": "nistP521"}


def ec_key(name: str, scalar: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(scalar, oracle.EC_CURVES[CURVES[name[-4:]]])


def ec_blob(name: str, scalar: int, *, private: bool = True) -> bytes:
    key = ec_key(name, scalar)
    return oracle.ec_blob(name[:-5], CURVES[name[-4:]], key if private else key.public_key(), generic=False)


def ec_pair(api: Any, name: str, scalar: int = 0x1234567, *, private: bool = True) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider(name)
    blob_type = "ECCPRIVATEBLOB" if private else "ECCPUBLICBLOB"
    return api.BCryptImportKeyPair(algorithm, None, blob_type, ec_blob(name, scalar, private=private))


def key_data(key: bytes, *, magic: bytes = b"KDBM", version: int = 1, length: int | None = None) -> bytes:
    return magic + struct.pack("<2I", version, len(key) if length is None else length) + key


OBJECTS: dict[str, Run] = {
    "AES algorithm": lambda api: api.BCryptOpenAlgorithmProvider("AES"),
    "SHA256 algorithm": lambda api: api.BCryptOpenAlgorithmProvider("SHA256"),
    "SHA512 algorithm": lambda api: api.BCryptOpenAlgorithmProvider("SHA512"),
    "RSA algorithm": lambda api: api.BCryptOpenAlgorithmProvider("RSA"),
    "RNG algorithm": lambda api: api.BCryptOpenAlgorithmProvider("RNG"),
    "ECDSA_P256 algorithm": lambda api: api.BCryptOpenAlgorithmProvider("ECDSA_P256"),
    "AES key": cipher,
    "AES-256 key": lambda api: cipher(api, "ECB", bytes(32)),
    "SHA256 hash": hash_object,
    "HMAC-SHA256 hash": lambda api: hash_object(api, "SHA256", HMAC_FLAG, b"key"),
    "RSA-1024 key": rsa_private,
    "RSA-2048 public key": lambda api: rsa_public(api, 2048),
    "ECDSA_P256 key": lambda api: ec_pair(api, "ECDSA_P256"),
    "ECDH_P384 key": lambda api: ec_pair(api, "ECDH_P384"),
}

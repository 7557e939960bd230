"""The daily operations, each with the C_ calls that it may cost once its provider is warm."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwcng import bcrypt
from hwcng.contract.provider import Provider

DATA = bytes(range(256)) * 4
DIGEST = bytes(range(32))
IV = bytes(16)
NONCE = bytes(12)

SIGN = (("C_SignInit", "C_Sign"),)
ENCRYPT = (("C_EncryptInit", "C_Encrypt"),)
DECRYPT = (("C_DecryptInit", "C_Decrypt"),)
RANDOM = (("C_GenerateRandom",),)
PAIR = (("C_GenerateKeyPair",), ("C_GenerateKeyPair", "C_GetAttributeValue"))
COPY = ((), ("C_CopyObject",))
NOTHING = ((),)


kept: list[object] = []
"""Keys that were made, so that none of them is destroyed within a count."""


class Row(NamedTuple):
    """call: the operation. allowed: the sequences of C_ functions that it may be."""

    call: Callable[[], object]
    allowed: tuple[tuple[str, ...], ...]


def finalized(provider: Provider, name: str, bits: int) -> bcrypt.KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(name, provider), bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def _aes(provider: Provider, mode: str) -> bcrypt.SymmetricKey:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_CHAINING_MODE, mode)
    return algorithm.generate_key(256)


def _reusable(provider: Provider, name: str, flags: int) -> Callable[[], bytes]:
    """One reusable hash over a key that was born in the token."""
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider, flags)
    key = algorithm.generate_key(256)
    hash_object = bcrypt.BCryptCreateHash(algorithm, None, key, bcrypt.BCRYPT_HASH_REUSABLE_FLAG)

    def mac() -> bytes:
        bcrypt.BCryptHashData(hash_object, DATA)
        return bcrypt.BCryptFinishHash(hash_object)

    return mac


def operations(provider: Provider) -> dict[str, Row]:
    """Every promise, by name. Makes the keys."""
    rsa, ecdsa = finalized(provider, "RSA", 2048), finalized(provider, "ECDSA_P256", 256)
    ecb, cbc, gcm = (_aes(provider, f"ChainingMode{mode}") for mode in ("ECB", "CBC", "GCM"))
    hmac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    hmac_key = hmac.generate_key(256)
    rng = bcrypt.BCryptOpenAlgorithmProvider("RNG", provider)
    pkcs1 = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
    pss = bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32)
    oaep1, oaep256 = (bcrypt.BCRYPT_OAEP_PADDING_INFO(name) for name in ("SHA1", "SHA256"))
    signature = bcrypt.BCryptSignHash(ecdsa, None, DIGEST)
    rsa_signature = bcrypt.BCryptSignHash(rsa, pss, DIGEST, bcrypt.BCRYPT_PAD_PSS)
    block, padded = bytes(1024), bcrypt.BCRYPT_BLOCK_PADDING
    sealed_cbc = bcrypt.BCryptEncrypt(cbc, DATA, None, IV, padded)
    enciphered = {
        flags: bcrypt.BCryptEncrypt(rsa, DIGEST, info, None, flags)
        for info, flags in ((None, bcrypt.BCRYPT_PAD_PKCS1), (oaep256, bcrypt.BCRYPT_PAD_OAEP))
    }
    enciphered_sha1 = bcrypt.BCryptEncrypt(rsa, DIGEST, oaep1, None, bcrypt.BCRYPT_PAD_OAEP)

    def auth(tag: bytes | None = None) -> bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO:
        return bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(NONCE, b"header", pbTag=tag)

    sealed_info = auth()
    sealed_gcm = bcrypt.BCryptEncrypt(gcm, DATA, sealed_info)
    tag = bytes(sealed_info.pbTag)
    return {
        "sign RSA PKCS1": Row(lambda: bcrypt.BCryptSignHash(rsa, pkcs1, DIGEST, bcrypt.BCRYPT_PAD_PKCS1), SIGN),
        "sign RSA PSS": Row(lambda: bcrypt.BCryptSignHash(rsa, pss, DIGEST, bcrypt.BCRYPT_PAD_PSS), SIGN),
        "sign ECDSA": Row(lambda: bcrypt.BCryptSignHash(ecdsa, None, DIGEST), SIGN),
        "encrypt ECB": Row(lambda: bcrypt.BCryptEncrypt(ecb, block), ENCRYPT),
        "encrypt CBC, running IV": Row(lambda: bcrypt.BCryptEncrypt(cbc, block), ENCRYPT),
        "encrypt CBC, padded": Row(lambda: bcrypt.BCryptEncrypt(cbc, DATA, None, IV, padded), ENCRYPT),
        "encrypt GCM": Row(lambda: bcrypt.BCryptEncrypt(gcm, DATA, auth()), ENCRYPT),
        "encrypt GCM, 1 MiB": Row(lambda: bcrypt.BCryptEncrypt(gcm, bytes(1 << 20), auth()), ENCRYPT),
        "decrypt ECB": Row(lambda: bcrypt.BCryptDecrypt(ecb, block), DECRYPT),
        "decrypt CBC, padded": Row(lambda: bcrypt.BCryptDecrypt(cbc, sealed_cbc, None, IV, padded), DECRYPT),
        "decrypt GCM": Row(lambda: bcrypt.BCryptDecrypt(gcm, sealed_gcm, auth(tag)), DECRYPT),
        "decrypt RSA PKCS1": Row(
            lambda: bcrypt.BCryptDecrypt(rsa, enciphered[bcrypt.BCRYPT_PAD_PKCS1], None, None, bcrypt.BCRYPT_PAD_PKCS1),
            DECRYPT,
        ),
        "decrypt RSA OAEP SHA1": Row(
            lambda: bcrypt.BCryptDecrypt(rsa, enciphered_sha1, oaep1, None, bcrypt.BCRYPT_PAD_OAEP), DECRYPT
        ),
        "decrypt RSA OAEP SHA256": Row(
            lambda: bcrypt.BCryptDecrypt(
                rsa, enciphered[bcrypt.BCRYPT_PAD_OAEP], oaep256, None, bcrypt.BCRYPT_PAD_OAEP
            ),
            DECRYPT,
        ),
        "MAC HMAC-SHA256": Row(lambda: bcrypt.BCryptHash(hmac, hmac_key, DATA), SIGN),
        "MAC HMAC-SHA256, reusable": Row(_reusable(provider, "SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG), SIGN),
        "MAC AES-CMAC, reusable": Row(_reusable(provider, "AES-CMAC", 0), SIGN),
        "random": Row(lambda: bcrypt.BCryptGenRandom(rng, 32), RANDOM),
        "random, 64 KiB": Row(lambda: bcrypt.BCryptGenRandom(rng, 1 << 16), RANDOM),
        "pair RSA": Row(lambda: kept.append(finalized(provider, "RSA", 1024)), PAIR),
        "pair ECDSA": Row(lambda: kept.append(finalized(provider, "ECDSA_P384", 384)), PAIR),
        "pair ECDH": Row(lambda: kept.append(finalized(provider, "ECDH_P256", 256)), PAIR),
        "duplicate": Row(lambda: kept.append(bcrypt.BCryptDuplicateKey(cbc)), COPY),
        "verify RSA": Row(
            lambda: bcrypt.BCryptVerifySignature(rsa, pss, DIGEST, rsa_signature, bcrypt.BCRYPT_PAD_PSS), NOTHING
        ),
        "verify ECDSA": Row(lambda: bcrypt.BCryptVerifySignature(ecdsa, None, DIGEST, signature), NOTHING),
        "encrypt RSA": Row(lambda: bcrypt.BCryptEncrypt(rsa, DIGEST, oaep256, None, bcrypt.BCRYPT_PAD_OAEP), NOTHING),
        "export public RSA": Row(lambda: bcrypt.BCryptExportKey(rsa, None, bcrypt.BCRYPT_RSAPUBLIC_BLOB), NOTHING),
        "export public ECDSA": Row(lambda: bcrypt.BCryptExportKey(ecdsa, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB), NOTHING),
    }

"""Every algorithm and operation of CNG as one small run on a token, through the public API, checked by an oracle.

A cell raises CngError where the token refuses, and AssertionError where its result is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from conformance import oracle
from conformance.finite_fields import DSA_DOMAINS, dsa_parameters
from conformance.helpers import key_data_blob
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
from cryptography.hazmat.primitives import cmac, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from hwcng import bcrypt
from hwcng.cng.keys import AlgorithmHandle, KeyPair, Secret, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["CELLS", "Cell"]

SECRET = bytes(range(1, 65))
DATA = bytes(range(64))
IV = bytes(range(100, 116))
NONCE, AAD = bytes(range(12)), b"header"
DIGESTS = {name: function.digest(b"message") for name, function in HASHES.items()}
SHA256 = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]


@dataclass(frozen=True)
class Cell:
    """told: the algorithm and operation by which `Provider.capabilities` tells of it, None where it does not."""

    algorithm: str
    operation: str
    run: Callable[[Provider], None]
    told: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.algorithm} {self.operation}"


def opened(token: Provider, name: str, flags: int = 0, **properties: Any) -> AlgorithmHandle:
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token, flags)
    for key, value in properties.items():
        bcrypt.BCryptSetProperty(handle, key, value)
    return handle


def imported(token: Provider, name: str, secret: bytes, **properties: Any) -> SymmetricKey:
    key = bcrypt.BCryptGenerateSymmetricKey(opened(token, name), None, secret)
    for name_of, value in properties.items():
        bcrypt.BCryptSetProperty(key, name_of, value)
    return key


def pair(token: Provider, name: str, bits: int, handle_properties: Any = None, **properties: Any) -> KeyPair:
    made = bcrypt.BCryptGenerateKeyPair(opened(token, name, **(handle_properties or {})), bits)
    for key, value in properties.items():
        bcrypt.BCryptSetProperty(made, key, value)
    bcrypt.BCryptFinalizeKeyPair(made)
    return made


# Ciphers


def cipher(name: str, secret: bytes, mode: str, unit: int, host: Callable[[], Cipher[Any]], token: Provider) -> None:
    with imported(token, name, secret, ChainingMode=f"ChainingMode{mode}") as key:
        block = bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_BLOCK_LENGTH)
        if mode == "CFB":
            bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_MESSAGE_BLOCK_LENGTH, unit)
        iv = None if mode == "ECB" else IV[:block]
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, iv)
        assert ciphertext == host().encryptor().update(DATA)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv) == DATA


def block_cipher(name: str, secret: bytes, algorithm: Any, block: int) -> list[Cell]:
    iv = IV[:block]
    rows: list[tuple[str, str, int, Any]] = [
        ("ECB", "ECB", 0, modes.ECB()),  # noqa: S305
        ("CBC", "CBC", 0, modes.CBC(iv)),
        ("CFB8", "CFB", 1, CFB8(iv)),
        (f"CFB{8 * block}", "CFB", block, CFB(iv)),
    ]
    return [
        Cell(name, shown, partial(cipher, name, secret, mode, unit, partial(Cipher, algorithm, host)), (name, shown))
        for shown, mode, unit, host in rows
    ]


def aead(name: str, mode: str | None, host: Any, token: Provider) -> None:
    with imported(token, name, SECRET[:32]) as key:
        if mode:
            bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_CHAINING_MODE, f"ChainingMode{mode}")
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(NONCE, AAD)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, info)
        assert info.pbTag is not None
        assert ciphertext + bytes(info.pbTag) == host(SECRET[:32]).encrypt(NONCE, DATA, AAD)
        again = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(NONCE, AAD, info.pbTag)
        assert bcrypt.BCryptDecrypt(key, ciphertext, again) == DATA


def wrap(token: Provider) -> None:
    with imported(token, "AES", SECRET[:32]) as wrapping_key:
        blob = keywrap.aes_key_wrap(SECRET[:32], SECRET[32:48])
        handle = opened(token, "AES", **{bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY: bcrypt.NCRYPT_ALLOW_EXPORT_FLAG})
        with bcrypt.BCryptImportKey(handle, wrapping_key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob) as key:
            assert bcrypt.BCryptEncrypt(key, DATA, None, IV) == oracle.aes("CBC", SECRET[32:48], IV, DATA)
            assert bcrypt.BCryptExportKey(key, wrapping_key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB) == blob


def generated(name: str, bits: int, token: Provider) -> None:
    handle = opened(token, name, ChainingMode=bcrypt.BCRYPT_CHAIN_MODE_ECB)
    with handle.generate_key(bits) as key, bcrypt.BCryptDuplicateKey(key) as duplicate:
        assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == bits
        ciphertext = bcrypt.BCryptEncrypt(key, DATA)
        assert ciphertext != DATA
        assert bcrypt.BCryptDecrypt(duplicate, ciphertext) == DATA


def opaque_secret(token: Provider) -> None:
    policy = {bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY: bcrypt.NCRYPT_ALLOW_EXPORT_FLAG}
    handle = opened(token, "AES", **policy)
    with bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[:16]) as key:
        blob = bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
    assert SECRET[:16] not in blob
    with bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, None, blob) as again:
        assert bcrypt.BCryptEncrypt(again, DATA, None, IV) == oracle.aes("CBC", SECRET[:16], IV, DATA)


def rc2(token: Provider) -> None:
    with imported(token, "RC2", SECRET[:16]) as key:
        expected = Cipher(RC2(SECRET[:16]), modes.CBC(IV[:8])).encryptor().update(DATA)
        assert bcrypt.BCryptEncrypt(key, DATA, None, IV[:8]) == expected
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH, 40)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, IV[:8])
        assert ciphertext != expected
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, IV[:8]) == DATA


def rc4(token: Provider) -> None:
    with imported(token, "RC4", SECRET[:16]) as key:
        expected = Cipher(ARC4(SECRET[:16]), None).encryptor().update(DATA + DATA)
        assert bcrypt.BCryptEncrypt(key, DATA) + bcrypt.BCryptEncrypt(key, DATA) == expected


def xts(size: int, token: Provider) -> None:
    with imported(token, "XTS-AES", SECRET[:size]) as key:
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_MESSAGE_BLOCK_LENGTH, len(DATA))
        number = (7).to_bytes(16, "little")
        expected = Cipher(algorithms.AES(SECRET[:size]), modes.XTS(number)).encryptor().update(DATA)
        assert bcrypt.BCryptEncrypt(key, DATA, None, number) == expected
        assert bcrypt.BCryptDecrypt(key, expected, None, number) == DATA


# Keyed hashes


def hmac_of(name: str, token: Provider) -> None:
    handle = opened(token, name, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    expected = hmac.digest(SECRET, DATA, HASHES[name].hashlib_name)
    assert bcrypt.BCryptHash(handle, SECRET, DATA) == expected


def aes_cmac(token: Provider) -> None:
    host = cmac.CMAC(algorithms.AES(SECRET[:16]))
    host.update(DATA)
    assert bcrypt.BCryptHash(opened(token, "AES-CMAC"), SECRET[:16], DATA) == host.finalize()


def aes_gmac(token: Provider) -> None:
    with bcrypt.BCryptCreateHash(opened(token, "AES-GMAC"), None, SECRET[:16]) as running:
        bcrypt.BCryptSetProperty(running, bcrypt.BCRYPT_INITIALIZATION_VECTOR, NONCE)
        bcrypt.BCryptHashData(running, DATA)
        assert bcrypt.BCryptFinishHash(running) == AESGCM(SECRET[:16]).encrypt(NONCE, b"", DATA)


# RSA

RSA_BITS = 2048
_rsa_pairs: dict[Provider, KeyPair] = {}


def rsa(token: Provider) -> KeyPair:
    if token not in _rsa_pairs:
        _rsa_pairs[token] = pair(token, "RSA", RSA_BITS)
    return _rsa_pairs[token]


def rsa_sign(info: Any, flags: int, digest: bytes, token: Provider) -> None:
    key = rsa(token)
    signature = bcrypt.BCryptSignHash(key, info, digest, flags)
    bcrypt.BCryptVerifySignature(key, info, digest, signature, flags)


def rsa_decrypt(info: Any, flags: int, token: Provider) -> None:
    key = rsa(token)
    plaintext = DATA.rjust(RSA_BITS // 8, b"\0") if flags == bcrypt.BCRYPT_PAD_NONE else DATA
    ciphertext = bcrypt.BCryptEncrypt(key, plaintext, info, None, flags)
    assert bcrypt.BCryptDecrypt(key, ciphertext, info, None, flags) == plaintext


def opaque_pair(name: str, bits: int, token: Provider) -> None:
    policy = {bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY: bcrypt.NCRYPT_ALLOW_EXPORT_FLAG}
    with pair(token, name, bits, policy) as key:
        blob = bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        public = bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_PUBLIC_KEY_BLOB)
    with bcrypt.BCryptImportKeyPair(opened(token, name), None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, blob) as again:
        assert bcrypt.BCryptExportKey(again, None, bcrypt.BCRYPT_PUBLIC_KEY_BLOB) == public


# Elliptic curves


def ecdsa(curve: str, token: Provider) -> None:
    with pair(token, "ECDSA", 0, {bcrypt.BCRYPT_ECC_CURVE_NAME: curve}) as key:
        signature = bcrypt.BCryptSignHash(key, None, DIGESTS["SHA256"])
        bcrypt.BCryptVerifySignature(key, None, DIGESTS["SHA256"], signature)


def ed25519_pair(token: Provider) -> None:
    handle = opened(token, bcrypt.HWCNG_ED25519_ALGORITHM)
    with bcrypt.BCryptGenerateKeyPair(handle, 0) as key:
        bcrypt.BCryptFinalizeKeyPair(key)
        bcrypt.BCryptVerifySignature(key, None, DATA, bcrypt.BCryptSignHash(key, None, DATA))


def ed25519_import(token: Provider) -> None:
    handle, own = (
        opened(token, bcrypt.HWCNG_ED25519_ALGORITHM),
        ed25519.Ed25519PrivateKey.from_private_bytes(SECRET[:32]),
    )
    blob = b"E25S" + (32).to_bytes(4, "little") + SECRET[:32]
    with bcrypt.BCryptImportKeyPair(handle, None, bcrypt.HWCNG_ED25519_PRIVATE_SEED_BLOB, blob) as key:
        assert bcrypt.BCryptSignHash(key, None, DATA) == own.sign(DATA)


def agreed(
    token: Provider, name: str, bits: int, handle_properties: Any = None, **properties: Any
) -> tuple[Secret, Secret]:
    one = pair(token, name, bits, handle_properties, **properties)
    other = pair(token, name, bits, handle_properties, **properties)
    return bcrypt.BCryptSecretAgreement(one, other), bcrypt.BCryptSecretAgreement(other, one)


def agrees(name: str, bits: int, handle_properties: Any, properties: Mapping[str, Any], token: Provider) -> None:
    one, other = agreed(token, name, bits, handle_properties, **properties)
    derived = {bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, SHA256, 32) for secret in (one, other)}
    assert len(derived) == 1


# Derivation functions

KDF_PARAMETERS: Mapping[str, list[tuple[int, Any]]] = {
    "PBKDF2": [(bcrypt.KDF_SALT, b"salt"), (bcrypt.KDF_ITERATION_COUNT, 2)],
    "SP800_108_CTR_HMAC": [(bcrypt.KDF_LABEL, b"label"), (bcrypt.KDF_CONTEXT, b"context")],
    "SP800_56A_CONCAT": [(bcrypt.KDF_GENERIC_PARAMETER, b"info")],
    "CAPI_KDF": [],
    "TLS1_1_KDF": [(bcrypt.KDF_TLS_PRF_LABEL, b"label"), (bcrypt.KDF_TLS_PRF_SEED, b"seed")],
    "TLS1_2_KDF": [(bcrypt.KDF_TLS_PRF_LABEL, b"label"), (bcrypt.KDF_TLS_PRF_SEED, b"seed")],
}
KDF_SECRET = SECRET[:32]


def kbkdf(length: int) -> bytes:
    before = CounterLocation.BeforeFixed
    host = KBKDFHMAC(oracle.CRYPTOGRAPHY["SHA256"], Mode.CounterMode, length, 4, 4, before, b"label", b"context", None)
    return host.derive(KDF_SECRET)


KDF_ORACLES: Mapping[str, Callable[[int], bytes]] = {
    "PBKDF2": lambda length: hashlib.pbkdf2_hmac("sha256", KDF_SECRET, b"salt", 2, length),
    "SP800_108_CTR_HMAC": kbkdf,
    "SP800_56A_CONCAT": lambda length: ConcatKDFHash(oracle.CRYPTOGRAPHY["SHA256"], length, b"info").derive(KDF_SECRET),
    "CAPI_KDF": lambda length: hashlib.sha256(KDF_SECRET).digest()[:length],
    "TLS1_1_KDF": lambda length: oracle.tls10_prf(KDF_SECRET, b"label", b"seed", length),
    "TLS1_2_KDF": lambda length: oracle.p_hash("SHA256", KDF_SECRET, b"labelseed", length),
}


def derivation(name: str, token: Provider) -> None:
    with imported(token, name, KDF_SECRET) as key:
        hashes = [] if name == "TLS1_1_KDF" else SHA256
        derived = bcrypt.BCryptKeyDerivation(key, [*hashes, *KDF_PARAMETERS[name]], 24)
        assert derived == KDF_ORACLES[name](24)


def hkdf(extract: bool, token: Provider) -> None:
    with imported(token, "HKDF", KDF_SECRET) as key:
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
        name = bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE if extract else bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE
        bcrypt.BCryptSetProperty(key, name, b"salt" if extract else None)
        algorithm = oracle.CRYPTOGRAPHY["SHA256"]
        host = HKDF(algorithm, 40, b"salt", b"info") if extract else HKDFExpand(algorithm, 40, b"info")
        assert bcrypt.BCryptKeyDerivation(key, [(bcrypt.KDF_HKDF_INFO, b"info")], 40) == host.derive(KDF_SECRET)


def key_of_hash(token: Provider) -> None:
    one, other = agreed(token, "ECDH_P256", 256)
    aes = opened(token, "AES")
    expected = bcrypt.BCryptDeriveKey(other, bcrypt.BCRYPT_KDF_HASH, SHA256, 32)
    with one.derive_to_key(aes, bcrypt.BCRYPT_KDF_HASH, SHA256, 256) as key:
        assert bcrypt.BCryptEncrypt(key, DATA, None, IV) == oracle.aes("CBC", expected, IV, DATA)


def key_of_base_key(name: str, token: Provider) -> None:
    with imported(token, name, KDF_SECRET) as key:
        if name == "HKDF":
            bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, "SHA256")
            bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, b"salt")
            parameters: list[tuple[int, Any]] = [(bcrypt.KDF_HKDF_INFO, b"info")]
            expected = HKDF(oracle.CRYPTOGRAPHY["SHA256"], 32, b"salt", b"info").derive(KDF_SECRET)
        else:
            parameters, expected = [*SHA256, *KDF_PARAMETERS[name]], kbkdf(32)
        with key.derive_to_key(opened(token, "AES"), parameters, 256) as made:  # type: ignore[attr-defined]
            assert bcrypt.BCryptEncrypt(made, DATA, None, IV) == oracle.aes("CBC", expected, IV, DATA)


# DH, DSA and the post-quantum pairs


def dsa(bits: int, token: Provider) -> None:
    with pair(token, "DSA", bits, DSAParameters=dsa_parameters(DSA_DOMAINS[bits])) as key:
        signature = bcrypt.BCryptSignHash(key, None, DIGESTS["SHA256"][:20])
        bcrypt.BCryptVerifySignature(key, None, DIGESTS["SHA256"][:20], signature)


def mldsa(parameter_set: str, token: Provider) -> None:
    with pair(token, "ML-DSA", 0, ParameterSetName=parameter_set) as key:
        info = bcrypt.BCRYPT_PQDSA_PADDING_INFO(b"context")
        signature = bcrypt.BCryptSignHash(key, info, DATA, bcrypt.BCRYPT_PAD_PQDSA)
        bcrypt.BCryptVerifySignature(key, info, DATA, signature, bcrypt.BCRYPT_PAD_PQDSA)


def mlkem(parameter_set: str, token: Provider) -> None:
    with pair(token, "ML-KEM", 0, ParameterSetName=parameter_set) as key:
        secret, ciphertext = bcrypt.BCryptEncapsulate(key)
        assert bcrypt.BCryptDecapsulate(key, ciphertext) == secret


def random(token: Provider) -> None:
    handle = opened(token, "RNG")
    assert len({bcrypt.BCryptGenRandom(handle, 32) for _ in range(3)}) == 3


def key_data(token: Provider) -> None:
    blob, handle = key_data_blob(SECRET[:16]), opened(token, "AES", ChainingMode=bcrypt.BCRYPT_CHAIN_MODE_ECB)
    with bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, blob) as key:
        assert bcrypt.BCryptEncrypt(key, DATA) == oracle.aes("ECB", SECRET[:16], b"", DATA)


def rsa_import(token: Provider) -> None:
    handle = opened(token, "RSA")
    with bcrypt.BCryptImportKeyPair(handle, None, bcrypt.BCRYPT_RSAPRIVATE_BLOB, oracle.rsa_blob(RSA_BITS)) as key:
        info = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
        signature = bcrypt.BCryptSignHash(key, info, DIGESTS["SHA256"], bcrypt.BCRYPT_PAD_PKCS1)
        bcrypt.BCryptVerifySignature(key, info, DIGESTS["SHA256"], signature, bcrypt.BCRYPT_PAD_PKCS1)


def ec_import(token: Provider) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    blob = oracle.ec_blob("ECDSA", "nistP256", private, generic=False)
    with bcrypt.BCryptImportKeyPair(opened(token, "ECDSA_P256"), None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, blob) as key:
        signature = bcrypt.BCryptSignHash(key, None, DIGESTS["SHA256"])
        oracle.ecdsa_verify(private.public_key(), DIGESTS["SHA256"], signature)


def _rsa_cells() -> list[Cell]:
    cells = [Cell("RSA", "import", rsa_import), Cell("RSA", "opaque blob", partial(opaque_pair, "RSA", RSA_BITS))]
    for name, digest in DIGESTS.items():
        pkcs1, pss = bcrypt.BCRYPT_PKCS1_PADDING_INFO(name), bcrypt.BCRYPT_PSS_PADDING_INFO(name, len(digest))
        oaep = bcrypt.BCRYPT_OAEP_PADDING_INFO(name)
        rows = (
            (f"PKCS1 {name}", partial(rsa_sign, pkcs1, bcrypt.BCRYPT_PAD_PKCS1, digest)),
            (f"PSS {name}", partial(rsa_sign, pss, bcrypt.BCRYPT_PAD_PSS, digest)),
            (f"OAEP {name}", partial(rsa_decrypt, oaep, bcrypt.BCRYPT_PAD_OAEP)),
        )
        cells += [Cell("RSA", operation, run, ("RSA", operation)) for operation, run in rows]
    pkcs1_decryption = partial(rsa_decrypt, None, bcrypt.BCRYPT_PAD_PKCS1)
    cells.append(Cell("RSA", "PKCS1 decrypt", pkcs1_decryption, ("RSA", "PKCS1 decrypt")))
    cells.append(Cell("RSA", "RAW", partial(rsa_decrypt, None, bcrypt.BCRYPT_PAD_NONE), ("RSA", "RAW")))
    return cells


def _curve_cells() -> list[Cell]:
    cells = [Cell("ECDSA", "import", ec_import), Cell("ECDSA", "opaque blob", partial(opaque_pair, "ECDSA_P256", 256))]
    for curve in CURVES:
        named = {bcrypt.BCRYPT_ECC_CURVE_NAME: curve}
        if curve != "curve25519":
            cells.append(Cell("ECDSA", curve, partial(ecdsa, curve), ("ECDSA", curve)))
        cells.append(Cell("ECDH", curve, partial(agrees, "ECDH", 0, named, {}), ("ECDH", curve)))
    return cells


CELLS: tuple[Cell, ...] = (
    Cell("RNG", "random", random, ("RNG", "random")),
    *block_cipher("AES", SECRET[:32], algorithms.AES(SECRET[:32]), 16),
    Cell("AES", "GCM", partial(aead, "AES", "GCM", AESGCM), ("AES", "GCM")),
    Cell("AES", "CCM", partial(aead, "AES", "CCM", AESCCM), ("AES", "CCM")),
    Cell("AES", "WRAP", wrap, ("AES", "WRAP")),
    *(
        Cell("AES", f"generate {bits}", partial(generated, "AES", bits), ("AES", f"generate {bits}"))
        for bits in (128, 192, 256)
    ),
    Cell("AES", "KeyDataBlob", key_data),
    Cell("AES", "opaque blob", opaque_secret),
    *block_cipher("3DES", SECRET[:24], TripleDES(SECRET[:24]), 8),
    *block_cipher("3DES_112", SECRET[:16], TripleDES(SECRET[:16]), 8),
    *block_cipher("DES", SECRET[:8], TripleDES(SECRET[:8]), 8),
    Cell("DESX", "CBC", partial(generated, "DESX", 192)),
    Cell("RC2", "CBC", rc2, ("RC2", "CBC")),
    Cell("RC4", "STREAM", rc4, ("RC4", "STREAM")),
    Cell("XTS-AES", "XTS 128", partial(xts, 32), ("XTS-AES", "XTS")),
    Cell("XTS-AES", "XTS 256", partial(xts, 64), ("XTS-AES", "XTS")),
    Cell(
        "CHACHA20_POLY1305",
        "POLY1305",
        partial(aead, "CHACHA20_POLY1305", None, ChaCha20Poly1305),
        ("CHACHA20_POLY1305", "POLY1305"),
    ),
    Cell("AES-CMAC", "MAC", aes_cmac, ("AES-CMAC", "MAC")),
    Cell("AES-GMAC", "MAC", aes_gmac, ("AES-GMAC", "MAC")),
    *(Cell(f"HMAC-{name}", "MAC", partial(hmac_of, name), (f"HMAC-{name}", "MAC")) for name in HASHES),
    *_rsa_cells(),
    *_curve_cells(),
    Cell("Ed25519", "import", ed25519_import),
    Cell("Ed25519", "sign", ed25519_pair, ("ED25519", "sign")),
    Cell("DH", "2048", partial(agrees, "DH", 2048, None, {}), ("DH", "agree")),
    Cell("DSA", "1024", partial(dsa, 1024), ("DSA", "sign 1024")),
    Cell("DSA", "2048", partial(dsa, 2048), ("DSA", "sign 2048")),
    *(Cell("ML-DSA", name, partial(mldsa, name), ("ML-DSA", name)) for name in ("44", "65", "87")),
    *(Cell("ML-KEM", name, partial(mlkem, name), ("ML-KEM", name)) for name in ("512", "768", "1024")),
    *(Cell(name, "derive", partial(derivation, name), (name, "derive")) for name in KDF_PARAMETERS),
    Cell("HKDF", "expand", partial(hkdf, False), ("HKDF", "expand")),
    Cell("HKDF", "extract", partial(hkdf, True), ("HKDF", "KEY")),
    Cell("HASH", "to a key in the token", key_of_hash, ("HASH", "KEY")),
    Cell("HKDF", "to a key in the token", partial(key_of_base_key, "HKDF"), ("HKDF", "KEY")),
    Cell(
        "SP800_108_CTR_HMAC",
        "to a key in the token",
        partial(key_of_base_key, "SP800_108_CTR_HMAC"),
        ("SP800_108_CTR_HMAC", "KEY"),
    ),
)

"""Handles of the wrong kind, and size queries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wine.cases.agreement import ECDH, ECDH_PUBLIC, derived
from wine.cases.blobs import exported_pair
from wine.cases.ciphers import crypt
from wine.cases.encryption import _PKCS1_BLOCK, decrypted, encrypted_length, rsa_ciphertext
from wine.cases.inputs import (
    B16,
    B17,
    IV,
    KEY,
    OBJECTS,
    PADDED,
    PKCS1,
    RSA_PUBLIC,
    SHA256,
    Pkcs1Info,
    cipher,
    hash_object,
    key_data,
    rsa_private,
    rsa_public,
)
from wine.cases.registry import Run, add
from wine.cases.signatures import signed, signed_length

from hwcng import bcrypt

WRONG: dict[str, Run] = {
    "nothing": lambda _: None,
    "an algorithm": OBJECTS["AES algorithm"],
    "an AES key": cipher,
    "an RSA pair": rsa_private,
    "a hash": hash_object,
}
HANDLE_USES: dict[str, tuple[tuple[str, ...], Callable[[Any, Any], Any]]] = {
    "close": (("an algorithm",), lambda api, it: api.BCryptCloseAlgorithmProvider(it)),
    "get property of": ((), lambda api, it: api.BCryptGetProperty(it, "AlgorithmName") and "done"),
    "set property of": ((), lambda api, it: api.BCryptSetProperty(it, "ChainingMode", "ChainingModeCBC")),
    "generate a key of": ((), lambda api, it: api.BCryptGenerateSymmetricKey(it, None, KEY) and "done"),
    "generate a pair of": ((), lambda api, it: api.BCryptGenerateKeyPair(it, 1024) and "done"),
    "import a key to": (
        (),
        lambda api, it: api.BCryptImportKey(it, None, "KeyDataBlob", None, key_data(KEY)) and "done",
    ),
    "import a pair to": ((), lambda api, it: api.BCryptImportKeyPair(it, None, "RSAPUBLICBLOB", RSA_PUBLIC) and "done"),
    "duplicate": ((), lambda api, it: api.BCryptDuplicateKey(it) and "done"),
    "export": ((), lambda api, it: api.BCryptExportKey(it, None, "PUBLICBLOB") and "done"),
    "destroy the key": ((), lambda api, it: api.BCryptDestroyKey(it)),
    "encrypt with": ((), lambda api, it: api.BCryptEncrypt(it, B16, None, None, 0) and "done"),
    "decrypt with": ((), lambda api, it: api.BCryptDecrypt(it, B16, None, None, 0) and "done"),
    "sign with": ((), lambda api, it: api.BCryptSignHash(it, Pkcs1Info("SHA256"), SHA256, PKCS1) and "done"),
    "verify with": ((), lambda api, it: api.BCryptVerifySignature(it, Pkcs1Info("SHA256"), SHA256, bytes(128), PKCS1)),
    "agree with": ((), lambda api, it: api.BCryptSecretAgreement(it, ECDH_PUBLIC(api)) and "done"),
    "agree towards": ((), lambda api, it: api.BCryptSecretAgreement(ECDH(api), it) and "done"),
    "derive from": ((), lambda api, it: api.BCryptDeriveKey(it, "HASH", None, 20) and "done"),
    "destroy the secret": ((), lambda api, it: api.BCryptDestroySecret(it)),
    "create a hash of": ((), lambda api, it: api.BCryptCreateHash(it) and "done"),
    "add data to": ((), lambda api, it: api.BCryptHashData(it, b"data")),
    "duplicate the hash": ((), lambda api, it: api.BCryptDuplicateHash(it) and "done"),
    "destroy the hash": ((), lambda api, it: api.BCryptDestroyHash(it)),
    "random bytes of": ((), lambda api, it: len(api.BCryptGenRandom(it, 16))),
}


def used(api: Any, make: Run, use: Callable[[Any, Any], Any]) -> Any:
    return use(api, make(api))


for _use, (_without, _function) in HANDLE_USES.items():
    for _object, _make in WRONG.items():
        if _object not in _without:
            add(f"{_use} {_object}", used, _make, _function)

for _said, _run in {
    "an RSA public blob": partial(exported_pair, make=rsa_private, blob_type="RSAPUBLICBLOB"),
    "an ECDSA public blob": partial(exported_pair, make=OBJECTS["ECDSA_P256 key"], blob_type="ECCPUBLICBLOB"),
    "an RSA signature": partial(signed, make=rsa_private, info=Pkcs1Info("SHA256"), value=SHA256, flags=PKCS1),
    "an ECDSA signature": partial(signed_length, make=OBJECTS["ECDSA_P256 key"], info=None, value=SHA256, flags=0),
    "an RSA ciphertext": partial(encrypted_length, make=rsa_public, data=b"data", info=None, flags=PKCS1),
    "an RSA plaintext": partial(decrypted, make=rsa_private, data=rsa_ciphertext(_PKCS1_BLOCK), info=None, flags=PKCS1),
    "a padded ciphertext": lambda api: crypt(api, "CBC", True, B17, IV, PADDED, KEY),
    "a derived key": lambda api: derived(api, "ECDH_P256", "HASH", [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]),
    "a raw secret": lambda api: derived(api, "ECDH_P256", "TRUNCATE"),
}.items():
    add(f"size query of {_said}", _run, strict=True)

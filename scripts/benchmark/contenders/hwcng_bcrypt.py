"""hwcng by the functions of bcrypt.h and ncrypt.h."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hwcng
from hwcng import bcrypt, ncrypt
from hwcng.testing import softhsm
from hwcng.testing.swtpm import Swtpm

from .. import rows
from ..measuring import Operation, Undone, in_child
from ..places import Place
from ..specs import Provider
from .counting import counter_of
from .inputs import DIGEST, IV, MESSAGES, NONCE

__all__ = ["Contender"]

_NAMES = count()


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self.place = place

    @cached_property
    def provider(self) -> Provider:
        return hwcng.open_provider(self.place.uri, pin=self.place.pin)

    @cached_property
    def storage(self) -> Any:
        return ncrypt.NCryptOpenStorageProvider(self.provider)

    def counter(self) -> Any:
        return counter_of(self.provider)

    def algorithm(self, name: str, flags: int = 0, mode: str = "") -> Any:
        handle = bcrypt.BCryptOpenAlgorithmProvider(name, self.provider, flags)
        if mode:
            bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_CHAINING_MODE, f"ChainingMode{mode}")
        return handle

    def pair(self, name: str, bits: int) -> Any:
        made = bcrypt.BCryptGenerateKeyPair(self.algorithm(name), bits)
        bcrypt.BCryptFinalizeKeyPair(made)
        return made


def _ecdsa(contender: Contender) -> Operation:
    return partial(bcrypt.BCryptSignHash, contender.pair("ECDSA_P256", 256), None, DIGEST)


def _rsa_sign(bits: int, contender: Contender) -> Operation:
    padding = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
    pair = contender.pair("RSA_SIGN", bits)
    return partial(bcrypt.BCryptSignHash, pair, padding, DIGEST, bcrypt.BCRYPT_PAD_PKCS1)


def _rsa_decrypt(contender: Contender) -> Operation:
    pair, padding = contender.pair("RSA", 3072), bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA1")
    sealed = bcrypt.BCryptEncrypt(pair, DIGEST, padding, None, bcrypt.BCRYPT_PAD_OAEP)
    return partial(bcrypt.BCryptDecrypt, pair, sealed, padding, None, bcrypt.BCRYPT_PAD_OAEP)


def _hmac(contender: Contender) -> Operation:
    algorithm = contender.algorithm("SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    return partial(bcrypt.BCryptHash, algorithm, algorithm.generate_key(256), MESSAGES["64B"])


def _cbc(size: str, contender: Contender) -> Operation:
    key = contender.algorithm("AES").generate_key(256)
    return partial(bcrypt.BCryptEncrypt, key, MESSAGES[size], None, IV)


def _gcm(size: str, contender: Contender) -> Operation:
    key, message = contender.algorithm("AES", mode="GCM").generate_key(256), MESSAGES[size]
    return lambda: bcrypt.BCryptEncrypt(key, message, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(NONCE))


def _random(contender: Contender) -> Operation:
    return partial(bcrypt.BCryptGenRandom, contender.algorithm("RNG"), 32)


def _aes_generate(contender: Contender) -> Operation:
    algorithm = contender.algorithm("AES")
    return lambda: bcrypt.BCryptDestroyKey(algorithm.generate_key(256))


def _ec_generate(contender: Contender) -> Operation:
    algorithm = contender.algorithm("ECDSA_P256")

    def generate() -> None:
        pair = bcrypt.BCryptGenerateKeyPair(algorithm, 256)
        bcrypt.BCryptFinalizeKeyPair(pair)
        bcrypt.BCryptDestroyKey(pair)

    return generate


def _ecdh(contender: Contender) -> Operation:
    own, peer = contender.pair("ECDH_P256", 256), contender.pair("ECDH_P256", 256)

    def agree() -> None:
        secret = bcrypt.BCryptSecretAgreement(own, peer)
        parameters = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]
        bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, parameters, 32)
        bcrypt.BCryptDestroySecret(secret)

    return agree


def _lattice_pair(contender: Contender, algorithm: str, parameter_set: str) -> Any:
    pair = bcrypt.BCryptGenerateKeyPair(contender.algorithm(algorithm), 0)
    bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, parameter_set)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def _ml_dsa(contender: Contender) -> Operation:
    return partial(bcrypt.BCryptSignHash, _lattice_pair(contender, "ML-DSA", "65"), None, DIGEST)


def _ml_kem(contender: Contender) -> Operation:
    pair = _lattice_pair(contender, "ML-KEM", "768")
    _, ciphertext = bcrypt.BCryptEncapsulate(pair)
    return partial(bcrypt.BCryptDecapsulate, pair, ciphertext)


def _unwrap(contender: Contender) -> Operation:
    algorithm, exportable = contender.algorithm("AES"), contender.algorithm("AES")
    wrapping = algorithm.generate_key(256)
    bcrypt.BCryptSetProperty(exportable, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    blob = bcrypt.BCryptExportKey(exportable.generate_key(256), wrapping, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
    return lambda: bcrypt.BCryptDestroyKey(
        bcrypt.BCryptImportKey(algorithm, wrapping, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob)
    )


def _import(contender: Contender) -> Operation:
    algorithm = contender.algorithm("AES")
    return lambda: bcrypt.BCryptDestroyKey(bcrypt.BCryptGenerateSymmetricKey(algorithm, None, DIGEST))


def _duplicate(contender: Contender) -> Operation:
    key = contender.algorithm("AES").generate_key(256)
    return lambda: bcrypt.BCryptDestroyKey(bcrypt.BCryptDuplicateKey(key))


def _open(keys: int, contender: Contender) -> Operation:
    storage, name = contender.storage, f"key-{keys // 2}"
    return lambda: ncrypt.NCryptFreeObject(ncrypt.NCryptOpenKey(storage, name))


def _store(contender: Contender) -> Operation:
    storage = contender.storage

    def store() -> Any:
        key = ncrypt.NCryptCreatePersistedKey(storage, "AES", f"stored-{next(_NAMES)}")
        ncrypt.NCryptFinalizeKey(key)
        return key

    return Undone(store, ncrypt.NCryptDeleteKey)


def _list(contender: Contender) -> Operation:
    storage = contender.storage
    return lambda: list(ncrypt.NCryptEnumKeys(storage))


def _first_after_fork(contender: Contender) -> Operation:
    key = ncrypt.NCryptOpenKey(contender.storage, rows.SIGNER)
    sign = partial(ncrypt.NCryptSignHash, key, None, DIGEST)
    sign()
    return in_child(sign)


def _open_and_sign(contender: Contender) -> Operation:
    return lambda: ncrypt.NCryptSignHash(ncrypt.NCryptOpenKey(contender.storage, rows.SIGNER), None, DIGEST)


def _open_again(contender: Contender) -> Operation:
    # Open before the first round, and as long as the contender.
    contender.provider.random(1)
    place = contender.place
    return lambda: hwcng.open_provider(place.uri, pin=place.pin).close()


def _import_hwcng(_contender: Contender) -> Operation:
    return partial(subprocess.run, [sys.executable, "-c", "import hwcng"], check=True)


def _fresh_softhsm_token(_contender: Contender) -> Operation:
    def make() -> Path:
        folder = Path(mkdtemp(prefix="bench-softhsm-"))
        softhsm.provision(folder, [softhsm.TokenRequest("fresh", "user-pin")], "officer-pin")
        return folder

    return Undone(make, shutil.rmtree)


def _fresh_swtpm(_contender: Contender) -> Operation:
    def make() -> None:
        # Its CPU time counts when it has ended.
        with Swtpm():
            pass

    return make


Contender.OPERATIONS = {
    "ecdsa-p256-sign": _ecdsa,
    "rsa-2048-sign": partial(_rsa_sign, 2048),
    "rsa-3072-sign": partial(_rsa_sign, 3072),
    "rsa-3072-decrypt": _rsa_decrypt,
    "hmac-sha256-64B": _hmac,
    **{f"aes-cbc-{size}": partial(_cbc, size) for size in ("64B", "1KiB", "4KiB", "1MiB", "64MiB")},
    **{f"aes-gcm-{size}": partial(_gcm, size) for size in ("64B", "4KiB", "1MiB")},
    "random-32B": _random,
    "aes-generate": _aes_generate,
    "ec-generate": _ec_generate,
    "ecdh-hash": _ecdh,
    "ml-dsa-65-sign": _ml_dsa,
    "ml-kem-768-decapsulate": _ml_kem,
    "aes-wrap-import": _unwrap,
    "import-32B": _import,
    "duplicate": _duplicate,
    **{f"open-among-{keys}": partial(_open, keys) for keys in (10, 1_000, 10_000)},
    **{f"store-among-{keys}": _store for keys in (10, 1_000)},
    "list-2000": _list,
    "first-after-fork": _first_after_fork,
    "open-again": _open_again,
    "open-and-sign": _open_and_sign,
    "import-hwcng": _import_hwcng,
    "fresh-softhsm-token": _fresh_softhsm_token,
    "fresh-swtpm": _fresh_swtpm,
}

"""hwcng by the verbs of its providers and keys, without the functions of bcrypt.h above them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from itertools import count
from typing import Any

import hwcng

from .. import rows
from ..measuring import Operation, Undone, in_child
from ..places import Place
from ..specs import (
    AeadSpec,
    CipherMode,
    CipherSpec,
    EcdsaSpec,
    HmacSpec,
    MlDsaSpec,
    PairSpec,
    Provider,
    RsaPkcs1SignSpec,
    SecretFamily,
    SecretSpec,
    Usage,
)
from .counting import counter_of
from .inputs import DIGEST, IV, MESSAGES, NONCE

__all__ = ["Contender"]

_NAMES = count()
_AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
_EC = PairSpec("EC", Usage.SIGN, curve="nistP256")


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def provider(self) -> Provider:
        return hwcng.open_provider(self._place.uri, pin=self._place.pin)

    def counter(self) -> Any:
        return counter_of(self.provider)


def _ecdsa(contender: Contender) -> Operation:
    return partial(contender.provider.generate_pair(_EC).sign_digest, EcdsaSpec(), DIGEST)


def _rsa_sign(bits: int, contender: Contender) -> Operation:
    pair = contender.provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=bits))
    return partial(pair.sign_digest, RsaPkcs1SignSpec("SHA256"), DIGEST)


def _hmac(contender: Contender) -> Operation:
    spec = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
    return partial(contender.provider.generate_secret(spec).mac, HmacSpec("SHA256"), MESSAGES["64B"])


def _cbc(size: str, contender: Contender) -> Operation:
    key = contender.provider.generate_secret(_AES)
    return partial(key.encrypt, CipherSpec(CipherMode.CBC, IV), MESSAGES[size])


def _gcm(size: str, contender: Contender) -> Operation:
    key = contender.provider.generate_secret(_AES)
    return partial(key.encrypt, AeadSpec(CipherMode.GCM, NONCE, b"", 16), MESSAGES[size])


def _random(contender: Contender) -> Operation:
    return partial(contender.provider.random, 32)


def _aes_generate(contender: Contender) -> Operation:
    provider = contender.provider
    return lambda: provider.generate_secret(_AES).destroy()


def _ec_generate(contender: Contender) -> Operation:
    provider = contender.provider
    return lambda: provider.generate_pair(_EC).destroy()


def _ecdh(contender: Contender) -> Operation:
    spec = PairSpec("EC", Usage.DERIVE, curve="nistP256")
    own, peer = contender.provider.generate_pair(spec), contender.provider.generate_pair(spec)

    def agree() -> None:
        secret = own.agree(peer.public)
        secret.digest("SHA256", b"", b"")
        secret.destroy()

    return agree


def _ml_dsa(contender: Contender) -> Operation:
    pair = contender.provider.generate_pair(PairSpec("ML-DSA", Usage.SIGN, parameter_set="65"))
    return partial(pair.sign_message, MlDsaSpec(), DIGEST)


def _ml_kem(contender: Contender) -> Operation:
    pair = contender.provider.generate_pair(PairSpec("ML-KEM", Usage.DECAPSULATE, parameter_set="768"))
    # FIPS 203 rejects a ciphertext of its own making in the same steps, with another secret.
    return partial(pair.decapsulate, bytes(1088))


def _unwrap(contender: Contender) -> Operation:
    provider = contender.provider
    both = Usage.WRAP | Usage.UNWRAP
    wrapping = provider.generate_secret(SecretSpec(SecretFamily.AES, 256, both))
    blob = wrapping.wrap_key(provider.generate_secret(SecretSpec(SecretFamily.AES, 256, _AES.usage, exportable=True)))
    return lambda: provider.unwrap_secret(_AES, wrapping, blob).destroy()


def _import(contender: Contender) -> Operation:
    provider = contender.provider
    return lambda: provider.import_secret(_AES, DIGEST).destroy()


def _duplicate(contender: Contender) -> Operation:
    key = contender.provider.generate_secret(_AES)
    return lambda: key.duplicate().destroy()


def _open(keys: int, contender: Contender) -> Operation:
    provider, name = contender.provider, f"key-{keys // 2}"
    return lambda: provider.open_key(name)


def _store(contender: Contender) -> Operation:
    provider, key = contender.provider, contender.provider.generate_secret(_AES)

    def store() -> str:
        name = f"stored-object-{next(_NAMES)}"
        provider.persist_key(key, name)
        return name

    return Undone(store, provider.delete_key)


def _list(contender: Contender) -> Operation:
    provider = contender.provider
    return lambda: list(provider.list_keys())


def _signing(contender: Contender) -> Callable[[], object]:
    key = contender.provider.open_key(rows.SIGNER)
    return partial(key.sign_digest, EcdsaSpec(), DIGEST)  # type: ignore[union-attr]


def _first_after_fork(contender: Contender) -> Operation:
    sign = _signing(contender)
    sign()
    return in_child(sign)


def _open_and_sign(contender: Contender) -> Operation:
    return lambda: _signing(contender)()


Contender.OPERATIONS = {
    "ecdsa-p256-sign": _ecdsa,
    "rsa-2048-sign": partial(_rsa_sign, 2048),
    "rsa-3072-sign": partial(_rsa_sign, 3072),
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
    "open-and-sign": _open_and_sign,
}

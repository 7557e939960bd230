"""PyKCS11, as its samples do it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import PyKCS11

from .. import rows
from ..measuring import Operation
from ..places import Place
from ..worker import UnsupportedError
from .inputs import DIGEST, DIGEST_INFO, IV, MESSAGES, NONCE
from .interpreter import imports

__all__ = ["Contender"]

_P256 = bytes.fromhex("06082a8648ce3d030107")
_INSIDE = [(PyKCS11.CKA_TOKEN, False), (PyKCS11.CKA_SENSITIVE, True), (PyKCS11.CKA_EXTRACTABLE, False)]
_AES = [*_INSIDE, (PyKCS11.CKA_ENCRYPT, True), (PyKCS11.CKA_DECRYPT, True)]
_AES_GENERATION = PyKCS11.Mechanism(PyKCS11.CKM_AES_KEY_GEN, None)


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def session(self) -> Any:
        self._library = library = PyKCS11.PyKCS11Lib()
        library.load(self._place.module)
        slot = self._place.slot
        if slot is None:
            slots = library.getSlotList(tokenPresent=True)
            slot = next(slot for slot in slots if library.getTokenInfo(slot).label.strip() == self._place.label)
        session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
        if self._place.pin is not None:
            session.login(self._place.pin)
        return session

    def aes(self) -> Any:
        template = [
            (PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY),
            (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES),
            (PyKCS11.CKA_VALUE_LEN, 32),
            *_AES,
        ]
        return self.session.generateKey(template, _AES_GENERATION)

    def pair(self, mechanism: int, public: list[Any], usage: int) -> Any:
        return self.session.generateKeyPair(
            [(PyKCS11.CKA_TOKEN, False), *public], [*_INSIDE, (usage, True)], mecha=PyKCS11.Mechanism(mechanism, None)
        )

    def ec_pair(self) -> Any:
        return self.pair(PyKCS11.CKM_EC_KEY_PAIR_GEN, [(PyKCS11.CKA_EC_PARAMS, _P256)], PyKCS11.CKA_SIGN)

    def counter(self) -> Any:
        raise UnsupportedError("has no counter")


def _ecdsa(contender: Contender) -> Operation:
    _, private = contender.ec_pair()
    return partial(contender.session.sign, private, DIGEST, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None))


def _rsa_sign(bits: int, contender: Contender) -> Operation:
    public = [(PyKCS11.CKA_MODULUS_BITS, bits), (PyKCS11.CKA_PUBLIC_EXPONENT, (1, 0, 1))]
    _, private = contender.pair(PyKCS11.CKM_RSA_PKCS_KEY_PAIR_GEN, public, PyKCS11.CKA_SIGN)
    return partial(contender.session.sign, private, DIGEST_INFO, PyKCS11.Mechanism(PyKCS11.CKM_RSA_PKCS, None))


def _rsa_decrypt(contender: Contender) -> Operation:
    public = [(PyKCS11.CKA_MODULUS_BITS, 3072), (PyKCS11.CKA_PUBLIC_EXPONENT, (1, 0, 1)), (PyKCS11.CKA_ENCRYPT, True)]
    outer, inner = contender.pair(PyKCS11.CKM_RSA_PKCS_KEY_PAIR_GEN, public, PyKCS11.CKA_DECRYPT)
    oaep = PyKCS11.RSAOAEPMechanism(PyKCS11.CKM_SHA_1, PyKCS11.CKG_MGF1_SHA1)
    return partial(contender.session.decrypt, inner, contender.session.encrypt(outer, DIGEST, oaep), oaep)


def _hmac(contender: Contender) -> Operation:
    template = [
        (PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY),
        (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_GENERIC_SECRET),
        (PyKCS11.CKA_VALUE_LEN, 32),
        *_INSIDE,
        (PyKCS11.CKA_SIGN, True),
    ]
    key = contender.session.generateKey(template, PyKCS11.Mechanism(PyKCS11.CKM_GENERIC_SECRET_KEY_GEN, None))
    return partial(contender.session.sign, key, MESSAGES["64B"], PyKCS11.Mechanism(PyKCS11.CKM_SHA256_HMAC, None))


def _cbc(size: str, contender: Contender) -> Operation:
    session, key, message = contender.session, contender.aes(), MESSAGES[size]
    return lambda: bytes(session.encrypt(key, message, PyKCS11.Mechanism(PyKCS11.CKM_AES_CBC, IV)))


def _gcm(size: str, contender: Contender) -> Operation:
    session, key, message = contender.session, contender.aes(), MESSAGES[size]
    return lambda: bytes(session.encrypt(key, message, PyKCS11.AES_GCM_Mechanism(NONCE, b"", 128)))


def _random(contender: Contender) -> Operation:
    session = contender.session
    return lambda: bytes(session.generateRandom(32))


def _aes_generate(contender: Contender) -> Operation:
    session = contender.session
    return lambda: session.destroyObject(contender.aes())


def _ec_generate(contender: Contender) -> Operation:
    session = contender.session

    def generate() -> None:
        public, private = contender.ec_pair()
        session.getAttributeValue(public, [PyKCS11.CKA_EC_POINT])
        session.destroyObject(private)
        session.destroyObject(public)

    return generate


def _import(contender: Contender) -> Operation:
    session = contender.session
    template = [
        (PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY),
        (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES),
        (PyKCS11.CKA_VALUE, DIGEST),
        *_AES,
    ]
    return lambda: session.destroyObject(session.createObject(template))


def _open(keys: int, contender: Contender) -> Operation:
    session, name = contender.session, f"key-{keys // 2}"
    return lambda: session.findObjects([(PyKCS11.CKA_LABEL, name)])[0]


def _list(contender: Contender) -> Operation:
    session = contender.session
    keys = [(PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY)]
    return lambda: [session.getAttributeValue(key, [PyKCS11.CKA_LABEL]) for key in session.findObjects(keys)]


def _open_and_sign(contender: Contender) -> Operation:
    template = [(PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY), (PyKCS11.CKA_LABEL, rows.SIGNER)]

    def sign() -> bytes:
        key = contender.session.findObjects(template)[0]
        return bytes(contender.session.sign(key, DIGEST, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None)))

    return sign


Contender.OPERATIONS = {
    "ecdsa-p256-sign": _ecdsa,
    "rsa-2048-sign": partial(_rsa_sign, 2048),
    "rsa-3072-sign": partial(_rsa_sign, 3072),
    "rsa-3072-decrypt": _rsa_decrypt,
    "hmac-sha256-64B": _hmac,
    **{f"aes-cbc-{size}": partial(_cbc, size) for size in ("64B", "4KiB", "1MiB")},
    **{f"aes-gcm-{size}": partial(_gcm, size) for size in ("64B", "4KiB", "1MiB")},
    "random-32B": _random,
    "aes-generate": _aes_generate,
    "ec-generate": _ec_generate,
    "import-32B": _import,
    **{f"open-among-{keys}": partial(_open, keys) for keys in (10, 1_000, 10_000)},
    "list-2000": _list,
    "open-and-sign": _open_and_sign,
    "import-hwcng": imports("import PyKCS11"),
}

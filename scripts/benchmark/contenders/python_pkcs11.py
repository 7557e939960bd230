"""python-pkcs11, as its documentation says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import pkcs11
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from .. import rows
from ..measuring import Operation
from ..places import Place
from ..worker import UnsupportedError
from .inputs import DIGEST, DIGEST_INFO, IV, MESSAGES, NONCE
from .interpreter import imports

__all__ = ["Contender"]

_INSIDE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_BOTH = pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place

    def _is_token(self, slot: Any) -> bool:
        if self._place.slot is not None:
            return bool(slot.slot_id == self._place.slot)
        return bool(slot.get_token().label == self._place.label)

    @cached_property
    def session(self) -> Any:
        library = pkcs11.lib(self._place.module)
        slot = next(slot for slot in library.get_slots(token_present=True) if self._is_token(slot))
        return slot.get_token().open(rw=True, user_pin=self._place.pin)

    @cached_property
    def curve(self) -> Any:
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        return self.session.create_domain_parameters(KeyType.EC, parameters, local=True)

    def aes(self) -> Any:
        return self.session.generate_key(KeyType.AES, 256, capabilities=_BOTH, template=_INSIDE)

    def counter(self) -> Any:
        raise UnsupportedError("has no counter")


def _ecdsa(contender: Contender) -> Operation:
    _, private = contender.curve.generate_keypair(capabilities=pkcs11.MechanismFlag.SIGN, private_template=_INSIDE)
    return partial(private.sign, DIGEST, mechanism=Mechanism.ECDSA)


def _rsa_sign(bits: int, contender: Contender) -> Operation:
    _, private = contender.session.generate_keypair(KeyType.RSA, bits)
    return partial(private.sign, DIGEST_INFO, mechanism=Mechanism.RSA_PKCS)


def _rsa_decrypt(contender: Contender) -> Operation:
    public, private = contender.session.generate_keypair(KeyType.RSA, 3072)
    oaep = {"mechanism": Mechanism.RSA_PKCS_OAEP, "mechanism_param": (Mechanism.SHA_1, pkcs11.MGF.SHA1, None)}
    return partial(private.decrypt, public.encrypt(DIGEST, **oaep), **oaep)


def _hmac(contender: Contender) -> Operation:
    key = contender.session.generate_key(
        KeyType.GENERIC_SECRET,
        256,
        mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
        capabilities=pkcs11.MechanismFlag.SIGN,
        template=_INSIDE,
    )
    return partial(key.sign, MESSAGES["64B"], mechanism=Mechanism.SHA256_HMAC)


def _cbc(size: str, contender: Contender) -> Operation:
    return partial(contender.aes().encrypt, MESSAGES[size], mechanism=Mechanism.AES_CBC, mechanism_param=IV)


def _gcm(size: str, contender: Contender) -> Operation:
    key, message = contender.aes(), MESSAGES[size]
    return lambda: key.encrypt(message, mechanism=Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(NONCE, b"", 128))


def _random(contender: Contender) -> Operation:
    return partial(contender.session.generate_random, 256)


def _aes_generate(contender: Contender) -> Operation:
    return lambda: contender.aes().destroy()


def _ec_generate(contender: Contender) -> Operation:
    curve = contender.curve

    def generate() -> None:
        public, private = curve.generate_keypair(capabilities=pkcs11.MechanismFlag.SIGN, private_template=_INSIDE)
        # Whoever makes a pair has a use for its public half.
        public[Attribute.EC_POINT]
        private.destroy()
        public.destroy()

    return generate


def _ecdh(contender: Contender) -> Operation:
    """The agreed value is read out and digested on the host: it has no verb for C_DigestKey."""
    import hashlib

    derive = pkcs11.MechanismFlag.DERIVE
    public, _ = contender.curve.generate_keypair(capabilities=derive)
    _, private = contender.curve.generate_keypair(capabilities=derive)
    point = public[Attribute.EC_POINT][2:]
    template = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}

    def agree() -> bytes:
        key = private.derive_key(
            KeyType.GENERIC_SECRET, 256, mechanism_param=(KDF.NULL, None, point), template=template, capabilities=derive
        )
        value = key[Attribute.VALUE]
        key.destroy()
        return hashlib.sha256(value).digest()

    return agree


def _unwrap(contender: Contender) -> Operation:
    both = pkcs11.MechanismFlag.WRAP | pkcs11.MechanismFlag.UNWRAP
    wrapping = contender.session.generate_key(KeyType.AES, 256, capabilities=both)
    key = contender.session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})
    blob = wrapping.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
    return lambda: wrapping.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.AES,
        blob,
        mechanism=Mechanism.AES_KEY_WRAP,
        capabilities=_BOTH,
        template=_INSIDE,
    ).destroy()


def _import(contender: Contender) -> Operation:
    attributes = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.TOKEN: False,
        Attribute.VALUE: DIGEST,
        Attribute.ENCRYPT: True,
        Attribute.DECRYPT: True,
        **_INSIDE,
    }
    session = contender.session
    return lambda: session.create_object(attributes).destroy()


def _duplicate(contender: Contender) -> Operation:
    key = contender.aes()
    return lambda: key.copy({Attribute.TOKEN: False}).destroy()


def _open(keys: int, contender: Contender) -> Operation:
    session, name = contender.session, f"key-{keys // 2}"
    return lambda: session.get_key(label=name)


def _list(contender: Contender) -> Operation:
    session = contender.session
    return lambda: [key.label for key in session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})]


def _open_and_sign(contender: Contender) -> Operation:
    def sign() -> bytes:
        key = contender.session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=rows.SIGNER)
        signature: bytes = key.sign(DIGEST, mechanism=Mechanism.ECDSA)
        return signature

    return sign


Contender.OPERATIONS = {
    "ecdsa-p256-sign": _ecdsa,
    "rsa-2048-sign": partial(_rsa_sign, 2048),
    "rsa-3072-sign": partial(_rsa_sign, 3072),
    "rsa-3072-decrypt": _rsa_decrypt,
    "hmac-sha256-64B": _hmac,
    **{f"aes-cbc-{size}": partial(_cbc, size) for size in ("64B", "4KiB", "1MiB", "64MiB")},
    **{f"aes-gcm-{size}": partial(_gcm, size) for size in ("64B", "4KiB", "1MiB")},
    "random-32B": _random,
    "aes-generate": _aes_generate,
    "ec-generate": _ec_generate,
    "ecdh-hash": _ecdh,
    "aes-wrap-import": _unwrap,
    "import-32B": _import,
    "duplicate": _duplicate,
    **{f"open-among-{keys}": partial(_open, keys) for keys in (10, 1_000, 10_000)},
    "list-2000": _list,
    "open-and-sign": _open_and_sign,
    "import-hwcng": imports("import pkcs11"),
}

"""What a key in the token is, read from its attributes (PKCS#11 3.2, section 4 and the key types of section 6).

Keys of any software are read, so nothing is expected but what the standard asks of an object of that class and type.
CKA_VALUE is never asked for: of a key that is not sensitive it would be the key itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.key_names import LONGEST_NAME_OCTETS
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.providers.pkcs11.families import PAIR_KINDS, STORED_PAIRS
from hwcng.providers.pkcs11.families.secret import STORED_SECRETS
from hwcng.providers.pkcs11.families.values import ULONG, Values, number, unserved
from hwcng.providers.pkcs11.store.ids import KeyId

__all__ = ["READ", "spec_of"]

_BBOOL = 1

_USAGES: Mapping[Attribute, Usage] = MappingProxyType(
    {
        Attribute.ENCRYPT: Usage.ENCRYPT,
        Attribute.DECRYPT: Usage.DECRYPT,
        Attribute.SIGN: Usage.SIGN,
        Attribute.WRAP: Usage.WRAP,
        Attribute.UNWRAP: Usage.UNWRAP,
        Attribute.DERIVE: Usage.DERIVE,
        Attribute.DECAPSULATE: Usage.DECAPSULATE,
    }
)

READ: Mapping[Attribute, int] = MappingProxyType(
    {
        Attribute.CLASS: ULONG,
        Attribute.LABEL: LONGEST_NAME_OCTETS,
        Attribute.ID: 256,
        Attribute.KEY_TYPE: ULONG,
        Attribute.PRIVATE: _BBOOL,
        Attribute.EXTRACTABLE: _BBOOL,
        **dict.fromkeys(_USAGES, _BBOOL),
        Attribute.ALWAYS_AUTHENTICATE: _BBOOL,
        Attribute.VALUE_LEN: ULONG,
        **{attribute: room for kind in PAIR_KINDS.values() for attribute, room in kind.stored.items()},
    }
)
"""Attribute to octets of room: what is read of every object, in one call."""


def _usage(values: Values) -> Usage:
    return _usage_of(*map(values.get, _USAGES))


@lru_cache(maxsize=256)
def _usage_of(*said: bytes | None) -> Usage:
    """said: the values of _USAGES."""
    usage = Usage.NONE
    for octets, flag in zip(said, _USAGES.values(), strict=True):
        if octets == b"\1":
            usage |= flag
    return usage


_PRIVATE_KEY = int(ObjectClass.PRIVATE_KEY).to_bytes(ULONG, sys.byteorder)

_own_secret = lru_cache(maxsize=256)(SecretSpec)
"""One object for all keys of one kind: a token has thousands."""


def spec_of(values: Values, own: KeyId | None) -> SecretSpec | PairSpec:
    """The spec of a private or secret key. own: what its CKA_ID says, where hwcng made it.

    Raises NTE_NOT_SUPPORTED for keys that no spec describes.
    """
    key_type = number(values, Attribute.KEY_TYPE) or 0
    exportable = values.get(Attribute.EXTRACTABLE) == b"\1"
    usage = own.usage if own is not None else _usage(values)
    if values.get(Attribute.CLASS) == _PRIVATE_KEY:
        pair = STORED_PAIRS.get(key_type)
        if pair is None:
            raise unserved(f"a private key of type {key_type}")
        return PairSpec(pair.kind, usage & pair.usages, exportable=exportable, **pair.traits(values))
    if key_type not in STORED_SECRETS:
        raise unserved(f"a secret key of type {key_type}")
    family, hash_name, bits = STORED_SECRETS[key_type]
    bits = bits or 8 * (number(values, Attribute.VALUE_LEN) or 0)
    if own is not None and own.family is not None:
        return _own_secret(own.family, own.bits or bits, usage, exportable, own.hash_name, own.effective_bits)
    return _secret_of_others(family, bits, usage, exportable, hash_name)


@lru_cache(maxsize=256)
def _secret_of_others(
    family: SecretFamily, bits: int, usage: Usage, exportable: bool, hash_name: str | None
) -> SecretSpec:
    """Of which family a key is that only its use tells apart."""
    if family is SecretFamily.AES and usage & Usage.SIGN and not usage & (Usage.ENCRYPT | Usage.DECRYPT):
        family = SecretFamily.CMAC
    if family is SecretFamily.HMAC and usage & Usage.DERIVE and not usage & Usage.SIGN:
        family = SecretFamily.KDF
    return SecretSpec(family, bits, usage, exportable, hash_name)

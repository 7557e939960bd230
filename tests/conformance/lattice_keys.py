"""What the tests of ML-DSA and ML-KEM share: blobs by their layout in the documentation, and expanded private keys."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwcng.providers.base import Provider

ML_DSA = {"44": (1312, 2560, 2420), "65": (1952, 4032, 3309), "87": (2592, 4896, 4627)}
"""Parameter set -> bytes of a public key, an expanded private key, a signature."""

ML_KEM = {"512": (800, 1632, 768), "768": (1184, 2400, 1088), "1024": (1568, 3168, 1568)}
"""Parameter set -> bytes of an encapsulation key, an expanded decapsulation key, a ciphertext."""


def blob(
    magic: bytes, parameter_set: str, key: bytes, *, name_size: int | None = None, size: int | None = None
) -> bytes:
    """magic: DSPK, DSSK, DSSS, MLKP, MLKR or MLKS. name_size, size: what the header says, unless it tells the truth."""
    name = parameter_set.encode("utf-16-le") + b"\0\0"
    sizes = (len(name) if name_size is None else name_size, len(key) if size is None else size)
    return magic + struct.pack("<2I", *sizes) + name + key


def expanded(provider: Provider, kind: str, parameter_set: str, seed: bytes) -> bytes:
    """The expanded private key of a test's own seed, which the token works out in an object that is not sensitive.

    kind: "ML-DSA" or "ML-KEM".
    """
    from pkcs11 import Attribute, ObjectClass

    from hwcng.providers.pkcs11 import objects
    from hwcng.providers.pkcs11.kinds import PAIR_KINDS
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

    assert isinstance(provider, Pkcs11Provider)
    sets, verb = (ML_DSA, Attribute.SIGN) if kind == "ML-DSA" else (ML_KEM, Attribute.DECAPSULATE)
    connection, size = provider._connection, sets[parameter_set][1]
    template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: PAIR_KINDS[kind].key_type,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: False,
        Attribute.EXTRACTABLE: True,
        Attribute.PARAMETER_SET: 1 + list(sets).index(parameter_set),
        verb: True,
        Attribute.SEED: seed,
    }
    return objects.read_secret(objects.create(connection, template, "a key to be read"), size, "the expanded key")

"""What the tests of ML-DSA and ML-KEM share: blobs by their layout in the documentation, and expanded private keys."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwcng.cng.keys import AlgorithmHandle, KeyPair
    from hwcng.contract.provider import Provider

ML_DSA = {"44": (1312, 2560, 2420), "65": (1952, 4032, 3309), "87": (2592, 4896, 4627)}
"""Parameter set -> bytes of a public key, an expanded private key, a signature."""

ML_KEM = {"512": (800, 1632, 768), "768": (1184, 2400, 1088), "1024": (1568, 3168, 1568)}
"""Parameter set -> bytes of an encapsulation key, an expanded decapsulation key, a ciphertext."""


def generated(algorithm: AlgorithmHandle, parameter_set: str, flags: int = 0) -> KeyPair:
    """A new pair of a parameter set."""
    from hwcng import bcrypt

    pair = bcrypt.BCryptGenerateKeyPair(algorithm, 0, flags)
    bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, parameter_set)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def blob(magic: bytes, parameter_set: str, key: bytes) -> bytes:
    """magic: DSPK, DSSK, DSSS, MLKP, MLKR or MLKS."""
    name = parameter_set.encode("utf-16-le") + b"\0\0"
    return magic + struct.pack("<2I", len(name), len(key)) + name + key


def malformed(good: bytes) -> Iterator[bytes]:
    """What is wrong with the header, the name or the size of a blob that was good."""
    name_size, size = struct.unpack_from("<2I", good, 4)
    name, key = good[12 : 12 + name_size], good[12 + name_size :]

    def header(*sizes: int) -> bytes:
        return good[:4] + struct.pack("<2I", *sizes)

    yield from (good[:length] for length in (0, 3, 11, 12, 12 + name_size, len(good) - 1))
    yield good + b"\0"
    yield bytes(4) + good[4:]
    yield good[:4][::-1] + good[4:]
    yield header(name_size, size - 1) + good[12:]
    yield header(name_size, size + 1) + good[12:]
    yield header(name_size - 2, size + 2) + good[12:]
    yield header(name_size + 2, size - 2) + good[12:]
    yield header(0, size) + key
    yield header(0xFFFFFFFF, size) + good[12:]
    yield header(name_size, 0xFFFFFFFF) + good[12:]
    # Without its NUL, of bytes, with a blank, no set's, twice.
    bare = name[:-2]
    for other in (bare, bare[::2] + b"\0", bare + b" \0\0\0", b"6\0006\0\0\0", name + name):
        yield header(len(other), size) + other + key
    yield header(name_size, size - 1) + name + key[:-1]
    yield header(name_size, size + 1) + name + key + b"\0"
    yield header(name_size, 0) + name


def expanded(provider: Provider, kind: str, parameter_set: str, seed: bytes) -> bytes:
    """The expanded private key of a test's own seed, which the token works out in an object that is not sensitive.

    kind: "ML-DSA" or "ML-KEM".
    """
    from pkcs11 import Attribute, ObjectClass

    from hwcng.providers.pkcs11 import objects
    from hwcng.providers.pkcs11.families import PAIR_KINDS
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

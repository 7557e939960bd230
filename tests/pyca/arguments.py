"""Arguments, good and bad, by what is wrong with them. A caller may hand any of them to a key."""

from __future__ import annotations

import array
import ctypes
import hashlib
import io
import sys
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils, x448, x25519

__all__ = ["BUFFERS", "HASHES", "MESSAGE", "PADDINGS", "PEERS", "SCHEMES", "SCHEMES_OF_ECDH", "SHA256"]

MESSAGE = b"m" * 32
SHA256, SHA1 = hashes.SHA256(), hashes.SHA1()  # noqa: S303


class _Unknown(hashes.HashAlgorithm):
    name = "nobody's hash"
    digest_size = 32
    block_size = 64


class _Derived(hashes.SHA256):
    pass


class _OwnPadding(padding.AsymmetricPadding):
    name = "nobody's padding"


class _Octets(bytes):
    pass


_RELEASED = memoryview(MESSAGE)
_RELEASED.release()
BUFFERS: dict[str, Any] = {
    "a released one": _RELEASED,
    "None": None,
    "a text": "text",
    "a number": 32,
    "nothing in it": b"",
    "a bytearray": bytearray(MESSAGE),
    "a memoryview": memoryview(MESSAGE),
    "with gaps": memoryview(MESSAGE * 2)[::2],
    "of numbers": array.array("I", [1] * 8),
    "of signed octets": array.array("b", MESSAGE),
    "of octets": array.array("B", MESSAGE),
    "of characters": memoryview(MESSAGE).cast("c"),
    "of ctypes": (ctypes.c_ubyte * 32)(),
    "of two dimensions": memoryview(MESSAGE).cast("B", (4, 8)),
    "a list": list(MESSAGE),
    "an object": object(),
    "a file": io.BytesIO(MESSAGE),
    "derived from bytes": _Octets(MESSAGE),
    "5 bytes": b"short",
    "64 bytes": bytes(64),
    "a bytearray of 64": bytearray(64),
    "256 bytes": bytes(255) + b"\1",
    "256 high bytes": b"\xff" * 256,
    "257 bytes": bytes(257),
}
if sys.version_info < (3, 11):
    # Python's stable interface has no buffers there: cryptography reads the octets of any, and refuses gaps otherwise.
    for _kind in ("with gaps", "of numbers", "of signed octets", "of ctypes"):
        del BUFFERS[_kind]
HASHES: dict[str, Any] = {
    "None": None,
    "a name": "sha256",
    "a class": hashes.SHA256,
    "hashlib's": hashlib.sha256(),
    "a running one": hashes.Hash(SHA256),
    "ECDSA": ec.ECDSA(SHA256),
    **{
        f"{'a digest of ' if prehashed else ''}{algorithm.name}": utils.Prehashed(algorithm) if prehashed else algorithm
        for prehashed in (False, True)
        for algorithm in (
            SHA1,
            SHA256,
            hashes.SHA512(),
            hashes.MD5(),  # noqa: S303
            hashes.SHA224(),
            hashes.SHA512_256(),
            hashes.SHA3_256(),
            hashes.SHAKE128(32),
            hashes.BLAKE2s(32),
            hashes.SM3(),
            _Unknown(),
        )
    },
    "derived from SHA256": _Derived(),
    "no digest info": utils.NoDigestInfo(),
    "the class of no digest info": utils.NoDigestInfo,
}
_MGF = padding.MGF1(SHA256)
PADDINGS: dict[str, Any] = {
    "None": None,
    "a name": "PSS",
    "a class": padding.PSS,
    "MGF1": _MGF,
    "nobody's": _OwnPadding(),
    "PKCS #1 v1.5": padding.PKCS1v15(),
    "OAEP": padding.OAEP(_MGF, SHA256, None),
    "OAEP with a label": padding.OAEP(_MGF, SHA256, b"label"),
    "OAEP with an empty label": padding.OAEP(_MGF, SHA256, b""),
    "OAEP of SHA-1": padding.OAEP(padding.MGF1(SHA1), SHA1, None),
    "OAEP of two hashes": padding.OAEP(padding.MGF1(SHA1), SHA256, None),
    "OAEP of nobody's hash": padding.OAEP(padding.MGF1(_Unknown()), _Unknown(), None),
    "PSS": padding.PSS(_MGF, 32),
    "PSS without salt": padding.PSS(_MGF, 0),
    "PSS with the longest salt": padding.PSS(_MGF, 222),
    "PSS with a salt too long": padding.PSS(_MGF, 223),
    "PSS with a salt of no size": padding.PSS(_MGF, 1 << 40),
    "PSS, AUTO": padding.PSS(_MGF, padding.PSS.AUTO),
    "PSS, MAX_LENGTH": padding.PSS(_MGF, padding.PSS.MAX_LENGTH),
    "PSS, DIGEST_LENGTH": padding.PSS(_MGF, padding.PSS.DIGEST_LENGTH),
    "PSS of two hashes": padding.PSS(padding.MGF1(SHA1), 32),
    "PSS of nobody's hash": padding.PSS(padding.MGF1(_Unknown()), 32),
}
SCHEMES: dict[str, Any] = {
    "None": None,
    "a name": "ECDSA",
    "a class": ec.ECDSA,
    "ECDH": ec.ECDH(),
    "a hash": SHA256,
    "no random numbers": ec.ECDSA(SHA256, deterministic_signing=True),
    **{f"ECDSA of {name}": ec.ECDSA(value) for name, value in HASHES.items() if not isinstance(value, ec.ECDSA)},
}
SCHEMES_OF_ECDH: dict[str, Any] = {"None": None, "a name": "ECDH", "a class": ec.ECDH, "ECDSA": ec.ECDSA(SHA256)}
_OWN = ec.generate_private_key(ec.SECP256R1())
PEERS: dict[str, Any] = {
    "None": None,
    "bytes": bytes(32),
    "a private key": _OWN,
    "on P-256": _OWN.public_key(),
    "on P-384": ec.generate_private_key(ec.SECP384R1()).public_key(),
    "on curve25519": x25519.X25519PrivateKey.generate().public_key(),
    "on curve25519, its private half": x25519.X25519PrivateKey.generate(),
    "of low order": x25519.X25519PublicKey.from_public_bytes(bytes(32)),
    "not reduced": x25519.X25519PublicKey.from_public_bytes(b"\xff" * 32),
    "on curve448": x448.X448PrivateKey.generate().public_key(),
    "of RSA": rsa.generate_private_key(65537, 2048).public_key(),
    "of DSA": dsa.generate_private_key(1024).public_key(),  # noqa: S505
}

"""Hashes by the names of `cryptography`, and signatures as DER (RFC 3279, section 2.2.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hwcng.loading import host_work
from hwcng.pyca.failures import refusal
from hwcng.standards.hashes import HASHES

if TYPE_CHECKING:
    from cryptography.utils import Buffer

__all__ = ["buffer_of", "bytes_of", "cng_name", "der_signature", "digest_of", "hash_of", "octets_of"]

_CNG_NAMES: Mapping[str, str] = MappingProxyType(
    {row.hashlib_name.replace("_", "-"): row.name for row in HASHES.values()}
)
_MAKERS: Mapping[type, Callable[[Any], Any]] = MappingProxyType(
    {
        hashes.SHA256: hashlib.sha256,
        hashes.SHA384: hashlib.sha384,
        hashes.SHA512: hashlib.sha512,
        hashes.SHA3_256: hashlib.sha3_256,
        hashes.SHA3_384: hashlib.sha3_384,
        hashes.SHA3_512: hashlib.sha3_512,
    }
)
_FORMATS = frozenset({"B", "@B", "c", "@c"})
"""Of octets in a buffer (the module struct)."""


def octets_of(data: Buffer) -> bytes:
    """As `cryptography` takes buffers. Raises TypeError for what is none of octets, BufferError for one with gaps."""
    return data if type(data) is bytes else bytes(buffer_of(data))


def buffer_of(data: Buffer) -> bytes | memoryview:
    """As `octets_of`, and what is large is not copied."""
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except (TypeError, ValueError) as error:
        what = "one that is released" if isinstance(error, ValueError) else type(data).__name__
        refused = refusal(TypeError, f"bytes or another buffer of octets expected, not {what}")
        raise refused from refused.__cause__
    if view.format not in _FORMATS:
        raise refusal(TypeError, f"a buffer of octets expected, not of {view.format!r}: give bytes of it")
    if not view.c_contiguous:
        raise refusal(BufferError, "Buffer is not contiguous: give bytes of it")
    return view


def bytes_of(data: bytes, name: str) -> bytes:
    """Raises TypeError for other buffers, where `cryptography` takes none."""
    if not isinstance(data, bytes):
        raise refusal(TypeError, f"{name} must be bytes, not {type(data).__name__}")
    return octets_of(data)


def hash_of(algorithm: object) -> hashes.HashAlgorithm:
    """The hash behind what a caller gives as one. Raises TypeError."""
    if isinstance(algorithm, Prehashed):
        algorithm = algorithm._algorithm
    if not isinstance(algorithm, hashes.HashAlgorithm):
        raise refusal(TypeError, "Expected instance of hashes.HashAlgorithm.")
    return algorithm


def cng_name(algorithm: hashes.HashAlgorithm) -> str:
    """CNG's name of a hash. Raises UnsupportedAlgorithm."""
    name = _CNG_NAMES.get(algorithm.name)
    if name is None:
        known = ", ".join(_CNG_NAMES)
        raise refusal(UnsupportedAlgorithm, f"{algorithm.name} is no hash of this key's token: use one of {known}")
    return name


def digest_of(data: Buffer, algorithm: Prehashed | hashes.HashAlgorithm) -> bytes:
    """The digest that is signed: of `data`, or `data` itself where it is one already.

    Raises TypeError for what is no hash, ValueError for a digest of another length, UnsupportedAlgorithm.
    """
    maker = _MAKERS.get(type(algorithm))
    if maker is not None:
        digest: bytes = maker(buffer_of(data)).digest()
        return digest
    buffer, plain = buffer_of(data), hash_of(algorithm)
    if isinstance(algorithm, Prehashed):
        octets = octets_of(buffer)
        if len(octets) != plain.digest_size:
            raise refusal(
                ValueError,
                "The provided data must be the same length as the hash algorithm's digest size: "
                f"{plain.digest_size} bytes for {plain.name}, not {len(octets)}",
            )
        return octets
    return _hashed(buffer, plain)


@host_work
def _hashed(data: bytes | memoryview, algorithm: hashes.HashAlgorithm) -> bytes:
    try:
        running = hashes.Hash(algorithm)
    except UnsupportedAlgorithm as error:
        refused = refusal(UnsupportedAlgorithm, f"{error}: use another hash")
        raise refused from refused.__cause__
    running.update(data)
    return running.finalize()


def der_signature(signature: bytes) -> bytes:
    """r || s as SEQUENCE { r, s }."""
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    # Positive numbers: one bit more than they have, in whole octets.
    rs, ss = r.bit_length() // 8 + 1, s.bit_length() // 8 + 1
    body = b"\x02%c%b\x02%c%b" % (rs, r.to_bytes(rs, "big"), ss, s.to_bytes(ss, "big"))
    return (b"0%c%b" if len(body) < 0x80 else b"0\x81%c%b") % (len(body), body)

"""Hashes, HMACs and random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wine.cases.inputs import DATA, HASHES, HMAC_FLAG, HMAC_KEY, REUSABLE, hash_object
from wine.cases.registry import add


def digest(api: Any, name: str, chunks: Sequence[bytes | None], secret: bytes | None = None, flags: int = 0) -> Any:
    hashing = hash_object(api, name, flags, secret)
    for chunk in chunks:
        api.BCryptHashData(hashing, chunk)
    return api.BCryptFinishHash(hashing)


def at_once(api: Any, name: str, flags: int, secret: bytes | None, data: bytes) -> Any:
    return api.BCryptHash(api.BCryptOpenAlgorithmProvider(name, None, flags), secret, data)


for _name in HASHES:
    for _size in (0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000):
        add(f"{_name} of {_size} bytes", digest, _name, [DATA[:_size]])
    add(f"{_name} in three calls", digest, _name, [DATA[:100], DATA[:1], DATA[:200]])
    add(f"{_name} of nothing", digest, _name, [])
    add(f"{_name} of no buffer", digest, _name, [None])
    add(f"{_name} at once", at_once, _name, 0, None, DATA)
    add(f"{_name} with a secret", digest, _name, [DATA], b"key")
    for _size in (64, 65, 127, 128, 129, 200):
        add(f"HMAC-{_name} under {_size} bytes", digest, _name, [DATA[:100]], DATA[:_size], HMAC_FLAG)
    add(f"HMAC-{_name} of nothing", digest, _name, [], DATA[:64], HMAC_FLAG)
    add(f"HMAC-{_name} in two calls", digest, _name, [DATA[:100], DATA[:1]], DATA[:64], HMAC_FLAG)
    add(f"HMAC-{_name} at once", at_once, _name, HMAC_FLAG, DATA[:64], DATA)


def finished_hash(api: Any, step: str, flags: int = 0, secret: bytes | None = None) -> Any:
    hashing = hash_object(api, "SHA256", flags, secret)
    api.BCryptHashData(hashing, b"abc")
    first = api.BCryptFinishHash(hashing)
    if step == "update":
        return api.BCryptHashData(hashing, b"abc")
    if step == "duplicate":
        return api.BCryptDuplicateHash(hashing) and "done"
    if step == "again":
        api.BCryptHashData(hashing, b"abc")
    return first, api.BCryptFinishHash(hashing)


def duplicated_hash(api: Any, flags: int = 0, secret: bytes | None = None) -> Any:
    hashing = hash_object(api, "SHA256", flags, secret)
    api.BCryptHashData(hashing, b"a")
    copy = api.BCryptDuplicateHash(hashing)
    api.BCryptHashData(hashing, b"b")
    api.BCryptHashData(copy, b"c")
    api.BCryptDestroyHash(hashing)
    return api.BCryptFinishHash(copy)


def hash_on(api: Any, name: str, flags: int = 0) -> str:
    api.BCryptCreateHash(api.BCryptOpenAlgorithmProvider(name), None, None, flags)
    return "done"


add("finish a hash twice", finished_hash, "finish")
add("data for a finished hash", finished_hash, "update")
add("duplicate a finished hash", finished_hash, "duplicate")
add("a reusable hash", finished_hash, "again", REUSABLE)
add("a reusable hash, finished twice", finished_hash, "finish", REUSABLE)
add("a reusable HMAC", finished_hash, "again", REUSABLE | HMAC_FLAG, HMAC_KEY)
add("a duplicate of a hash", duplicated_hash)
add("a duplicate of an HMAC", duplicated_hash, HMAC_FLAG, HMAC_KEY)
for _name in ("AES", "RSA", "RNG", "ECDSA_P256"):
    add(f"a hash on {_name}", hash_on, _name)
for _flags in (0x1, 0x80000000):
    add(f"a hash with flags {_flags:#x}", hash_on, "SHA256", _flags)


def random_length(api: Any, algorithm: str | None, size: int, flags: int) -> int:
    handle = None if algorithm is None else api.BCryptOpenAlgorithmProvider(algorithm)
    return len(api.BCryptGenRandom(handle, size, flags))


for _name, _size, _flags in (
    ("RNG", 16, 0),
    ("RNG", 0, 0),
    ("RNG", 16, 1),
    ("RNG", 16, 2),
    (None, 16, 2),
    (None, 0, 2),
    (None, 16, 3),
    (None, 16, 0),
    (None, 0, 0),
    ("AES", 16, 0),
    ("SHA256", 16, 0),
):
    add(f"{_size} random bytes of {_name}, flags {_flags}", random_length, _name, _size, _flags)

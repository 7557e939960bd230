"""BCryptDeriveKeyPBKDF2 and BCryptDeriveKeyCapi."""

from __future__ import annotations

from typing import Any

from wine.cases.inputs import DATA, HASHES, HMAC_FLAG, rsa_public
from wine.cases.registry import add, status_of

PBKDF2, CAPI = "BCryptDeriveKeyPBKDF2", "BCryptDeriveKeyCapi"


def pbkdf2(
    api: Any,
    name: str,
    password: bytes | None = b"password",
    salt: bytes | None = b"saltSALT",
    iterations: int = 10,
    length: int = 40,
    flags: int = 0,
    opening: int = HMAC_FLAG,
) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider(name, None, opening)
    return api.BCryptDeriveKeyPBKDF2(algorithm, password, salt, iterations, length, flags)


def hashed(api: Any, name: str) -> Any:
    hashing = api.BCryptCreateHash(api.BCryptOpenAlgorithmProvider(name))
    api.BCryptHashData(hashing, b"message")
    return hashing


def capi(api: Any, name: str, target: str | None, length: int, flags: int = 0) -> Any:
    algorithm = None if target is None else api.BCryptOpenAlgorithmProvider(target)
    return api.BCryptDeriveKeyCapi(hashed(api, name), algorithm, length, flags)


def capi_twice(api: Any) -> str:
    hashing = hashed(api, "SHA1")
    return ", ".join(status_of(api.BCryptDeriveKeyCapi, hashing, None, 16) for _ in range(2))


def capi_of(api: Any, what: str) -> Any:
    things = {
        "nothing": lambda: None,
        "an algorithm": lambda: api.BCryptOpenAlgorithmProvider("SHA1"),
        "a key": lambda: rsa_public(api),
    }
    return api.BCryptDeriveKeyCapi(things[what](), None, 16)


for _name in HASHES:
    add(f"PBKDF2 by {_name}", pbkdf2, _name, needs=PBKDF2)
    for _length in (1, 16, 20, 24, 32, 40, 48, 64, 96, 128, 129):
        add(f"CAPI key of {_length} bytes by {_name}", capi, _name, None, _length, needs=CAPI)
for _name, _length in (("SHA1", 16), ("SHA1", 32), ("SHA256", 32)):
    add(f"CAPI key of {_length} bytes by {_name} for AES", capi, _name, "AES", _length, needs=CAPI)
for _length in (1, 20, 32, 1000):
    add(f"PBKDF2 of {_length} bytes", pbkdf2, "SHA1", b"password", b"salt", 2, _length, needs=PBKDF2)
for _said, _arguments in {
    "without a password": (None, b"salt"),
    "of an empty password": (b"", b"salt"),
    "without a salt": (b"password", None),
    "of a long password": (DATA[:200], b"salt"),
    "without iterations": (b"password", b"salt", 0),
    "of no bytes": (b"password", b"salt", 1, 0),
    "with flags": (b"password", b"salt", 1, 20, 1),
    "without the flag of HMACs": (b"password", b"salt", 1, 20, 0, 0),
}.items():
    add(f"PBKDF2 {_said}", pbkdf2, "SHA1", *_arguments, needs=PBKDF2)
add("PBKDF2 by AES", pbkdf2, "AES", b"password", b"salt", 1, 20, 0, 0, needs=PBKDF2)
add("CAPI key of no bytes", capi, "SHA1", None, 0, needs=CAPI)
add("CAPI key with flags", capi, "SHA1", None, 16, 1, needs=CAPI)
add("CAPI key for RSA", capi, "SHA1", "RSA", 16, needs=CAPI)
add("CAPI key twice", capi_twice, needs=CAPI)
for _what in ("nothing", "an algorithm", "a key"):
    add(f"CAPI key of {_what}", capi_of, _what, needs=CAPI)

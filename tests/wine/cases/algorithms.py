"""Opening algorithms, and the properties of every kind of object."""

from __future__ import annotations

from typing import Any

from wine.cases.inputs import HMAC_FLAG, IV, OBJECTS, REUSABLE
from wine.cases.registry import Run, add, status_of

OPENED = (
    *("AES", "RNG", "RSA", "RSA_SIGN", "MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512"),
    *("AES-CMAC", "AES-GMAC", "ECDSA_P256", "ECDSA_P384", "ECDSA_P521", "ECDH_P256", "ECDH_P384", "ECDH_P521"),
    *("ECDSA", "ECDH"),
)
LATER = ("3DES", "DSA", "DH")


def opens(api: Any, name: str | None, implementation: str | None = None, flags: int = 0) -> None:
    api.BCryptCloseAlgorithmProvider(api.BCryptOpenAlgorithmProvider(name, implementation, flags))


def closes(api: Any, *flags: int) -> str:
    algorithm = api.BCryptOpenAlgorithmProvider("AES")
    return ", ".join(status_of(api.BCryptCloseAlgorithmProvider, algorithm, each) for each in flags)


for _name in OPENED:
    add(f"open {_name}", opens, _name)
for _name in LATER:
    add(f"open {_name}", opens, _name, needs=_name)
for _name in ("aes", "AES ", "NONE", ""):
    add(f"open {_name!r}", opens, _name.replace(" ", "\u00a0"))
add("open no name", opens, None)
add("open an unknown implementation", opens, "AES", "NoSuchProvider")
for _flags in (HMAC_FLAG, 0x2, 0x80000000):
    add(f"open AES with flags {_flags:#x}", opens, "AES", None, _flags)
    add(f"open SHA256 with flags {_flags:#x}", opens, "SHA256", None, _flags)
add("open SHA256 reusable", opens, "SHA256", None, REUSABLE)
add("close with flags", closes, 1)

PROPERTIES: dict[str, tuple[str, ...]] = {
    "AES algorithm": ("AlgorithmName", "ObjectLength", "BlockLength", "ChainingMode", "KeyLengths", "BlockSizeList"),
    "SHA256 algorithm": ("AlgorithmName", "ObjectLength", "HashDigestLength", "HashBlockLength", "IsKeyedHash"),
    "SHA512 algorithm": ("HashDigestLength", "HashBlockLength", "PrimitiveType"),
    "RSA algorithm": ("AlgorithmName", "ObjectLength", "KeyLengths", "PaddingSchemes", "HashDigestLength"),
    "RNG algorithm": ("AlgorithmName", "ObjectLength", "HashDigestLength", "PrimitiveType"),
    "ECDSA_P256 algorithm": ("AlgorithmName", "ObjectLength", "KeyLengths", "PrimitiveType"),
    "AES key": ("AlgorithmName", "BlockLength", "ChainingMode", "KeyLength", "KeyStrength", "AuthTagLength"),
    "AES-256 key": ("ChainingMode", "KeyLength", "KeyStrength", "KeyLengths", "MessageBlockLength"),
    "SHA256 hash": ("AlgorithmName", "ObjectLength", "HashDigestLength", "HashBlockLength"),
    "HMAC-SHA256 hash": ("AlgorithmName", "HashDigestLength"),
    "RSA-1024 key": ("AlgorithmName", "KeyLength", "KeyStrength", "PublicKeyLength", "SignatureLength", "BlockLength"),
    "RSA-2048 public key": ("KeyLength", "KeyStrength", "SignatureLength"),
    "ECDSA_P256 key": ("AlgorithmName", "KeyLength", "KeyStrength", "PublicKeyLength", "SignatureLength"),
    "ECDH_P384 key": ("AlgorithmName", "KeyLength", "KeyStrength", "SignatureLength"),
}


def gcm_algorithm(api: Any) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider("AES")
    api.BCryptSetProperty(algorithm, "ChainingMode", "ChainingModeGCM")
    return algorithm


def reads(api: Any, make: Run, name: str) -> Any:
    return api.BCryptGetProperty(make(api), name)


def sets(api: Any, make: Run, name: str, value: Any) -> str:
    api.BCryptSetProperty(make(api), name, value)
    return "done"


for _object, _properties in PROPERTIES.items():
    for _property in (*_properties, "NoSuchProperty"):
        add(f"get {_property} of {_object}", reads, OBJECTS[_object], _property)
add("get AuthTagLength of AES algorithm in CBC", reads, OBJECTS["AES algorithm"], "AuthTagLength")
add("get AuthTagLength of AES algorithm in GCM", reads, gcm_algorithm, "AuthTagLength")
add("get no property", reads, OBJECTS["AES algorithm"], None)
for _mode in ("CBC", "ECB", "CFB", "GCM", "CCM", "N/A", "OFB"):
    add(
        f"set ChainingMode{_mode} of AES algorithm",
        sets,
        OBJECTS["AES algorithm"],
        "ChainingMode",
        f"ChainingMode{_mode}",
    )
    add(f"set ChainingMode{_mode} of AES key", sets, OBJECTS["AES key"], "ChainingMode", f"ChainingMode{_mode}")
for _object, _property, _value in (
    ("AES algorithm", "KeyLength", 256),
    ("AES algorithm", "MessageBlockLength", 16),
    ("AES algorithm", "IV", IV),
    ("AES key", "IV", IV),
    ("AES key", "IV", IV[:15]),
    ("AES key", "IV", b""),
    ("AES key", "MessageBlockLength", 1),
    ("AES key", "MessageBlockLength", 16),
    ("AES key", "MessageBlockLength", 8),
    ("AES key", "NoSuchProperty", 1),
    ("RSA algorithm", "ChainingMode", "ChainingModeCBC"),
    ("SHA256 algorithm", "ChainingMode", "ChainingModeCBC"),
    ("SHA256 hash", "HashDigestLength", 32),
    ("ECDSA_P256 key", "IV", IV),
):
    _shown = _value.hex() or "empty" if isinstance(_value, bytes) else _value
    add(f"set {_property} of {_object} to {_shown}", sets, OBJECTS[_object], _property, _value)

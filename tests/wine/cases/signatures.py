"""Signatures and their verification."""

from __future__ import annotations

from functools import partial
from typing import Any

from conformance import oracle
from wine.cases.inputs import (
    DATA,
    DIGESTS,
    HASHES,
    OBJECTS,
    PKCS1,
    PSS,
    SHA256,
    Pkcs1Info,
    PssInfo,
    cipher,
    ec_key,
    ec_pair,
    rsa_private,
    rsa_public,
)
from wine.cases.registry import Run, add


def signed(api: Any, make: Run, info: object, value: bytes, flags: int) -> Any:
    return api.BCryptSignHash(make(api), info, value, flags)


def signed_length(api: Any, make: Run, info: object, value: bytes, flags: int) -> int:
    return len(api.BCryptSignHash(make(api), info, value, flags))


def verified(api: Any, make: Run, info: object, value: bytes, signature: bytes, flags: int) -> Any:
    return api.BCryptVerifySignature(make(api), info, value, signature, flags)


def pkcs1(bits: int, hash_name: str | None, value: bytes) -> bytes:
    return oracle.raw_private(oracle.pkcs1_signature_block(bits // 8, hash_name, value), bits)


def pss(hash_name: str, value: bytes, salt: bytes, bits: int = 1024) -> bytes:
    """A signature with a salt that is known (RFC 8017, section 9.1.1)."""
    size, length = bits // 8, len(value)
    seal = oracle.digest(hash_name, bytes(8) + value + salt)
    block = bytes(size - len(salt) - length - 2) + b"\x01" + salt
    masked = bytearray(oracle.xor(block, oracle.mgf1(hash_name, seal, len(block))))
    masked[0] &= 0x7F
    return oracle.raw_private(bytes(masked) + seal + b"\xbc", bits)


for _name in HASHES:
    for _bits in (1024, 2048):
        _make = partial(rsa_private, bits=_bits)
        _arguments = (Pkcs1Info(_name), DIGESTS[_name])
        add(f"RSA-{_bits} PKCS1 {_name} signature", signed, _make, *_arguments, PKCS1)
        _signature = pkcs1(_bits, _name, DIGESTS[_name])
        add(f"RSA-{_bits} PKCS1 {_name} verification", verified, _make, *_arguments, _signature, PKCS1)
    add(
        f"RSA PKCS1 {_name} signature of a short digest",
        signed,
        rsa_private,
        Pkcs1Info(_name),
        DIGESTS[_name][1:],
        PKCS1,
    )
    if _name != "SHA512":
        _arguments = (PssInfo(_name, len(DIGESTS[_name])), DIGESTS[_name])
        add(f"RSA PSS {_name} signature's length", signed_length, rsa_private, *_arguments, PSS)
        _signature = pss(_name, DIGESTS[_name], DATA[: len(DIGESTS[_name])])
        add(f"RSA PSS {_name} verification", verified, rsa_public, *_arguments, _signature, PSS)
_RAW = bytes(range(36))
add("RSA PKCS1 signature without DigestInfo", signed, rsa_private, Pkcs1Info(None), _RAW, PKCS1)
add(
    "RSA PKCS1 verification without DigestInfo",
    verified,
    rsa_public,
    Pkcs1Info(None),
    _RAW,
    pkcs1(1024, None, _RAW),
    PKCS1,
)
_good = pkcs1(1024, "SHA256", SHA256)
for _said, _info, _value, _signature, _flags in (
    ("of a wrong digest", Pkcs1Info("SHA256"), bytes(32), _good, PKCS1),
    ("of a short digest", Pkcs1Info("SHA256"), SHA256[:31], _good, PKCS1),
    ("of a wrong signature", Pkcs1Info("SHA256"), SHA256, bytes(128), PKCS1),
    ("of a short signature", Pkcs1Info("SHA256"), SHA256, _good[:-1], PKCS1),
    ("of a long signature", Pkcs1Info("SHA256"), SHA256, _good + b"\0", PKCS1),
    ("of an empty signature", Pkcs1Info("SHA256"), SHA256, b"", PKCS1),
    ("under another hash", Pkcs1Info("SHA1"), DIGESTS["SHA1"], _good, PKCS1),
    ("under no hash", Pkcs1Info(None), SHA256, _good, PKCS1),
    ("under an unknown hash", Pkcs1Info("NoSuchHash"), SHA256, _good, PKCS1),
    ("under AES", Pkcs1Info("AES"), SHA256, _good, PKCS1),
    ("without a record", None, SHA256, _good, PKCS1),
    ("without flags", Pkcs1Info("SHA256"), SHA256, _good, 0),
    ("with flags 0x80", Pkcs1Info("SHA256"), SHA256, _good, 0x80),
    ("as PSS", PssInfo("SHA256", 32), SHA256, _good, PSS),
):
    add(f"RSA PKCS1 verification {_said}", verified, rsa_public, _info, _value, _signature, _flags)
for _said, _info, _flags in (
    ("under an unknown hash", Pkcs1Info("NoSuchHash"), PKCS1),
    ("under AES", Pkcs1Info("AES"), PKCS1),
    ("without a record", None, PKCS1),
    ("without flags", Pkcs1Info("SHA256"), 0),
    ("without both", None, 0),
    ("with flags 0x80", Pkcs1Info("SHA256"), 0x80),
):
    add(f"RSA signature {_said}", signed, rsa_private, _info, SHA256, _flags)
add("RSA signature with a public key", signed, rsa_public, Pkcs1Info("SHA256"), SHA256, PKCS1)
for _salt in (0, 20, 32):
    _arguments = (PssInfo("SHA256", 32), SHA256, pss("SHA256", SHA256, DATA[:_salt]), PSS)
    add(f"RSA PSS verification of a salt of {_salt} bytes as 32", verified, rsa_public, *_arguments)
    _arguments = (PssInfo("SHA256", _salt), SHA256, pss("SHA256", SHA256, DATA[:_salt]), PSS)
    add(f"RSA PSS verification of a salt of {_salt} bytes", verified, rsa_public, *_arguments)
add("RSA PSS signature with a salt that is too long", signed_length, rsa_private, PssInfo("SHA256", 95), SHA256, PSS)
add(
    "RSA PSS verification of a wrong digest",
    verified,
    rsa_public,
    PssInfo("SHA256", 32),
    bytes(32),
    pss("SHA256", SHA256, DATA[:32]),
    PSS,
)

for _curve in ("P256", "P384"):
    _name = f"ECDSA_{_curve}"
    _make = partial(ec_pair, name=_name)
    _public = partial(ec_pair, name=_name, private=False)
    _width = 32 if _curve == "P256" else 48
    for _hash in HASHES:
        _value = DIGESTS[_hash]
        add(f"{_name} signature's length of {_hash}", signed_length, _make, None, _value, 0)
        _signature = oracle.ecdsa_sign(ec_key(_name, 0x1234567), _value)
        add(f"{_name} verification of {_hash}", verified, _public, None, _value, _signature, 0)
    _good = oracle.ecdsa_sign(ec_key(_name, 0x1234567), SHA256)
    for _said, _info, _value, _signature, _flags in (
        ("of a wrong digest", None, bytes(32), _good, 0),
        ("of a digest of 31 bytes", None, SHA256[:31], _good, 0),
        ("of zeros", None, SHA256, bytes(2 * _width), 0),
        ("of a short signature", None, SHA256, _good[:-1], 0),
        ("of a long signature", None, SHA256, _good + b"\0", 0),
        ("of an empty signature", None, SHA256, b"", 0),
        ("with a record", Pkcs1Info("SHA256"), SHA256, _good, 0),
        ("with flags", None, SHA256, _good, PKCS1),
    ):
        add(f"{_name} verification {_said}", verified, _public, _info, _value, _signature, _flags)
    add(f"{_name} signature with a public key", signed, _public, None, SHA256, 0)
    add(f"{_name} signature with a record", signed_length, _make, Pkcs1Info("SHA256"), SHA256, 0)
    add(f"{_name} signature with flags", signed_length, _make, None, SHA256, PKCS1)
add("signature with an ECDH pair", signed_length, OBJECTS["ECDH_P384 key"], None, SHA256, 0)
add("signature with an AES key", signed_length, cipher, None, SHA256, 0)

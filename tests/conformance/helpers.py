"""What the conformance tests share: the exact refusal, blobs built independently of hwcng, and host-side references."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hwcng.errors import HRESULT, NTSTATUS, CngError

Refuses = Callable[[NTSTATUS], AbstractContextManager[object]]
"""What fixtures give whose `with` block raises a status before the token is called."""

SECRET = bytes(range(0x40, 0x60))
"""32 bytes of key material; its first 16 and 24 are good AES keys too."""

IV = bytes(range(0xA0, 0xB0))
BLOCKS = bytes(range(48))
RESERVED_BITS = tuple(1 << bit for bit in range(32))
"""Every bit of a ULONG dwFlags."""

ASYMMETRIC = ("RSA", "RSA_SIGN", "ECDSA_P256", "ECDSA_P384", "ECDSA_P521", "ECDH_P256", "ECDH_P384", "ECDH_P521")
"""Algorithms whose pairs need no curve name."""

FIXED_CURVES = {
    "ECDSA_P256": (256, 32),
    "ECDSA_P384": (384, 48),
    "ECDSA_P521": (521, 66),
    "ECDH_P256": (256, 32),
    "ECDH_P384": (384, 48),
    "ECDH_P521": (521, 66),
}
"""Algorithm -> bits of its keys, bytes of a coordinate."""

ECC_MAGICS = {
    ("ECDH_P256", False): b"ECK1",
    ("ECDH_P256", True): b"ECK2",
    ("ECDH_P384", False): b"ECK3",
    ("ECDH_P384", True): b"ECK4",
    ("ECDH_P521", False): b"ECK5",
    ("ECDH_P521", True): b"ECK6",
    ("ECDSA_P256", False): b"ECS1",
    ("ECDSA_P256", True): b"ECS2",
    ("ECDSA_P384", False): b"ECS3",
    ("ECDSA_P384", True): b"ECS4",
    ("ECDSA_P521", False): b"ECS5",
    ("ECDSA_P521", True): b"ECS6",
    ("ECDH", False): b"ECKP",
    ("ECDH", True): b"ECKV",
    ("ECDSA", False): b"ECDP",
    ("ECDSA", True): b"ECDV",
}
HOST_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}


@contextmanager
def refused(status: NTSTATUS | HRESULT) -> Iterator[pytest.ExceptionInfo[CngError]]:
    """The block raises CngError with exactly this status."""
    with pytest.raises(CngError) as error:
        yield error
    assert error.value.status is status, str(error.value)


def host_cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def host_ecb(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(data) + encryptor.finalize()


def key_data_blob(key: bytes, *, magic: bytes = b"KDBM", version: int = 1, length: int | None = None) -> bytes:
    return magic + struct.pack("<2I", version, len(key) if length is None else length) + key


def octets(number: int, size: int | None = None) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8 if size is None else size, "big")


def rsa_public_blob(numbers: rsa.RSAPublicNumbers, *, bits: int | None = None) -> bytes:
    e, n = octets(numbers.e), octets(numbers.n)
    return b"RSA1" + struct.pack("<5I", 8 * len(n) if bits is None else bits, len(e), len(n), 0, 0) + e + n


def rsa_private_blob(numbers: rsa.RSAPrivateNumbers, *, full: bool = False, bits: int | None = None) -> bytes:
    e, n = octets(numbers.public_numbers.e), octets(numbers.public_numbers.n)
    half = len(n) // 2
    fields = [e, n, octets(numbers.p, half), octets(numbers.q, half)]
    if full:
        fields += [octets(number, half) for number in (numbers.dmp1, numbers.dmq1, numbers.iqmp)]
        fields.append(octets(numbers.d, len(n)))
    header = struct.pack("<5I", 8 * len(n) if bits is None else bits, len(e), len(n), half, half)
    return (b"RSA3" if full else b"RSA2") + header + b"".join(fields)


def capi_private_blob(numbers: rsa.RSAPrivateNumbers) -> bytes:
    """PRIVATEKEYBLOB of wincrypt.h: all numbers little-endian."""
    full = (numbers.public_numbers.n.bit_length() + 7) // 8
    half = full // 2
    header = struct.pack("<BBHI", 7, 2, 0, 0xA400) + b"RSA2" + struct.pack("<2I", 8 * full, numbers.public_numbers.e)
    halves = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    body = [numbers.public_numbers.n.to_bytes(full, "little"), *(number.to_bytes(half, "little") for number in halves)]
    return header + b"".join(body) + numbers.d.to_bytes(full, "little")


def ecc_blob(magic: bytes, size: int, *numbers: int, announced: int | None = None) -> bytes:
    fields = b"".join(octets(number, size) for number in numbers)
    return magic + struct.pack("<I", size if announced is None else announced) + fields


def ecc_key(bits: int) -> tuple[int, int, int]:
    """x, y and the scalar of a fresh host key."""
    numbers = ec.generate_private_key(HOST_CURVES[bits]).private_numbers()
    return numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value


def token_attributes(key: Any, *names: str) -> list[bytes | None]:
    """What the token itself says of a symmetric, private or session key: attributes by python-pkcs11's names."""
    from pkcs11 import Attribute

    from hwcng.providers.pkcs11.objects import read_attributes

    held = getattr(key, "key", key).in_token().held
    kinds = [Attribute[name] for name in names]
    found = read_attributes(held.connection, held.handle, kinds, 64)
    return [found[kind] for kind in kinds]

"""RSA encryption and decryption."""

from __future__ import annotations

from functools import partial
from typing import Any

from conformance import oracle
from wine.cases.inputs import DATA, OAEP, OBJECTS, PKCS1, RAW, RSA_N, OaepInfo, rsa_private, rsa_public
from wine.cases.registry import Run, add


def encrypted_length(api: Any, make: Run, data: bytes, info: object, flags: int) -> int:
    return len(api.BCryptEncrypt(make(api), data, info, None, flags))


def encrypted(api: Any, make: Run, data: bytes, info: object, flags: int) -> Any:
    return api.BCryptEncrypt(make(api), data, info, None, flags)


def decrypted(api: Any, make: Run, data: bytes, info: object, flags: int) -> Any:
    return api.BCryptDecrypt(make(api), data, info, None, flags)


def rsa_ciphertext(block: bytes) -> bytes:
    return oracle.raw_public(block, RSA_N)


_PKCS1_BLOCK = b"\0\2" + b"\xaa" * 120 + b"\0secret"[:6]
_OAEP = {name: rsa_ciphertext(oracle.oaep_block(128, name, b"", b"secret")) for name in ("SHA1", "SHA256")}
for _size in (0, 1, 100, 117, 118, 128):
    add(f"RSA PKCS1 encryption of {_size} bytes", encrypted_length, rsa_public, DATA[:_size], None, PKCS1)
for _hash, _limit in (("SHA1", 86), ("SHA256", 62)):
    for _size in (0, 1, _limit, _limit + 1):
        _arguments = (DATA[:_size], OaepInfo(_hash), OAEP)
        add(f"RSA OAEP {_hash} encryption of {_size} bytes", encrypted_length, rsa_public, *_arguments)
    _arguments = (DATA[:20], OaepInfo(_hash, b"label"), OAEP)
    add(f"RSA OAEP {_hash} encryption with a label", encrypted_length, rsa_public, *_arguments)
    add(f"RSA OAEP {_hash} decryption", decrypted, rsa_private, _OAEP[_hash], OaepInfo(_hash), OAEP)
    _arguments = (rsa_ciphertext(oracle.oaep_block(128, _hash, b"label", b"secret")), OaepInfo(_hash, b"label"), OAEP)
    add(f"RSA OAEP {_hash} decryption with a label", decrypted, rsa_private, *_arguments)
    _arguments = (rsa_ciphertext(oracle.oaep_block(128, _hash, b"label", b"secret")), OaepInfo(_hash, b"other"), OAEP)
    add(f"RSA OAEP {_hash} decryption with a wrong label", decrypted, rsa_private, *_arguments)
for _size in (0, 64, 127, 128, 129):
    add(f"RSA raw encryption of {_size} bytes", encrypted, rsa_public, (b"\0" + DATA)[:_size], None, RAW)
add("RSA raw encryption of more than the modulus", encrypted, rsa_public, b"\xff" * 128, None, RAW)
add("RSA raw decryption", decrypted, rsa_private, rsa_ciphertext(b"\0" + DATA[:127]), None, RAW)
add("RSA PKCS1 decryption", decrypted, rsa_private, rsa_ciphertext(_PKCS1_BLOCK), None, PKCS1)
add("RSA PKCS1 decryption of a short ciphertext", decrypted, rsa_private, rsa_ciphertext(_PKCS1_BLOCK)[1:], None, PKCS1)
add(
    "RSA PKCS1 decryption of a long ciphertext",
    decrypted,
    rsa_private,
    rsa_ciphertext(_PKCS1_BLOCK) + b"\0",
    None,
    PKCS1,
)
add("RSA PKCS1 decryption of nothing", decrypted, rsa_private, b"", None, PKCS1)
add("RSA PKCS1 decryption with a public key", decrypted, rsa_public, rsa_ciphertext(_PKCS1_BLOCK), None, PKCS1)
add("RSA encryption without flags", encrypted, rsa_public, b"\0" + DATA[:127], None, 0)
add("RSA encryption with flags 0x80", encrypted, rsa_public, b"\0" + DATA[:127], None, 0x80)
add("RSA OAEP encryption without a record", encrypted_length, rsa_public, b"data", None, OAEP)
add("RSA OAEP encryption under an unknown hash", encrypted_length, rsa_public, b"data", OaepInfo("NoSuchHash"), OAEP)
add("RSA_SIGN encryption", encrypted_length, partial(rsa_private, name="RSA_SIGN"), b"data", None, PKCS1)
add("encryption with an ECDSA pair", encrypted_length, OBJECTS["ECDSA_P256 key"], b"data", None, 0)

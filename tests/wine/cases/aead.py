"""GCM and CCM."""

from __future__ import annotations

from typing import Any

from wine.cases.inputs import B16, B17, B32, DATA, IV, KEY, KEY_SIZES, PADDED, AuthInfo, cipher
from wine.cases.registry import add

from hwcng import bcrypt

NONCE = DATA[16:28]


def sealed(
    api: Any,
    mode: str,
    data: bytes | None,
    nonce: bytes = NONCE,
    aad: bytes = b"",
    tag_length: int = 16,
    flags: int = 0,
    key: bytes = KEY,
    iv: bytes | None = None,
) -> Any:
    info = AuthInfo(nonce, aad, cbTag=tag_length)
    ciphertext = api.BCryptEncrypt(cipher(api, mode, key), data, info, None if iv is None else bytearray(iv), flags)
    return ciphertext, info.pbTag


def opened(
    api: Any,
    ciphertext: bytes,
    tag: bytes | None,
    nonce: bytes = NONCE,
    aad: bytes = b"aad",
    tag_length: int = 16,
    flags: int = 0,
) -> Any:
    info = AuthInfo(nonce, aad, tag, cbTag=tag_length)
    return api.BCryptDecrypt(cipher(api, "GCM"), ciphertext, info, None, flags)


def without_info(api: Any, mode: str) -> Any:
    return api.BCryptEncrypt(cipher(api, mode), B16, None)


def with_info(api: Any, mode: str) -> Any:
    return api.BCryptEncrypt(cipher(api, mode), B16, AuthInfo(NONCE))


def gcm_duplicate(api: Any) -> Any:
    info = AuthInfo(NONCE, b"aad")
    return api.BCryptEncrypt(api.BCryptDuplicateKey(cipher(api, "GCM")), B32, info), info.pbTag


def gcm_twice(api: Any) -> list[Any]:
    key, results = cipher(api, "GCM"), []
    for _ in range(2):
        info = AuthInfo(NONCE, b"aad")
        results += [api.BCryptEncrypt(key, B32, info), info.pbTag]
    return results


def gcm_in_calls(api: Any, *chunks: bytes) -> list[Any]:
    key, results = cipher(api, "GCM"), []
    info = AuthInfo(NONCE, b"aad", cbTag=16, pbMacContext=bytearray(16))
    for number, chunk in enumerate(chunks):
        chained = int(bcrypt.BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG)
        info.dwFlags = info.dwFlags & ~chained if number == len(chunks) - 1 else info.dwFlags | chained
        results.append(api.BCryptEncrypt(key, chunk, info, bytearray(16)))
        info.pbAuthData = b""
    return [*results, info.pbTag]


def _gcm(data: bytes, aad: bytes = b"aad", nonce: bytes = NONCE, key: bytes = KEY) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    both = AESGCM(key).encrypt(nonce, data, aad)
    return both[:-16], both[-16:]


for _size in (0, 1, 15, 16, 17, 32, 1000):
    add(f"GCM encrypts {_size} bytes", sealed, "GCM", DATA[:_size])
    add(f"GCM decrypts {_size} bytes", opened, *_gcm(DATA[:_size]))
add("GCM encrypts no buffer", sealed, "GCM", None, NONCE, b"aad")
for _size in (1, 12, 15, 16, 17, 100):
    add(f"GCM with {_size} bytes of authenticated data", sealed, "GCM", B32, NONCE, DATA[:_size])
for _size in KEY_SIZES[1:]:
    add(f"GCM under {_size} bytes", sealed, "GCM", B32, NONCE, b"aad", 16, 0, DATA[:_size])
for _size in (0, 1, 4, 8, 11, 12, 13, 14, 15, 16, 17, 32):
    add(f"GCM with a tag of {_size} bytes", sealed, "GCM", B32, NONCE, b"", _size)
for _size in (0, 1, 8, 11, 13, 16, 64):
    add(f"GCM with a nonce of {_size} bytes", sealed, "GCM", B32, DATA[:_size])
_ciphertext, _tag = _gcm(B32)
_wrong = bytes([_tag[0] ^ 1]) + _tag[1:]
add("GCM decrypts with a wrong tag", opened, _ciphertext, _wrong)
add("GCM decrypts with a wrong ciphertext", opened, B32, _tag)
add("GCM decrypts with a wrong nonce", opened, _ciphertext, _tag, DATA[:12])
add("GCM decrypts with wrong authenticated data", opened, _ciphertext, _tag, NONCE, b"aae")
add("GCM decrypts without a tag", opened, _ciphertext, None)
for _size in (0, 4, 8, 11, 12, 15):
    add(f"GCM decrypts with a tag of {_size} bytes", opened, _ciphertext, _tag[:_size], NONCE, b"aad", _size)
add("GCM decrypts nothing with a wrong tag", opened, b"", _wrong)
add("GCM with an IV", sealed, "GCM", B32, NONCE, b"", 16, 0, KEY, IV)
add("GCM padded", sealed, "GCM", B17, NONCE, b"", 16, PADDED)
add("GCM decrypts padded", opened, _ciphertext, _tag, NONCE, b"aad", 16, PADDED)
add("GCM with flags 0x2", sealed, "GCM", B32, NONCE, b"", 16, 2)
add("GCM of a duplicate", gcm_duplicate)
add("GCM twice with one nonce", gcm_twice)
add("GCM in two calls", gcm_in_calls, B32, B17)
add("GCM in three calls", gcm_in_calls, B16, B32, b"")
for _mode in ("GCM", "CCM"):
    add(f"{_mode} without its record", without_info, _mode)
for _mode in ("CBC", "ECB", "CFB"):
    add(f"{_mode} with a record", with_info, _mode)
add("CCM encrypts 32 bytes", sealed, "CCM", B32, NONCE, b"aad")

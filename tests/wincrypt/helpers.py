"""What the tests of the legacy CryptoAPI share: refusals, and blobs and ciphertexts built independently of hwcng."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from support import missing_on, needs_bits

from hwcng import CngError, wincrypt
from hwcng.capi.algids import ALGIDS
from hwcng.errors import HRESULT, Win32Error

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider

Verify = Callable[..., "Context"]
"""The fixture `verify`."""

INVALID_HANDLE, INVALID_PARAMETER = Win32Error.ERROR_INVALID_HANDLE, Win32Error.ERROR_INVALID_PARAMETER
EXPORTABLE, FINAL = wincrypt.CRYPT_EXPORTABLE, True
TEXT = b"the quick brown fox jumps over the lazy dog"
BLOCK_CIPHERS = tuple(value for value, row in ALGIDS.items() if row.block_bits)
CIPHERS = (*BLOCK_CIPHERS, wincrypt.CALG_RC4)
KEY_BYTES = {
    wincrypt.CALG_DES: 8,
    wincrypt.CALG_3DES_112: 16,
    wincrypt.CALG_3DES: 24,
    wincrypt.CALG_RC2: 16,
    wincrypt.CALG_RC4: 16,
    wincrypt.CALG_AES_128: 16,
    wincrypt.CALG_AES_192: 24,
    wincrypt.CALG_AES_256: 32,
}
RSA_BITS = 2048
"""A length that every token has."""
HASHES = {
    wincrypt.CALG_MD5: "md5",
    wincrypt.CALG_SHA1: "sha1",
    wincrypt.CALG_SHA_256: "sha256",
    wincrypt.CALG_SHA_384: "sha384",
    wincrypt.CALG_SHA_512: "sha512",
}
HOST_HASHES = {
    wincrypt.CALG_MD5: hashes.MD5(),  # noqa: S303
    wincrypt.CALG_SHA1: hashes.SHA1(),  # noqa: S303
    wincrypt.CALG_SHA_256: hashes.SHA256(),
    wincrypt.CALG_SHA_384: hashes.SHA384(),
    wincrypt.CALG_SHA_512: hashes.SHA512(),
}


def name_of(algid: int) -> str:
    return ALGIDS[algid].name


every_hash = pytest.mark.parametrize("algid", HASHES, ids=name_of)


def digest_of(algid: int, data: bytes = TEXT) -> bytes:
    return hashlib.new(HASHES[algid], data, usedforsecurity=False).digest()


@contextmanager
def refused(status: HRESULT | Win32Error) -> Iterator[pytest.ExceptionInfo[CngError]]:
    """The block raises CngError with exactly this code."""
    with pytest.raises(CngError) as error:
        yield error
    assert error.value.status is status, str(error.value)


def needs_aes(token: Provider, bits: int = 128) -> None:
    needs_bits(token, "AES", bits)


def has(token: Provider, algid: int) -> bool:
    """Whether the token has the algorithm, and keys of its length."""
    row = ALGIDS[algid]
    if row.family is None:
        return True
    if token.offers(row.algorithm).name == "REFUSED":
        return False
    return (
        row.algorithm != "AES" or token.uri.startswith("pkcs11:") or row.fixed in token.capabilities().key_bits["AES"]
    )


def needs_algid(token: Provider, algid: int) -> None:
    if not has(token, algid):
        missing_on(token, name_of(algid))


def needs_wrapping(token: Provider) -> None:
    if token.uri.startswith("tpm2:"):
        missing_on(token, "wrapping under RSA keys")


def plaintext_blob(algid: int, key: bytes, *, announced: int | None = None) -> bytes:
    """PLAINTEXTKEYBLOB."""
    length = len(key) if announced is None else announced
    return struct.pack("<BBHI", 8, 2, 0, algid) + struct.pack("<I", length) + key


def imported(context: Context, algid: int, key: bytes, flags: int = 0) -> CapiKey:
    """A session key of the given bytes."""
    needs_algid(context.provider, algid)
    return wincrypt.CryptImportKey(context, plaintext_blob(algid, key), None, flags)


def oracle(algid: int, key: bytes, mode: Any) -> Cipher[Any]:
    """The cipher of an ALG_ID as the `cryptography` package has it."""
    if algid == wincrypt.CALG_RC4:
        return Cipher(ARC4(key), None)
    if algid == wincrypt.CALG_RC2:
        return Cipher(RC2(key), mode)
    if ALGIDS[algid].parity:
        # DES is 3DES with three equal keys.
        return Cipher(TripleDES(key * 3 if len(key) == 8 else key), mode)
    return Cipher(algorithms.AES(key), mode)


def encrypted(algid: int, key: bytes, data: bytes, *, iv: bytes | None = None, ecb: bool = False) -> bytes:
    """CBC, or ECB, with PKCS #7 padding."""
    block = ALGIDS[algid].block_bits // 8
    if block:
        padder = PKCS7(8 * block).padder()
        data = padder.update(data) + padder.finalize()
    if ecb:
        return b"".join(one_block(algid, key, data[start : start + block]) for start in range(0, len(data), block))
    mode = modes.CBC(bytes(block) if iv is None else iv) if block else None
    encryptor = oracle(algid, key, mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def one_block(algid: int, key: bytes, data: bytes) -> bytes:
    """One block by itself: `cryptography` has RC2 in CBC mode only."""
    return oracle(algid, key, modes.CBC(bytes(len(data)))).encryptor().update(data)


def cfb8(algid: int, key: bytes, data: bytes) -> bytes:
    """CFB mode with segments of 8 bits from an IV of zeros (SP 800-38A, section 6.3)."""
    register, ciphertext = bytes(ALGIDS[algid].block_bits // 8), b""
    for octet in data:
        ciphertext += bytes([octet ^ one_block(algid, key, register)[0]])
        register = register[1:] + ciphertext[-1:]
    return ciphertext


def key_of(algid: int) -> bytes:
    """A key of the algorithm, with the odd parity that some tokens give to DES keys."""
    octets = range(0x31, 0x31 + KEY_BYTES[algid])
    if not ALGIDS[algid].parity:
        return bytes(octets)
    return bytes(octet ^ (1 - octet.bit_count() % 2) for octet in octets)


def rsa_public_numbers(blob: bytes) -> tuple[int, int]:
    """n and e of a PUBLICKEYBLOB, read by its documented layout."""
    kind, version, reserved, _, magic, bits, exponent = struct.unpack_from("<BBHI4sII", blob)
    assert (kind, version, reserved, magic) == (6, 2, 0, b"RSA1") and len(blob) == 20 + bits // 8
    return int.from_bytes(blob[20:], "little"), exponent


def hashed(context: Context, algid: int, data: bytes = TEXT) -> Any:
    handle = wincrypt.CryptCreateHash(context, algid)
    wincrypt.CryptHashData(handle, data)
    return handle


def enumerated(context: Context, parameter: int) -> list[Any]:
    """All entries of an enumeration of CryptGetProvParam."""
    found, flags = [], wincrypt.CRYPT_FIRST
    while True:
        try:
            found.append(wincrypt.CryptGetProvParam(context, parameter, flags))
        except CngError as error:
            if error.status is not Win32Error.ERROR_NO_MORE_ITEMS:
                raise
            return found
        flags = wincrypt.CRYPT_NEXT

"""CryptDeriveKey where its page is not exact: what it says of 3DES does not hold for two-key Triple DES."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from wincrypt.helpers import FINAL, TEXT, encrypted, hashed, needs_algid

from hwcng import wincrypt as w
from hwcng.cng.derive import crypt_derive_key
from hwcng.standards.hashes import HashFunction

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider

MD2 = HashFunction("MD2", "md2", 16, 16, b"")
DIGEST = bytes.fromhex("d5e1a7e9ac38c127f7731dba811698e0")
"""By MD2, of the octets 0, 1, ... 255, 0, ... up to 2000 of them."""
CIPHERTEXT = bytes.fromhex("8e0c3ca305885f7a32a1065264d2441c")
"""Of 13 octets from 0 on, padded, under that digest's key: what Wine's test of rsaenh.dll expects of Windows."""


@pytest.mark.parametrize(("algid", "name"), [(w.CALG_MD5, "md5"), (w.CALG_SHA1, "sha1")], ids=["MD5", "SHA1"])
def test_two_key_triple_des_has_the_digest_as_it_stands(
    token: Provider, context: Context, algid: int, name: str
) -> None:
    needs_algid(token, w.CALG_3DES_112)
    key = w.CryptDeriveKey(context, w.CALG_3DES_112, hashed(context, algid, b"password"), 0)
    secret = hashlib.new(name, b"password", usedforsecurity=False).digest()[:16]
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(w.CALG_3DES_112, secret, TEXT)


def test_two_key_triple_des_of_windows() -> None:
    secret = crypt_derive_key.expand(MD2, DIGEST, 16, for_block_cipher="3DES_112" in crypt_derive_key.BLOCK_CIPHERS)
    encryptor = Cipher(TripleDES(secret), modes.CBC(bytes(8))).encryptor()
    assert encryptor.update(bytes(range(13)) + bytes([3] * 3)) == CIPHERTEXT

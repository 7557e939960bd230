"""Agreed secrets that are session objects of a PKCS#11 token."""

from __future__ import annotations

from pkcs11 import Attribute, Mechanism

from hwcng.contract import keys
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.keys.base import not_supported
from hwcng.providers.pkcs11.keys.derivation import Pkcs11KeyingMaterial
from hwcng.standards.hashes import HASHES

__all__ = ["Pkcs11AgreedSecret"]


class Pkcs11AgreedSecret(Pkcs11KeyingMaterial, keys.AgreedSecret):
    noun = "an agreed secret"

    def hmac_of_itself(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        hash_function = HASHES[hash_name]
        if self.readable and not self.offered.has(int(Mechanism.XOR_BASE_AND_DATA)):
            value = self.raw()
            return hash_function.hmac(value, prefix + value + suffix)
        # RFC 2104: the key is filled up with zeros, so that behind it there is nothing but the pad.
        rest = hash_function.block_size - self.length
        with self._masked(b"\x36" * self.length) as key:
            inner = self._digest(hash_name, key, b"\x36" * rest + prefix, self.held, suffix)
        return self.masked_digest(hash_name, b"\x5c" * self.length, b"\x5c" * rest + inner)

    def raw(self) -> bytes:
        if not self.readable:
            raise not_supported(
                "the secret stays in the token: open the provider with allow_raw_secret=True to read secrets"
            )
        connection = self.connection
        connection.require_alive("the secret")
        value = objects.read_attributes(connection, self.held.handle, [Attribute.VALUE], self.length)[Attribute.VALUE]
        if value is None:
            raise not_supported(f"token {connection.token_name!r} does not give the secret out")
        return value.rjust(self.length, b"\0")

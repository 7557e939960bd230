"""Agreed secrets that are session objects of a PKCS#11 token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pkcs11 import Attribute, Mechanism

from hwcng.contract import keys
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.keying import Pkcs11KeyingMaterial
from hwcng.providers.pkcs11.token_key import HeldObject, not_supported
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
        with self._masked(b"\x36") as key:
            inner = self._digest(hash_name, key, b"\x36" * rest + prefix, self.held, suffix)
        with self._masked(b"\x5c") as key:
            return self._digest(hash_name, key, b"\x5c" * rest + inner)

    @contextmanager
    def _masked(self, pad: bytes) -> Iterator[HeldObject]:
        """Z with a pad of HMAC over it, in the token."""
        mechanism = int(Mechanism.XOR_BASE_AND_DATA)
        self._require(mechanism, "CKM_XOR_BASE_AND_DATA, by which an agreed secret is the key of an HMAC of itself")
        call = mechanisms.string_data(mechanism, pad * self.length)
        template = templates.agreed_secret(self.length, self.readable)
        key = objects.derive(self.connection, call, self.held.handle, template, "masking the secret")
        try:
            yield key
        finally:
            key.release()

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

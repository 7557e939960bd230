"""Agreed secrets that are session objects of a PKCS#11 token."""

from __future__ import annotations

from pkcs11 import Attribute

from hwcng.providers import base
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.keying import Pkcs11KeyingMaterial
from hwcng.providers.pkcs11.token_key import not_supported

__all__ = ["Pkcs11AgreedSecret"]


class Pkcs11AgreedSecret(Pkcs11KeyingMaterial, base.AgreedSecret):
    noun = "an agreed secret"

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

"""Agreed secrets that are session objects of a PKCS#11 token: Z is digested, keys HMACs and is halved inside."""

from __future__ import annotations

from pkcs11 import Attribute, Mechanism

from hwcng.hashes import HASHES
from hwcng.providers import base
from hwcng.providers.base import Support
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.ckr import CKR
from hwcng.providers.pkcs11.cryptoki import ffi
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.token_key import HeldObject, TokenKey, not_supported

__all__ = ["Pkcs11AgreedSecret"]


class Pkcs11AgreedSecret(TokenKey, base.AgreedSecret):
    def __init__(self, held: SessionObject, offered: MechanismSet, length: int, readable: bool) -> None:
        super().__init__(held, offered)
        self.length = length
        self._readable = readable

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        mechanism = mechanisms.DIGEST_MECHANISMS[hash_name]
        if not self.offered.has(mechanism):
            raise not_supported(f"token {self.connection.token_name!r} has no {hash_name}")
        connection, cryptoki = self.connection, self.connection.cryptoki
        room = HASHES[hash_name].digest_size
        with connection.working() as session:
            output = session.output_of(room)
            rv = cryptoki.C_DigestInit(session.handle, session.set_mechanism(mechanisms.call(mechanism)))
            if rv == CKR.OK and prefix:
                rv = cryptoki.C_DigestUpdate(session.handle, prefix, len(prefix))
            if rv == CKR.OK:
                rv = cryptoki.C_DigestKey(session.handle, self.held.handle)
            if rv == CKR.OK and suffix:
                rv = cryptoki.C_DigestUpdate(session.handle, suffix, len(suffix))
            if rv == CKR.OK:
                rv = cryptoki.C_DigestFinal(session.handle, output, session.length)
            if rv != CKR.OK:
                raise connection.error(rv, f"the {hash_name} digest of an agreed secret failed")
            return bytes(ffi.buffer(output, session.length[0]))

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return self._hmac(self.held, hash_name, data)

    def _hmac(self, key: HeldObject, hash_name: str, data: bytes) -> bytes:
        if self.offered.offers(f"HMAC-{hash_name}") is Support.REFUSED:
            raise not_supported(f"token {self.connection.token_name!r} has no HMAC-{hash_name}")
        return self.connection.crypt(
            "C_SignInit",
            "C_Sign",
            mechanisms.call(mechanisms.HMAC_MECHANISMS[hash_name]),
            key.handle,
            data,
            HASHES[hash_name].digest_size,
            f"HMAC-{hash_name} under an agreed secret of {self.length} bytes",
        )

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        if not self.offered.has(int(Mechanism.EXTRACT_KEY_FROM_KEY)):
            raise not_supported(
                f"token {self.connection.token_name!r} cannot halve a secret (CKM_EXTRACT_KEY_FROM_KEY), "
                "which the TLS 1.0 and 1.1 PRF begins with"
            )
        size = (self.length + 1) // 2
        first = 0 if half == 0 else self.length - size
        part = objects.derive(
            self.connection,
            mechanisms.extract(8 * first),
            self.held.handle,
            templates.agreed_secret(size, self._readable),
            "halving the agreed secret",
        )
        try:
            return self._hmac(part, hash_name, data)
        finally:
            part.release()

    def raw(self) -> bytes:
        if not self._readable:
            raise not_supported(
                "the secret stays in the token: open the provider with allow_raw_secret=True to read secrets"
            )
        connection = self.connection
        connection.require_alive("the secret")
        value = objects.read_attributes(connection, self.held.handle, [Attribute.VALUE], self.length)[Attribute.VALUE]
        if value is None:
            raise not_supported(f"token {connection.token_name!r} does not give the secret out")
        return value.rjust(self.length, b"\0")

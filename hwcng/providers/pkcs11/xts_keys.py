"""XTS-AES keys of a token without CKM_AES_XTS: two AES keys, of which one makes the tweaks (IEEE 1619; SP 800-38E)."""

from __future__ import annotations

from hwcng.providers import base, compose
from hwcng.providers.base import AeadSpec, CipherMode, CipherSpec, MacSpec, SecretSpec
from hwcng.providers.pkcs11.secret_keys import Pkcs11SecretKey
from hwcng.providers.pkcs11.token_key import not_supported

__all__ = ["Pkcs11XtsKey"]

_ECB = CipherSpec(CipherMode.ECB)


class Pkcs11XtsKey(base.SecretKey):
    """data_key encrypts the data, tweak_key the numbers of the data units."""

    def __init__(self, data_key: Pkcs11SecretKey, tweak_key: Pkcs11SecretKey, spec: SecretSpec) -> None:
        self.data_key = data_key
        self.tweak_key = tweak_key
        self.spec = spec

    def _crypt(self, spec: CipherSpec | AeadSpec, data: bytes, encrypting: bool) -> bytes:
        if not isinstance(spec, CipherSpec) or spec.mode is not CipherMode.XTS:
            raise not_supported("an XTS-AES key does XTS and nothing else")
        verb = self.data_key.encrypt if encrypting else self.data_key.decrypt
        return compose.xts(
            lambda numbers: self.tweak_key.encrypt(_ECB, numbers),
            lambda blocks: verb(_ECB, blocks),
            int.from_bytes(spec.iv, "little"),
            spec.data_unit,
            data,
            encrypting=encrypting,
        )

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        return self._crypt(spec, data, True)

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        return self._crypt(spec, data, False)

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        raise not_supported("an XTS-AES key does not authenticate")

    def duplicate(self) -> Pkcs11XtsKey:
        return Pkcs11XtsKey(self.data_key.duplicate(), self.tweak_key.duplicate(), self.spec)

    def wrap_key(self, key: base.SecretKey) -> bytes:
        raise not_supported("an XTS-AES key wraps no keys")

    def opaque(self) -> bytes:
        raise not_supported("an XTS-AES key is two keys of the token, and there is no opaque blob of two")

    def destroy(self) -> None:
        self.data_key.destroy()
        self.tweak_key.destroy()

"""Secrets of a Diffie-Hellman exchange (CALG_AGREEDKEY_ANY), which KP_ALGID makes session keys of."""

from __future__ import annotations

from hwcng.capi.algids import AlgId, Kind
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failure
from hwcng.capi.handle_base import CapiKey, bad_state
from hwcng.capi.session_keys import SessionKey, imported, secret_spec
from hwcng.cng.agreement import Secret
from hwcng.errors import HRESULT
from hwcng.headers import wincrypt_h
from hwcng.headers.bcrypt_h import BCRYPT_KDF_RAW_SECRET

__all__ = ["AgreedKey"]

_ROW = AlgId(wincrypt_h.CALG_AGREEDKEY_ANY, "AGREEDKEY_ANY", "Agreed key", Kind.EXCHANGE, "DH")


class AgreedKey(CapiKey):
    """secret: of the agreement. session: the key that it became, None before KP_ALGID is set."""

    def __init__(self, context: Context, secret: Secret) -> None:
        super().__init__(context, _ROW, exportable=False)
        self._secret = secret
        self.session: SessionKey | None = None

    @property
    def bits(self) -> int:
        return 8 * self._secret.agreed.length

    def become(self, algid: int, flags: int = 0) -> None:
        """KP_ALGID: a session key of the secret's first bytes, least significant first.

        A token hashes a secret, but does not cut and turn it, so that its bytes must come to the host: raises
        NTE_NOT_SUPPORTED unless the provider was opened with allow_raw_secret.
        """
        if self.session is not None:
            raise bad_state("the agreed key has become a session key already")
        row = self.context.csp.algid(algid)
        if row.kind is not Kind.CIPHER:
            raise failure(HRESULT.NTE_BAD_ALGID, f"an agreed key does not become a {row.name} key")
        stored = self.context.csp.key_bits(row, flags >> 16)
        self.context.require_offered(row)
        value = self._secret.derive(BCRYPT_KDF_RAW_SECRET, None, stored // 8)
        if 8 * len(value) < stored:
            raise failure(HRESULT.NTE_BAD_LEN, f"the secret has {8 * len(value)} bits, the key {stored}")
        heeded = flags & (wincrypt_h.CRYPT_EXPORTABLE | wincrypt_h.CRYPT_NO_SALT)
        key = imported(self.context, secret_spec(self.context, row, stored, heeded), value)
        self.session = SessionKey(self.context, row, key, heeded)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self._secret.destroy()
            if self.session is not None:
                self.session.destroy()

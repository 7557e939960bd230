"""What an HCRYPTKEY is: a session key, a pair, or a secret that two parties agreed on, with its permissions."""

from __future__ import annotations

from hwcng.capi.algids import AlgId
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failure
from hwcng.cng.handles import Handle
from hwcng.errors import HRESULT, CngError
from hwcng.headers import wincrypt_h

__all__ = ["CapiKey", "bad_key", "bad_state"]

PERMISSIONS = (
    wincrypt_h.CRYPT_ENCRYPT
    | wincrypt_h.CRYPT_DECRYPT
    | wincrypt_h.CRYPT_READ
    | wincrypt_h.CRYPT_WRITE
    | wincrypt_h.CRYPT_MAC
)


def bad_key(message: str) -> CngError:
    return failure(HRESULT.NTE_BAD_KEY, message)


def bad_state(message: str) -> CngError:
    return failure(HRESULT.NTE_BAD_KEY_STATE, message)


class CapiKey(Handle):
    """A key of a context. row: its ALG_ID. permissions: KP_PERMISSIONS."""

    called = "a CryptoAPI key"

    def __init__(self, context: Context, row: AlgId, *, exportable: bool, archivable: bool = False) -> None:
        super().__init__()
        self.context = context
        self.row = row
        self.permissions = PERMISSIONS
        if exportable:
            self.permissions |= wincrypt_h.CRYPT_EXPORT
        if archivable:
            self.permissions |= wincrypt_h.CRYPT_ARCHIVE
        context.members.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.row.name} {self.bits} bits{'' if self.alive else ' destroyed'}>"

    @property
    def bits(self) -> int:
        """KP_KEYLEN: the key's length with its parity bits."""
        raise bad_state("the key has no value yet")

    @property
    def block_bits(self) -> int:
        """KP_BLOCKLEN in bits, 0 for a stream cipher."""
        return self.row.block_bits

    def set_permissions(self, permissions: int) -> None:
        """The permission to export is neither given nor taken away: asking for it raises NTE_BAD_DATA, dropping it has
        no effect.
        """
        lasting = wincrypt_h.CRYPT_EXPORT | wincrypt_h.CRYPT_ARCHIVE
        if permissions & lasting & ~self.permissions:
            raise failure(HRESULT.NTE_BAD_DATA, "a key that may not be exported does not become one that may")
        self.permissions = permissions | self.permissions & lasting

    def require(self, permission: int, verb: str) -> None:
        if not self.permissions & permission:
            raise failure(HRESULT.NTE_PERM, f"KP_PERMISSIONS do not let this key {verb}")

    def duplicate(self) -> CapiKey:
        """A handle with a copy of the key's state and a life of its own."""
        raise bad_key("this key is not duplicated")

    def _like(self, other: CapiKey) -> None:
        self.permissions = other.permissions

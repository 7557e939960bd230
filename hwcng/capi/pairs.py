"""Key pairs and public keys: RSA, DSS and Diffie-Hellman. Numbers and signatures are little-endian."""

from __future__ import annotations

from hwcng.capi.algids import AlgId, Kind
from hwcng.capi.containers import SharedPair
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failing_as, failure
from hwcng.capi.handle_base import CapiKey, bad_key, bad_state
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.padding import BCRYPT_OAEP_PADDING_INFO, BCRYPT_PKCS1_PADDING_INFO
from hwcng.contract.material import PublicKeyMaterial, RsaPublicKey
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.headers import wincrypt_h
from hwcng.headers.bcrypt_h import PaddingFlag

__all__ = ["PairKey"]

OAEP_HASH = "SHA1"
PKCS1_OVERHEAD = 11
OAEP_OVERHEAD = 42


class PairKey(CapiKey):
    """shared: the pair, None for one that waits for its domain parameters (CRYPT_PREGEN). announced: the length in bits
    that an RSA key's PUBLICKEYBLOB said, which may be up to 7 bits over that of its modulus; 0 for the modulus' own.
    """

    def __init__(
        self,
        context: Context,
        row: AlgId,
        shared: SharedPair | None,
        *,
        exportable: bool,
        archivable: bool = False,
        announced: int = 0,
    ) -> None:
        super().__init__(context, row, exportable=exportable, archivable=archivable)
        self._shared = shared
        self._announced = announced

    @property
    def shared(self) -> SharedPair:
        if self._shared is None:
            raise bad_state("the pair has no value yet: set its parameters, then KP_X")
        return self._shared

    @property
    def pair(self) -> KeyPair:
        return self.shared.pair

    @property
    def public(self) -> PublicKeyMaterial:
        return self.pair.public

    @property
    def bits(self) -> int:
        return self._announced or self.pair.bits

    @property
    def block_bits(self) -> int:
        return self.bits if self.row.algorithm in ("RSA", "RSA_SIGN") else 0

    @property
    def size(self) -> int:
        """Bytes of the modulus or prime."""
        return (self.bits + 7) // 8

    def padding(self, flags: int) -> tuple[object, int]:
        """pPaddingInfo and dwFlags of bcrypt.h for what CRYPT_OAEP says or does not."""
        if self.row.kind is not Kind.EXCHANGE or not isinstance(self.public, RsaPublicKey):
            raise bad_key(f"a {self.row.name} key does not encrypt")
        if flags & wincrypt_h.CRYPT_OAEP:
            return BCRYPT_OAEP_PADDING_INFO(OAEP_HASH), PaddingFlag.BCRYPT_PAD_OAEP
        return None, PaddingFlag.BCRYPT_PAD_PKCS1

    def encrypt(self, data: bytes, flags: int) -> bytes:
        """PKCS #1 v1.5, or OAEP with SHA-1; the ciphertext is little-endian."""
        info, padding = self.padding(flags)
        room = self.size - (OAEP_OVERHEAD if flags & wincrypt_h.CRYPT_OAEP else PKCS1_OVERHEAD)
        if len(data) > room:
            raise failure(HRESULT.NTE_BAD_LEN, f"the key encrypts up to {max(room, 0)} bytes, {len(data)} given")
        return self.pair.encrypt(data, info, padding)[::-1]

    def decrypt(self, data: bytes, flags: int) -> bytes:
        """Everything that can be wrong with a ciphertext is one NTE_BAD_DATA."""
        info, padding = self.padding(flags)
        if not self.pair.has_private:
            raise failure(HRESULT.NTE_NO_KEY, "the key has no private half")
        with failing_as({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA}):
            return self.pair.decrypt(data[::-1], info, padding)

    def sign(self, hash_name: str | None, digest: bytes) -> bytes:
        """hash_name None: without the hash's identifier. RSA: PKCS #1 v1.5. DSS: r, then s."""
        rsa = isinstance(self.public, RsaPublicKey)
        info, padding = (BCRYPT_PKCS1_PADDING_INFO(hash_name), PaddingFlag.BCRYPT_PAD_PKCS1) if rsa else (None, 0)
        with failing_as({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_LEN}):
            signature = self.pair.sign(info, digest, padding)
        return signature[::-1] if rsa else _swapped(signature)

    def verify(self, hash_name: str | None, digest: bytes, signature: bytes) -> None:
        rsa = isinstance(self.public, RsaPublicKey)
        info, padding = (BCRYPT_PKCS1_PADDING_INFO(hash_name), PaddingFlag.BCRYPT_PAD_PKCS1) if rsa else (None, 0)
        big_endian = signature[::-1] if rsa else _swapped(signature)
        with failing_as(
            {
                NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_SIGNATURE,
                NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_BAD_KEY,
            }
        ):
            self.pair.verify(info, digest, big_endian, padding)

    def duplicate(self) -> PairKey:
        copy = PairKey(self.context, self.row, self.shared.share(), exportable=False, announced=self._announced)
        copy._like(self)
        return copy

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            if self._shared is not None:
                self._shared.release()


def _swapped(signature: bytes) -> bytes:
    """r and s of DSS in the other byte order."""
    half = len(signature) // 2
    return signature[:half][::-1] + signature[half:][::-1]

"""Agreed secrets: what BCryptSecretAgreement returns and BCryptDeriveKey works on (SP 800-56A r3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.derive import functions
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.derive.parameters import ParameterList
from hwcng.cng.handles import Handle, in_use
from hwcng.contract.keys import AgreedSecret

if TYPE_CHECKING:
    from hwcng.cng.symmetric_key import SymmetricKey

__all__ = ["Secret"]


class Secret(Handle):
    """A secret that two keys agreed on. It outlives both keys.

    group: the name of the curve, or "DH". bits: the length of its field in bits; of DH, that of a curve of the same
    strength.
    """

    called = "an agreed secret"

    def __init__(self, handle: AlgorithmHandle, agreed: AgreedSecret, group: str, bits: int) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.agreed = agreed
        self.group = group
        self.bits = bits
        self.hkdf = HkdfState()

    def __repr__(self) -> str:
        return f"<Secret {self.algorithm_handle.name} {self.group}{'' if self.alive else ' destroyed'}>"

    @in_use
    def derive(self, function: str, parameters: ParameterList | None, length: int | None, flags: int = 0) -> bytes:
        """Key material for the caller. length: bytes at most, None for the function's natural length."""
        return functions.derive(self.agreed, self.bits, self.hkdf, function, parameters, length, flags)

    @in_use
    def derive_to_key(
        self, handle: AlgorithmHandle, function: str, parameters: ParameterList | None, bits: int
    ) -> SymmetricKey:
        """A key of the algorithm `handle`, `bits` long, derived into the token.

        This call brings neither secret nor key to the host; BCryptDeriveKey with the same parameters gives the same
        bytes to whoever has the secret's handle.

        function: BCRYPT_KDF_HASH, BCRYPT_SP80056A_CONCAT_KDF or BCRYPT_KDF_HKDF, with the parameters of
        BCryptDeriveKey. Raises STATUS_NOT_SUPPORTED for another function, for fewer bits than 112, for more than one
        digest where the function makes but one, and where the token has no mechanism for it; STATUS_INVALID_PARAMETER
        for a length that the algorithm does not have.
        """
        from hwcng.cng import making

        provider = self.algorithm_handle.provider
        return making.from_secret(self.agreed, provider, self.bits, self.hkdf, function, parameters, handle, bits)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self.agreed.destroy()

"""Agreed secrets: what BCryptSecretAgreement returns and BCryptDeriveKey works on (SP 800-56A r3)."""

from __future__ import annotations

from hwcng.cng import kdf
from hwcng.cng.algorithm import AlgorithmHandle
from hwcng.cng.handles import Handle
from hwcng.providers.base import AgreedSecret

__all__ = ["Secret"]


class Secret(Handle):
    """A secret that two keys agreed on. It outlives both keys.

    group: the name of the curve, or "DH". bits: the length of its field in bits; of DH, that of a curve of the same
    strength.
    """

    def __init__(self, handle: AlgorithmHandle, agreed: AgreedSecret, group: str, bits: int) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.agreed = agreed
        self.group = group
        self.bits = bits

    def __repr__(self) -> str:
        return f"<Secret {self.algorithm_handle.name} {self.group}{'' if self.alive else ' destroyed'}>"

    def derive(self, function: str, parameters: kdf.ParameterList | None, length: int | None, flags: int = 0) -> bytes:
        """Key material for the caller. length: bytes at most, None for the function's natural length."""
        return kdf.derive(self.agreed, self.bits, function, parameters, length, flags)

    def destroy(self) -> None:
        if self._alive:
            super().destroy()
            self.agreed.destroy()

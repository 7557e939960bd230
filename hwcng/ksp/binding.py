"""What the use of an unfinished key is to be bound to (ncrypt.h: the properties of the Platform Crypto Provider)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hwcng.arguments import number, octets, string
from hwcng.contract.protection import KeyScheme, PcrBinding, Protection
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers import ncrypt_h
from hwcng.standards.hashes import HASHES

__all__ = ["BANKS", "PCRS", "TPM_HASHES", "Binding", "mask_of_pcrs", "pcr_bank", "pcrs_of_mask"]

PCRS = 24
_BANK = ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRALGID_PROPERTY
TPM_HASHES: Mapping[str, int] = MappingProxyType({"SHA1": 0x4, "SHA256": 0xB, "SHA384": 0xC, "SHA512": 0xD})
"""CNG's hash names to TPM_ALG_ID, as the Platform Crypto Provider names banks of PCRs."""
BANKS = ("SHA256", "SHA384", "SHA512", "SHA1")
"""In the order in which a bank is chosen where none is named."""
_NAMES = {number: name for name, number in TPM_HASHES.items()}


def pcr_bank(value: object) -> str:
    """A bank of PCRs: the CNG name of its hash, or its TPM_ALG_ID. Raises STATUS_NOT_SUPPORTED for no hash of PCRs,
    STATUS_INVALID_PARAMETER for neither.
    """
    name = _NAMES.get(number(value, _BANK)) if isinstance(value, int) else string(value, _BANK)
    if name is None or name not in TPM_HASHES:
        raise not_supported(f"{told(value)} is no hash of a bank of PCRs")
    return name


def pcrs_of_mask(value: object, name: str) -> tuple[int, ...]:
    """The PCRs of a mask: a number, bit 0 for PCR 0, or its octets, little-endian."""
    mask = value if isinstance(value, int) else int.from_bytes(octets(value, name), "little")
    mask = number(mask, name, largest=(1 << PCRS) - 1)
    return tuple(pcr for pcr in range(PCRS) if mask >> pcr & 1)


def mask_of_pcrs(pcrs: Iterable[int]) -> int:
    return sum(1 << pcr for pcr in pcrs)


class Binding:
    """pin: PCP_USAGEAUTH. pcrs: of PCP_PLATFORM_BINDING_PCRMASK. bank: of PCP_PLATFORM_BINDING_PCRALGID. digests: what
    PCP_PLATFORM_BINDING_PCRDIGESTLIST was set to, None for what the PCRs are. scheme: of PCP_RSA_SCHEME and its hash.
    counted: not PCP_NO_DA_PROTECTION.
    """

    def __init__(self) -> None:
        self.pin = b""
        self.pcrs: tuple[int, ...] = ()
        self.bank = "SHA256"
        self.digests: bytes | None = None
        self.scheme: KeyScheme | None = None
        self.counted = True

    def set_digests(self, value: object) -> None:
        """The values of all PCRs, or of those of the mask, one after the other; or as a sequence."""
        if isinstance(value, list | tuple):
            value = b"".join(octets(digest, "a PCR's digest") for digest in value)
        self.digests = octets(value, ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRDIGESTLIST_PROPERTY)

    @property
    def protection(self) -> Protection | None:
        """None for nothing that a key would be bound to. Raises STATUS_INVALID_PARAMETER for a list of digests that
        does not go with the mask.
        """
        if not self.pcrs and self.digests is not None:
            raise invalid_parameter("PCP_PLATFORM_BINDING_PCRDIGESTLIST without PCP_PLATFORM_BINDING_PCRMASK")
        if not self.pin and not self.pcrs and self.scheme is None:
            return None
        pcrs = PcrBinding(self.bank, self._values()) if self.pcrs else None
        return Protection(self.pin, pcrs, self.scheme, self.counted)

    def _values(self) -> dict[int, bytes | None]:
        if self.digests is None:
            return dict.fromkeys(self.pcrs)
        size = HASHES[self.bank].digest_size
        count, rest = divmod(len(self.digests), size)
        if rest or count not in (PCRS, len(self.pcrs)):
            raise invalid_parameter(
                f"PCP_PLATFORM_BINDING_PCRDIGESTLIST has {len(self.digests)} bytes: {self.bank} digests of {size} "
                f"bytes of all {PCRS} PCRs or of the {len(self.pcrs)} of the mask are expected"
            )
        listed = range(PCRS) if count == PCRS else self.pcrs
        digests = {pcr: self.digests[size * i : size * (i + 1)] for i, pcr in enumerate(listed)}
        return {pcr: digests[pcr] for pcr in self.pcrs}

"""Platform configuration registers (TPM 2.0 Library, Part 1, section 17): which there are, and what they are now."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hwcng.arguments import number, string
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link
from hwcng.providers.tpm2.wire.constants import HASH_IDS
from hwcng.providers.tpm2.wire.policies import PCRS

__all__ = ["checked", "read"]


def checked(pcrs: object, bank: object) -> tuple[tuple[int, ...], str]:
    """PCRs in order, and the CNG name of their bank's hash, as a caller gave them.

    Raises STATUS_INVALID_PARAMETER, also for no PCR at all; STATUS_NOT_SUPPORTED for a hash that no bank has.
    """
    if not isinstance(pcrs, Collection) or isinstance(pcrs, str | bytes | bytearray | memoryview) or not len(pcrs):
        raise invalid_parameter(f"PCRs are numbers of 0 to {PCRS - 1}, one at least")
    name = string(bank, "a bank of PCRs")
    if name not in HASH_IDS:
        raise not_supported(f"{told(name)} is no hash of a bank of PCRs")
    return tuple(sorted({number(pcr, "a PCR", largest=PCRS - 1) for pcr in pcrs})), name


def read(link: Link, bank: str, pcrs: Sequence[int]) -> dict[int, bytes]:
    """Raises STATUS_NOT_SUPPORTED for PCRs that the bank does not have."""
    values = commands.pcr_read(link, bank, pcrs)
    if unknown := sorted(set(pcrs) - values.keys()):
        raise not_supported(f"the TPM's bank {bank} has no PCR {', '.join(map(str, unknown))}")
    return values

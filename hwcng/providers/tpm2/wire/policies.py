"""Policies of keys, and what they come to: TPM 2.0 Library, Part 1, section 19.7 (enhanced authorization); Part 3,
sections 23.7 (TPM2_PolicyPCR) and 23.17 (TPM2_PolicyAuthValue); ASN.1 Specification for TPM 2.0 Key Files, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.wire.constants import CC, HASH_IDS, HASH_NAMES, Attributes
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader, u8, u16, u32
from hwcng.standards.hashes import HASHES

__all__ = [
    "AUTH_VALUE",
    "PCRS",
    "Policy",
    "Step",
    "composite",
    "digest_of",
    "either",
    "pcr_selection",
    "pcr_step",
    "read_selection",
    "required",
    "secret_of",
    "selected",
    "step_name",
]

PCRS = 24
"""What every TPM of a PC has (TCG PC Client Platform TPM Profile, section 4.6)."""
SESSION_HASH = "SHA256"
_SELECT_OCTETS = 3
_POLICY_OR = 0x171

_NAMES: Mapping[int, str] = MappingProxyType(
    {
        0x149: "PolicyNV",
        CC.PolicySecret: "PolicySecret",
        0x160: "PolicySigned",
        CC.PolicyAuthorize: "PolicyAuthorize",
        CC.PolicyAuthValue: "PolicyAuthValue",
        0x16C: "PolicyCommandCode",
        0x16D: "PolicyCounterTimer",
        0x16E: "PolicyCpHash",
        0x16F: "PolicyLocality",
        0x170: "PolicyNameHash",
        _POLICY_OR: "PolicyOR",
        0x172: "PolicyTicket",
        CC.PolicyPCR: "PolicyPCR",
        0x180: "PolicyRestart",
        0x187: "PolicyPhysicalPresence",
        0x188: "PolicyDuplicationSelect",
        0x189: "PolicyGetDigest",
        0x18C: "PolicyPassword",
        0x18F: "PolicyNvWritten",
        0x190: "PolicyTemplate",
        0x192: "PolicyAuthorizeNV",
        0x196: "Policy_AC_SendSelect",
        0x19B: "PolicyCapability",
        0x19C: "PolicyParameters",
        0x1A1: "PolicyTransportSPDM",
    }
)
"""Every policy command of Part 3, sections 11.2 and 23, by its TPM_CC."""


@dataclass(frozen=True, slots=True)
class Step:
    """A policy command. body: what goes into the policy's digest behind the command's code: of TPM2_PolicyPCR a
    TPML_PCR_SELECTION and the digest of the PCRs.
    """

    code: int
    body: bytes = b""


Policy: TypeAlias = tuple[Step, ...]


class PublicArea(Protocol):
    """What a public area says of how its key is used. name_hash: its name algorithm."""

    @property
    def attributes(self) -> Attributes: ...
    @property
    def name_hash(self) -> int: ...
    @property
    def policy(self) -> bytes: ...


AUTH_VALUE = Step(CC.PolicyAuthValue)


def step_name(code: int) -> str:
    return _NAMES.get(code, f"a policy command {code:#x}")


def digest_of(policy: Sequence[Step], hash_name: str) -> bytes:
    """authPolicy of a key that is used by these steps in this order. hash_name: its name algorithm."""
    hash_function = HASHES[hash_name]
    digest = bytes(hash_function.digest_size)
    for step in policy:
        digest = hash_function.digest(digest + u32(step.code) + step.body)
    return digest


def secret_of(name: bytes, hash_name: str) -> bytes:
    """authPolicy of a key that is used with the authorization of an object (TPM2_PolicySecret). name: the object's."""
    hash_function = HASHES[hash_name]
    return hash_function.digest(hash_function.digest(bytes(hash_function.digest_size) + u32(CC.PolicySecret) + name))


def either(digests: Sequence[bytes], hash_name: str) -> bytes:
    """authPolicy of a key that is used by one policy of several (TPM2_PolicyOR)."""
    hash_function = HASHES[hash_name]
    return hash_function.digest(bytes(hash_function.digest_size) + u32(_POLICY_OR) + b"".join(digests))


def pcr_selection(hash_name: str, pcrs: Collection[int]) -> bytes:
    """TPML_PCR_SELECTION of one bank."""
    bits = sum(1 << pcr for pcr in pcrs)
    return u32(1) + u16(HASH_IDS[hash_name]) + u8(_SELECT_OCTETS) + bits.to_bytes(_SELECT_OCTETS, "little")


def selected(octets: bytes) -> tuple[int, ...]:
    """The PCRs of a TPMS_PCR_SELECT's octets, in order."""
    bits = int.from_bytes(octets, "little")
    return tuple(pcr for pcr in range(8 * len(octets)) if bits >> pcr & 1)


def read_selection(reader: Reader) -> list[tuple[str, tuple[int, ...]]]:
    """A TPML_PCR_SELECTION: banks by their hash, with their PCRs. Raises MalformedError, also for an unknown hash."""
    banks = []
    for _ in range(reader.u32()):
        hash_name = HASH_NAMES.get(reader.u16())
        if hash_name is None:
            raise MalformedError("a bank of PCRs of an unknown hash")
        banks.append((hash_name, selected(reader.take(reader.u8()))))
    return banks


def composite(values: Sequence[bytes], hash_name: str = SESSION_HASH) -> bytes:
    """The digest of PCRs' values, in the order of their selection, as policies and quotes have it."""
    return HASHES[hash_name].digest(b"".join(values))


def pcr_step(bank: str, values: Mapping[int, bytes]) -> Step:
    """TPM2_PolicyPCR for these values of the PCRs of a bank."""
    digest = composite([values[pcr] for pcr in sorted(values)])
    return Step(CC.PolicyPCR, pcr_selection(bank, values) + digest)


def required(policy: Policy, public: PublicArea) -> Policy:
    """The steps that use the key: none where its authorization value is enough.

    Raises STATUS_NOT_SUPPORTED for a policy that is not served, STATUS_INVALID_PARAMETER where it is not the key's.
    """
    if Attributes.USERWITHAUTH in public.attributes:
        return ()
    if not policy:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is used by a policy that its file does not say")
    for step in policy:
        if step.code not in (CC.PolicyPCR, CC.PolicyAuthValue):
            raise _unserved(step_name(step.code))
    if HASH_NAMES.get(public.name_hash) != SESSION_HASH:
        raise _unserved(f"a policy of another hash than {SESSION_HASH}")
    if digest_of(policy, SESSION_HASH) != public.policy:
        raise CngError(
            NTSTATUS.STATUS_INVALID_PARAMETER, "the key's file has another policy than the key itself: it is damaged"
        )
    return policy


def _unserved(what: str) -> CngError:
    served = "PolicyPCR and PolicyAuthValue are served"
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"the key is used by {what}; {served}")

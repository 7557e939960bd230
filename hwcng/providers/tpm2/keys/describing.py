"""What a key's public area and its policy say of it (TPM 2.0 Library, Part 2, sections 8.3 and 12.2)."""

from __future__ import annotations

from hwcng.contract.attestation import Origin
from hwcng.contract.platform import BoundPcrs, HeldKey
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.wire.constants import CC, Attributes
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader
from hwcng.providers.tpm2.wire.policies import Policy, read_selection
from hwcng.providers.tpm2.wire.public_area import parse_public

__all__ = ["described"]

_SEVERAL = BoundPcrs("", (), b"")


def described(held: TpmObject, root: int, origin: Origin | None) -> HeldKey:
    """root: the storage root key's handle. A TPM does not say what a key at a persistent handle is below."""
    public = parse_public(held.public)
    attributes = public.attributes
    parent = 0 if held.fixed else root if held.place is None else held.place.handle
    return HeldKey(
        held.name,
        parent,
        bool(held.auth),
        Attributes.NODA not in attributes,
        Attributes.SIGN in attributes,
        Attributes.DECRYPT in attributes,
        Attributes.RESTRICTED in attributes,
        public.scheme,
        # Of a key that its authorization value is enough for, the field has no policy that is used.
        b"" if Attributes.USERWITHAUTH in attributes else public.policy,
        _pcrs(held.policy),
        origin,
    )


def _pcrs(policy: Policy) -> BoundPcrs | None:
    bodies = [step.body for step in policy if step.code == CC.PolicyPCR]
    if not bodies:
        return None
    try:
        reader = Reader(bodies[0])
        (bank, pcrs), *others = read_selection(reader)
    except (MalformedError, ValueError):
        return _SEVERAL
    return _SEVERAL if others or bodies[1:] else BoundPcrs(bank, pcrs, reader.rest())

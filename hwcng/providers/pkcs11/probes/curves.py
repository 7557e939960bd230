"""ECDSA and ECDH, tried once on every curve."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hwcng.contract.material import EcPublicKey
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.providers.pkcs11.probes.arithmetic import ec_agreements, ecdsa_is_good, x25519_agreement
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe, agrees
from hwcng.standards.curves import CURVES

__all__ = ["curves"]

# Whether a token drops leading zeros does not hang on the curve, and to find a Z that has them takes its time.
_SEARCHED = "nistP256"


def curves(probe: Probe) -> None:
    for curve in CURVES:
        probe.attempt("ECDSA", curve, probe.offered.offers("ECDSA", curve), partial(_ecdsa, probe, curve))
        probe.attempt("ECDH", curve, probe.offered.offers("ECDH", curve), partial(_ecdh, probe, curve))


def _ecdsa(probe: Probe, curve: str) -> bool:
    pair = probe.provider.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
    try:
        signature = pair.sign_digest(EcdsaSpec(), SAMPLE)
        whole = len(signature) == 2 * CURVES[curve].coordinate_size
        return whole and isinstance(pair.public, EcPublicKey) and ecdsa_is_good(pair.public, SAMPLE, signature)
    finally:
        pair.destroy()


def _ecdh(probe: Probe, curve: str) -> bool:
    pair = probe.provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve=curve))
    try:
        if not isinstance(pair.public, EcPublicKey):
            return False
        return all(agrees(pair, peer, expected) for peer, expected in _expected(pair.public))
    finally:
        pair.destroy()


def _expected(theirs: EcPublicKey) -> Iterator[tuple[EcPublicKey, bytes]]:
    """Public keys of the host's and the Z of each: any, and on one curve one that begins with a zero octet."""
    width = CURVES[theirs.curve].coordinate_size
    if CURVES[theirs.curve].montgomery:
        ours, agreed = x25519_agreement(theirs.x)
        yield EcPublicKey(theirs.curve, ours, 0), agreed.to_bytes(width, "little")
        return
    agreements = ((ours, agreed.to_bytes(width, "big")) for ours, agreed in ec_agreements(theirs))
    yield next(agreements)
    if theirs.curve == _SEARCHED:
        yield next(one for one in agreements if one[1][0] == 0)

"""ECDSA and ECDH, tried once on every curve."""

from __future__ import annotations

from functools import partial

from hwcng.curves import CURVES
from hwcng.providers.base import (
    EcdsaSpec,
    PairSpec,
    Usage,
)
from hwcng.providers.pkcs11.probes.base import Probe

__all__ = ["curves"]


def curves(probe: Probe) -> None:
    for curve in CURVES:
        probe.attempt("ECDSA", curve, probe.offered.offers("ECDSA", curve), partial(_ecdsa, probe, curve))
        probe.attempt("ECDH", curve, probe.offered.offers("ECDH", curve), partial(_ecdh, probe, curve))


def _ecdsa(probe: Probe, curve: str) -> bool:
    pair = probe.provider.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
    try:
        return len(pair.sign_digest(EcdsaSpec(), bytes(range(32)))) == 2 * CURVES[curve].coordinate_size
    finally:
        pair.destroy()


def _ecdh(probe: Probe, curve: str) -> bool:
    spec = PairSpec("EC", Usage.DERIVE, curve=curve)
    ours, theirs = probe.provider.generate_pair(spec), probe.provider.generate_pair(spec)
    try:
        one, other = ours.agree(theirs.public), theirs.agree(ours.public)
        same = one.digest("SHA256", b"", b"") == other.digest("SHA256", b"", b"")
        one.destroy()
        other.destroy()
        return same
    finally:
        ours.destroy()
        theirs.destroy()

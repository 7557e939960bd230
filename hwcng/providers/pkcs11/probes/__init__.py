"""What a token really does: every operation that its mechanism list promises, tried once and remembered."""

from __future__ import annotations

from types import MappingProxyType

from hwcng.contract.capabilities import Capabilities
from hwcng.contract.provider import Provider
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.probes.base import Probe
from hwcng.providers.pkcs11.probes.ciphers import ciphers
from hwcng.providers.pkcs11.probes.curves import curves
from hwcng.providers.pkcs11.probes.derivations import derivations
from hwcng.providers.pkcs11.probes.finite_fields import dh, dsa
from hwcng.providers.pkcs11.probes.lattices import ml_dsa, ml_kem
from hwcng.providers.pkcs11.probes.rsa import rsa
from hwcng.providers.pkcs11.probes.secrets import aes, macs

__all__ = ["probe"]


def random(probe: Probe) -> None:
    def works() -> bool:
        one, other = probe.provider.random(32), probe.provider.random(32)
        return len(one) == len(other) == 32 and one != other

    probe.attempt("RNG", "random", probe.offered.offers("RNG"), works)


_PASSES = (random, aes, ciphers, macs, rsa, curves, dh, dsa, ml_dsa, ml_kem, derivations)

_probed: dict[tuple[object, ...], Capabilities] = {}
_probing = ProcessLock()


def probe(provider: Provider, offered: MechanismSet) -> Capabilities:
    """Tries everything once; remembered per kind of token for the life of the process."""
    token = provider.token
    kind = (token.manufacturer, token.model, token.firmware, token.library, offered.listed)
    with _probing.held():
        if kind not in _probed:
            run = Probe(provider, offered)
            for one_pass in _PASSES:
                one_pass(run)
            _probed[kind] = Capabilities(
                token,
                MappingProxyType(run.operations),
                MappingProxyType(run.key_bits),
                MappingProxyType(run.reasons),
            )
    found = _probed[kind]
    return Capabilities(token, found.operations, found.key_bits, found.reasons)

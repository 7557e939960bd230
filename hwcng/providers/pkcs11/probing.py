"""What a token really does: every operation that its mechanism list promises, tried once and remembered."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import MappingProxyType

from hwcng.contract.capabilities import Capabilities
from hwcng.contract.provider import Provider
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.families import FAMILIES
from hwcng.providers.pkcs11.probes.base import Probe
from hwcng.providers.pkcs11.probes.held import HeldKeys

__all__ = ["probe"]


_of_held_keys: set[tuple[object, ...]] = set()
_probed: dict[tuple[object, ...], Capabilities] = {}
_probing = ProcessLock()


def probe(provider: Provider, offered: MechanismSet) -> Capabilities:
    """Tries everything once; remembered per kind of token for the life of the process."""
    token = provider.token
    kind: tuple[object, ...] = (replace(token, label="", serial=""), offered.listed)
    with _probing.held():
        if kind in _of_held_keys:
            kind = (*kind, *_keys_of(HeldKeys(provider)))
        if kind not in _probed:
            run = Probe(provider, offered)
            run.attempt("RNG", "random", offered.offers("RNG"), partial(_draws, provider))
            for family in FAMILIES:
                family.probe(run)
            if run.held_keys.used and kind not in _of_held_keys:
                _of_held_keys.add(kind)
                kind = (*kind, *_keys_of(run.held_keys))
            _probed[kind] = Capabilities(
                token,
                MappingProxyType(run.operations),
                MappingProxyType(run.key_bits),
                MappingProxyType(run.reasons),
                MappingProxyType(run.held),
            )
    return replace(_probed[kind], token=token)


def _draws(provider: Provider) -> bool:
    one, other = provider.random(32), provider.random(32)
    return len(one) == len(other) == 32 and one != other


def _keys_of(held: HeldKeys) -> tuple[object, ...]:
    """What such a token does hangs on the keys that are in it."""
    return tuple(sorted((record.uri, str(record.spec)) for record in held.records))

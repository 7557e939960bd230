"""One pass over a token, in which every operation that its mechanism list promises is tried once."""

from __future__ import annotations

from collections.abc import Callable

from hwcng.errors import CngError
from hwcng.providers.base import Provider, Support
from hwcng.providers.pkcs11.capabilities import RSA_COMPOSITIONS, MechanismSet

__all__ = ["SAMPLE", "Probe"]

SAMPLE = bytes(range(32))


class Probe:
    """One pass over a token."""

    def __init__(self, provider: Provider, offered: MechanismSet) -> None:
        self.provider = provider
        self.offered = offered
        self.operations: dict[tuple[str, str], Support] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.key_bits: dict[str, tuple[int, ...]] = {}

    def attempt(self, algorithm: str, operation: str, support: Support, works: Callable[[], bool]) -> None:
        key = algorithm, operation
        reasons = self.offered.reasons
        scheme = operation.split()[0]
        known = reasons.get((algorithm, scheme)) or reasons.get((algorithm, None)) or RSA_COMPOSITIONS.get(scheme)
        reason = known or f"the token has no mechanism for {algorithm} {operation}"
        if support is not Support.REFUSED:
            try:
                if not works():
                    support, reason = Support.REFUSED, "the token's result was wrong"
            except CngError as error:
                support, reason = Support.REFUSED, str(error)
        self.operations[key] = support
        if support is not Support.NATIVE:
            self.reasons[key] = reason

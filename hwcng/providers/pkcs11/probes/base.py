"""One pass over a token, in which every operation that its mechanism list promises is tried once.

What is wrong both ways goes there and back unseen: wherever an operation has one right result, it is compared with the
host's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.cryptoki.return_values import CONNECTION_LOST
from hwcng.providers.pkcs11.probes.held import HeldKeys

__all__ = ["MAKES_NONE", "SAMPLE", "Probe", "agrees"]

Lent = TypeVar("Lent", SecretKey, PrivateKey)

MAKES_NONE = frozenset({NTSTATUS.STATUS_NOT_SUPPORTED, NTSTATUS.STATUS_ACCESS_DENIED})
"""What a token answers that makes no such keys."""

SAMPLE = bytes(range(32))


def agrees(pair: PrivateKey, peer: PublicKeyMaterial, expected: bytes) -> bool:
    """Whether the pair agrees with `peer` on this Z."""
    agreed = pair.agree(peer)
    try:
        return agreed.digest("SHA256", b"", b"") == hashlib.sha256(expected).digest()
    finally:
        agreed.destroy()


def _twice_where_lost(works: Callable[[], bool]) -> bool:
    """A connection that was lost may be there again for the second try."""
    try:
        return works()
    except CngError as error:
        if error.token_code not in CONNECTION_LOST:
            raise
    return works()


class Probe:
    """One pass over a token."""

    def __init__(self, provider: Provider, offered: MechanismSet) -> None:
        self.provider = provider
        self.offered = offered
        self.operations: dict[tuple[str, str], Support] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.key_bits: dict[str, tuple[int, ...]] = {}
        self.held: dict[tuple[str, str], str] = {}
        self.held_keys = HeldKeys(provider)
        self._lent: str | None = None

    def known_key(self, spec: SecretSpec, value: bytes) -> tuple[SecretKey, bool]:
        """A key of this value, and True; of a value of the token's own, and False, where it takes none from outside;
        of one that it holds where it makes none either.
        """
        try:
            return self.provider.import_secret(spec, value), True
        except CngError as error:
            if error.status not in MAKES_NONE:
                raise
        try:
            return self.provider.generate_secret(spec), False
        except CngError as error:
            held = self.held_keys.secret(spec.family, spec.usage, spec.hash_name)
            if error.status not in MAKES_NONE or held is None:
                raise
        return self._lend(held), False

    def held_pair(self, kind: str, usage: Usage) -> PrivateKey | None:
        """One that the token holds."""
        held = self.held_keys.pair(kind, usage)
        return held if held is None else self._lend(held)

    def pair(self, spec: PairSpec) -> PrivateKey:
        """A pair of the token's making, or one that it holds where it makes none."""
        try:
            return self.provider.generate_pair(spec)
        except CngError as error:
            held = self.held_keys.pair(spec.kind, spec.usage, spec.curve)
            if error.status not in MAKES_NONE or held is None:
                raise
        return self._lend(held)

    def _lend(self, held: Lent) -> Lent:
        self._lent = held.name
        return held

    def attempt(
        self,
        algorithm: str,
        operation: str,
        support: Support,
        works: Callable[[], bool] = lambda: False,
        composition: str = "",
    ) -> None:
        """composition: how it is composed, where no rule says it."""
        key = algorithm, operation
        reasons = self.offered.reasons
        known = reasons.get((algorithm, operation.split()[0])) or reasons.get((algorithm, None)) or composition
        reason = known or f"the token has no mechanism for {algorithm} {operation}"
        self._lent = None
        if support is not Support.REFUSED:
            try:
                if not _twice_where_lost(works):
                    support, reason = Support.REFUSED, "the token's result was wrong"
            except CngError as error:
                # What a token that is gone answers is remembered of none.
                if error.token_code in CONNECTION_LOST and not self.provider.health():
                    raise
                support, reason = Support.REFUSED, str(error)
        if self._lent is not None and support is not Support.REFUSED:
            self.held[key] = self._lent
        self.operations[key] = support
        if support is not Support.NATIVE:
            self.reasons[key] = reason

"""What a token offers by its mechanism list, read by rules (OASIS PKCS#11 3.2, section 5.5).

The list is a hint: it decides what may be asked, `hwcng.providers.pkcs11.probing` what is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pkcs11 import Mechanism

from hwcng.contract.usage import Support
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = ["MechanismInfo", "MechanismSet", "Rule", "Ruling"]


class MechanismInfo(NamedTuple):
    """CK_MECHANISM_INFO: key sizes in the mechanism's own unit, and its CKF_ flags."""

    min_key_size: int
    max_key_size: int
    flags: int


class Rule(NamedTuple):
    """An operation: the mechanisms that serve it natively, or else those that compose it soundly."""

    algorithm: str
    operation: str | None
    native: tuple[Mechanism | CKM, ...] = ()
    composed: tuple[Mechanism | CKM, ...] = ()
    composition: str = ""
    """How, or where there are no mechanisms at all, why not."""


class Ruling(Protocol):
    """A family of keys, as far as it says which mechanisms its operations need."""

    @property
    def rules(self) -> tuple[Rule, ...]: ...

    def complete(self, offered: MechanismSet) -> None:
        """Decides what no rule can: after all rules."""


class MechanismSet:
    """A token's mechanism list, read by the rules of `families`. has_rng: CKF_RNG of the token."""

    def __init__(
        self,
        infos: Mapping[int, MechanismInfo],
        listed: Iterable[int],
        quirks: Quirks,
        has_rng: bool,
        families: Sequence[Ruling] = (),
    ) -> None:
        self.infos = infos
        self.quirks = quirks
        self.listed = frozenset(listed) - quirks.unusable_mechanisms
        self._offers: dict[tuple[str, str | None], Support] = {}
        self.reasons: dict[tuple[str, str | None], str] = {}
        self._offers["RNG", None] = Support.NATIVE if has_rng else Support.REFUSED
        for family in families:
            for rule in family.rules:
                self._apply(rule)
        for family in families:
            family.complete(self)

    def decide(self, algorithm: str, operation: str | None, support: Support, reason: str | None = None) -> None:
        """reason: why it is not native."""
        self._offers[algorithm, operation] = support
        if reason is not None:
            self.reasons[algorithm, operation] = reason

    def _apply(self, rule: Rule) -> None:
        key = rule.algorithm, rule.operation
        if rule.native and all(map(self._serves, rule.native)):
            self.decide(*key, Support.NATIVE)
        elif rule.composed and all(map(self._serves, rule.composed)):
            self.decide(*key, Support.COMPOSED, rule.composition)
        else:
            missing = [m.name.lstrip("_") for m in (rule.native or rule.composed) if not self._serves(m)]
            reason = f"the token has no CKM_{', CKM_'.join(missing)}" if missing else rule.composition
            self.decide(*key, Support.REFUSED, reason)

    def _serves(self, mechanism: Mechanism | CKM) -> bool:
        """Whether it is there, perhaps by another name."""
        return self.has(mechanism) or (mechanism is Mechanism.AES_KEY_WRAP_KWP and self.padded_key_wrap() is not None)

    def padded_key_wrap(self) -> Mechanism | None:
        """The mechanism that is RFC 5649, None where the token has none."""
        if self.has(Mechanism.AES_KEY_WRAP_KWP):
            return Mechanism.AES_KEY_WRAP_KWP
        renamed = self.quirks.key_wrap_pad_is_rfc5649 and self.has(Mechanism.AES_KEY_WRAP_PAD)
        return Mechanism.AES_KEY_WRAP_PAD if renamed else None

    def has(self, mechanism: int) -> bool:
        return int(mechanism) in self.listed

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offers.get((algorithm, operation), Support.REFUSED)

    def key_range(self, mechanism: Mechanism) -> tuple[int, int] | None:
        if (measured := self.quirks.key_ranges.get(int(mechanism))) is not None and self.has(mechanism):
            return measured
        info = self.infos.get(int(mechanism))
        if info is None:
            return None
        longest = info.max_key_size
        if mechanism is Mechanism.DH_PKCS_KEY_PAIR_GEN and self.quirks.agreed_secrets_end:
            secrets = self.infos.get(int(Mechanism.GENERIC_SECRET_KEY_GEN))
            longest = min(longest, secrets.max_key_size) if secrets else longest
        return info.min_key_size, longest

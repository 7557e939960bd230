"""RC2's effective key length (RFC 2268, section 2): one for each value in a token, whoever stands for it.

Under lengths of 8, 16, 24 ... bits, one encryption each, the key expansion gives a key away octet by octet. A key works
under one length therefore: it may be chosen once, before anything was encrypted, and all handles share the choice. Only
of a key whose value its caller gave, as bytes, may the length change: who has the value learns nothing.
"""

from __future__ import annotations

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock

__all__ = ["EffectiveLength"]


class EffectiveLength:
    """bits: the length as it is. open: whether it may be chosen yet. known: whether the caller gave the key's value."""

    __slots__ = ("_choosing", "_open", "bits", "known")

    def __init__(self, bits: int, *, open: bool = False, known: bool = False) -> None:
        self.bits = bits
        self.known = known
        self._open = open
        self._choosing = ProcessLock()

    def use(self) -> int:
        """The length, from here on fixed: something is encrypted, stored or handed out under it."""
        if self._open:
            with self._choosing.held():
                self._open = False
        return self.bits

    def choose(self, bits: int) -> None:
        """Raises STATUS_NOT_SUPPORTED for another length than the one that is fixed."""
        with self._choosing.held():
            if not (self._open or self.known or bits == self.bits):
                raise CngError(
                    NTSTATUS.STATUS_NOT_SUPPORTED,
                    f"the key works under an effective length of {self.bits} bits, and two lengths would give it away: "
                    "set the length before the key is made, or once before it is used",
                )
            self.bits, self._open = bits, False

    def of_duplicate(self) -> EffectiveLength:
        """What a second key of the same value has: the same one, or its own where the caller has the value anyway."""
        return EffectiveLength(self.bits, known=True) if self.known else self

"""Objects by their handle, and what is known of their authorization values: TPM 2.0 Library, Part 1, section 19.8.

A TPM counts wrong values of objects without noDA and locks them all after a few, so no value is sent twice that may be
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Authorization", "KeyHandle"]

_OF_A_KEY = 'give the key\'s PIN as pin=..., or pin="" where its authorization value is empty'


@dataclass(slots=True, eq=False)
class Authorization:
    """What goes with the commands on an object. title: of the object; advice: what to do where it is refused.

    given: whether a value is sent, not an empty one. counted: whether the TPM counts a refusal as a try against its
    lockout. fixed: the object is at a persistent handle. proved: the TPM has taken the value.
    """

    title: str
    advice: str = _OF_A_KEY
    given: bool = False
    counted: bool = False
    fixed: bool = False
    proved: bool = False

    @property
    def blameless(self) -> bool:
        """A refusal says nothing of the value: it was right before, or there is none that could be wrong."""
        return not self.fixed and (self.proved or not (self.given or self.counted))

    @property
    def repeatable(self) -> bool:
        """Sending it twice costs no try of the lockout, whatever the TPM says."""
        return self.proved or not self.counted


@dataclass(frozen=True, slots=True)
class KeyHandle:
    """An object that the TPM has at hand. name: as the TPM computes it; auth: its authorization value."""

    handle: int
    name: bytes
    auth: bytes = field(default=b"", repr=False)
    authorization: Authorization = field(default_factory=lambda: Authorization("the object"), repr=False)

    def __repr__(self) -> str:
        return f"<KeyHandle {self.handle:#x}>"

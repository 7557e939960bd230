"""Objects by their handle, and what is known of their authorization values: TPM 2.0 Library, Part 1, section 19.8.

A TPM counts wrong values of objects without noDA and locks them all after a few, so no value is sent twice that may be
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.providers.tpm2.wire.policies import Policy

__all__ = ["ADVICE_OF_A_KEY", "Authorization", "KeyHandle", "check_pin", "owner_authorization"]

LONGEST_PIN = 32
"""Bytes: a digest of the name algorithm of our keys (Part 1, section 19.6.4.3)."""

ADVICE_OF_A_KEY = 'give the key\'s PIN as pin=..., or pin="" where its authorization value is empty'


@dataclass(slots=True, eq=False)
class Authorization:
    """What goes with the commands on an object. title: of the object; advice: what to do where it is refused.

    given: whether a value is sent, not an empty one. counted: whether the TPM counts a refusal as a try against its
    lockout. fixed: the object is at a persistent handle. proved: the TPM has taken the value. refused: the TPM has
    counted a refusal of it, and must not see it again.
    """

    title: str
    advice: str = ADVICE_OF_A_KEY
    given: bool = False
    counted: bool = False
    fixed: bool = False
    proved: bool = False
    refused: bool = False

    @property
    def blameless(self) -> bool:
        """A refusal says nothing of the value: it was right before, or there is none that could be wrong."""
        return not self.fixed and (self.proved or not (self.given or self.counted))

    def check(self) -> None:
        """Raises STATUS_WRONG_PASSWORD for a value that was counted as wrong."""
        if self.refused:
            raise CngError(
                NTSTATUS.STATUS_WRONG_PASSWORD,
                f"the TPM refused this authorization value for {self.title} before, which counted against its lockout; "
                f"it was not sent again; {self.advice}",
            )

    @property
    def repeatable(self) -> bool:
        """Sending it twice costs no try of the lockout, whatever the TPM says."""
        return self.proved or not self.counted


@dataclass(frozen=True, slots=True)
class KeyHandle:
    """An object that the TPM has at hand. name: as the TPM computes it; auth: its authorization value.

    policy: the steps by which it is used, none where its authorization value is enough.
    """

    handle: int
    name: bytes
    auth: bytes = field(default=b"", repr=False)
    authorization: Authorization = field(default_factory=lambda: Authorization("the object"), repr=False)
    policy: Policy = ()

    def __repr__(self) -> str:
        return f"<KeyHandle {self.handle:#x}>"


def check_pin(pin: bytes) -> None:
    """Raises STATUS_INVALID_PARAMETER for what no key of ours can have as its authorization value: trailing zeros are
    no part of one.
    """
    if len(pin) > LONGEST_PIN or pin.endswith(b"\0"):
        raise invalid_parameter(f"a PIN has at most {LONGEST_PIN} bytes, none of them a NUL at the end")


def owner_authorization(given: bool) -> Authorization:
    """No TPM counts wrong values of its owner."""
    advice = "give the owner's value as pin=... or by owner-auth-source= in the URI"
    return Authorization("the TPM's owner", advice, given=given, fixed=True)

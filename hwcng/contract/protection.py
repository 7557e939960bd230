"""What a new key's use is bound to, beside its usage: a PIN of its own, and the state of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["UNPROTECTED", "KeyScheme", "PcrBinding", "Protection"]


@dataclass(frozen=True, slots=True)
class PcrBinding:
    """Platform configuration registers (TPM 2.0 Library, Part 1, section 17).

    bank: the CNG name of their hash. values: PCR to the value that it must have, None: what it has when the key is
    made.
    """

    bank: str
    values: Mapping[int, bytes | None]


@dataclass(frozen=True, slots=True)
class KeyScheme:
    """The one scheme that an RSA key serves. algorithm: "RSASSA", "RSAPSS", "RSAES" or "OAEP" (TPM 2.0 Library, Part 2,
    section 11.2). hash_name: CNG's, empty for RSAES.
    """

    algorithm: str
    hash_name: str = ""


@dataclass(frozen=True, slots=True)
class Protection:
    """pin: the authorization value of the key, empty for none. pcrs: None for none. scheme: None for any. counted:
    whether the token counts wrong PINs, and locks such keys after some.
    """

    pin: bytes = field(default=b"", repr=False)
    pcrs: PcrBinding | None = None
    scheme: KeyScheme | None = None
    counted: bool = True


UNPROTECTED = Protection()

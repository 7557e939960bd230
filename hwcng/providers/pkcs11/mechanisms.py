"""A mechanism and its parameter for a call (OASIS PKCS#11 3.2, section 6: mechanisms), and what many kinds of keys use
of them. What a kind of keys has for itself is in its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pkcs11 import Mechanism

from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi

__all__ = ["DIGEST_MECHANISMS", "HMAC_MECHANISMS", "MechanismCall", "call", "structured", "with_octets"]

HMAC_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "MD5": int(Mechanism._MD5_HMAC),
        "SHA1": int(Mechanism.SHA_1_HMAC),
        "SHA256": int(Mechanism.SHA256_HMAC),
        "SHA384": int(Mechanism.SHA384_HMAC),
        "SHA512": int(Mechanism.SHA512_HMAC),
        "SHA3-256": int(Mechanism.SHA3_256_HMAC),
        "SHA3-384": int(Mechanism.SHA3_384_HMAC),
        "SHA3-512": int(Mechanism.SHA3_512_HMAC),
    }
)

DIGEST_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "MD5": int(Mechanism._MD5),
        "SHA1": int(Mechanism.SHA_1),
        "SHA256": int(Mechanism.SHA256),
        "SHA384": int(Mechanism.SHA384),
        "SHA512": int(Mechanism.SHA512),
        "SHA3-256": int(Mechanism.SHA3_256),
        "SHA3-384": int(Mechanism.SHA3_384),
        "SHA3-512": int(Mechanism.SHA3_512),
    }
)

_CK_MECHANISM = ffi.typeof("CK_MECHANISM *")


class MechanismCall:
    """A CK_MECHANISM, which tokens only read. parameter: what it points to. alive: what that points to."""

    __slots__ = ("alive", "parameter", "structure")

    def __init__(
        self, mechanism: int, parameter: CData = ffi.NULL, parameter_length: int = 0, alive: tuple[CData, ...] = ()
    ) -> None:
        self.structure: CData = ffi.new(_CK_MECHANISM, (mechanism, parameter, parameter_length))
        self.parameter = parameter
        self.alive = alive


@cache
def call(mechanism: int) -> MechanismCall:
    """A mechanism without parameter."""
    return MechanismCall(mechanism)


def with_octets(mechanism: int, octets: bytes) -> MechanismCall:
    """A mechanism whose parameter is octets: an initialisation vector, or a peer's public value."""
    pointer = ffi.from_buffer(octets)
    return MechanismCall(mechanism, pointer, len(octets), (pointer,))


def structured(mechanism: int, parameter: CData, *alive: CData) -> MechanismCall:
    """A mechanism whose parameter is a structure. alive: what that points to."""
    return MechanismCall(mechanism, parameter, ffi.sizeof(ffi.typeof(parameter).item), (parameter, *alive))

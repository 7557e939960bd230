"""C_GenerateRandom (OASIS PKCS#11 3.2, section 5.22), in parts that the token makes."""

from __future__ import annotations

from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.return_values import CKR

__all__ = ["RANDOM_PART", "random_octets"]

RANDOM_PART = 65536
"""Octets asked for in one C_GenerateRandom: NSS makes no more."""
SMALLEST_RANDOM_PART = 64
_TOO_MANY_OCTETS = frozenset((CKR.ARGUMENTS_BAD, CKR.DATA_LEN_RANGE, CKR.DATA_INVALID, CKR.BUFFER_TOO_SMALL))


def random_octets(connection: Connection, length: int, *, once_more: bool = True) -> bytes:
    """`length` octets, or as many as the token makes in one call. once_more: as of `Connection.crypt`."""
    session = connection.borrow()
    try:
        # The token writes where they stay: cffi hands over the object's own memory, and nobody else has it yet, as
        # after PyBytes_FromStringAndSize with NULL.
        octets = bytes(length)
        rv = connection.cryptoki.C_GenerateRandom(session.handle, octets, length)
        while rv and rv in _TOO_MANY_OCTETS and length > SMALLEST_RANDOM_PART:
            length //= 2
            octets = bytes(length)
            rv = connection.cryptoki.C_GenerateRandom(session.handle, octets, length)
    except BaseException:
        connection.discard(session)
        raise
    if not rv:
        connection.give_back(session)
        return octets
    again = once_more and connection.was_dead(session, rv)
    connection.discard(session)
    if not again:
        raise connection.error(rv, "C_GenerateRandom failed")
    return random_octets(connection, length, once_more=False)

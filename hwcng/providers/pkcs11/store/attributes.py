"""Reading a set of attributes of one object after another (PKCS#11 3.2, section 5.7.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from pkcs11 import Attribute

from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.operations import Session

__all__ = ["AttributeReader"]

_TOLD = frozenset({CKR.OK, CKR.ATTRIBUTE_TYPE_INVALID, CKR.ATTRIBUTE_SENSITIVE, CKR.BUFFER_TOO_SMALL})
_CK_ULONG = 8
# Of CK_ATTRIBUTE: type and pValue, which stay, and ulValueLen.
_LENGTH = "16xQ"
_TOGETHER = 64
"""Objects that are read in one session before others get it."""


class AttributeReader:
    """One C_GetAttributeValue for each object, into the same memory. rooms: the most octets that each value has."""

    def __init__(self, rooms: Mapping[Attribute, int]) -> None:
        ends = []
        end = 0
        for room in rooms.values():
            end += -(-room // _CK_ULONG) * _CK_ULONG
            ends.append(end)
        starts = [0, *ends[:-1]]
        self._rows = [(kind, start, room) for (kind, room), start in zip(rooms.items(), starts, strict=True)]
        self._memory = ffi.new("unsigned char[]", end)
        self._attributes = ffi.new(
            "CK_ATTRIBUTE[]", [(int(kind), self._memory + start, room) for kind, start, room in self._rows]
        )
        self._octets = ffi.buffer(self._memory)
        self._head = ffi.buffer(self._attributes)
        self._asked = self._head[:]
        self._lengths = struct.Struct("=" + _LENGTH * len(rooms))

    def read(self, connection: Connection, handle: int) -> dict[Attribute, bytes] | None:
        """None where there is no such object. What the token does not say, or has no room here, is left out."""
        return next(self.read_each(connection, (handle,)))

    def read_each(self, connection: Connection, handles: Sequence[int]) -> Iterator[dict[Attribute, bytes] | None]:
        """`read` of each, many of them in one session."""
        for start in range(0, len(handles), _TOGETHER):
            yield from self._read_together(connection, handles[start : start + _TOGETHER])

    def _read_together(self, connection: Connection, handles: Sequence[int]) -> list[dict[Attribute, bytes] | None]:
        found: list[dict[Attribute, bytes] | None] = []
        get, head, asked, told = connection.cryptoki.C_GetAttributeValue, self._head, self._asked, self._told
        attributes, count = self._attributes, len(self._rows)

        def read(session: Session) -> int:
            in_session = session.handle
            for handle in handles[len(found) :]:
                head[:] = asked
                rv = get(in_session, handle, attributes, count)
                if rv == CKR.GENERAL_ERROR:
                    # SoftHSM's answer where somebody removes the object at this moment.
                    head[:] = asked
                    rv = get(in_session, handle, attributes, count)
                if rv in _TOLD:
                    found.append(told())
                elif rv == CKR.OBJECT_HANDLE_INVALID:
                    found.append(None)
                else:
                    return rv
            return CKR.OK

        rv = connection.perform(read, *handles)
        if rv != CKR.OK:
            raise connection.error(rv, "reading the attributes of a stored key failed")
        return found

    def _told(self) -> dict[Attribute, bytes]:
        octets = self._octets
        return {
            kind: octets[start : start + length]
            for (kind, start, room), length in zip(self._rows, self._lengths.unpack(self._head), strict=True)
            if length <= room
        }

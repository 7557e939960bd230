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
_LAYOUTS = 256
"""Patterns of lengths that are kept: a token's keys have few."""
_TOGETHER = 64
"""Objects that are read in one session before others get it."""


class AttributeReader:
    """One C_GetAttributeValue for each object, into memory that is kept. rooms: the most octets that each value has.

    Any number of threads may use one.
    """

    def __init__(self, rooms: Mapping[Attribute, int]) -> None:
        self._rooms = rooms
        self._free: list[_Memory] = []

    def read(self, connection: Connection, handle: int) -> dict[Attribute, bytes] | None:
        """None where there is no such object. What the token does not say, or has no room here, is left out."""
        return self._read_together(connection, (handle,))[0]

    def read_each(self, connection: Connection, handles: Sequence[int]) -> Iterator[dict[Attribute, bytes] | None]:
        """`read` of each, many of them in one session."""
        for start in range(0, len(handles), _TOGETHER):
            yield from self._read_together(connection, handles[start : start + _TOGETHER])

    def _read_together(self, connection: Connection, handles: Sequence[int]) -> list[dict[Attribute, bytes] | None]:
        found: list[dict[Attribute, bytes] | None] = []
        get = connection.cryptoki.C_GetAttributeValue
        try:
            memory = self._free.pop()
        except IndexError:
            memory = _Memory(self._rooms)
        head, asked, told, attributes, count = memory.head, memory.asked, memory.told, memory.attributes, memory.count

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

        # A call that was given up may still write there: then nobody else gets it.
        rv = connection.perform(read, *handles)
        if rv != CKR.OK:
            raise connection.error(rv, "reading the attributes of a stored key failed")
        self._free.append(memory)
        return found


class _Memory:
    """Where one C_GetAttributeValue writes. asked: what `head`, its CK_ATTRIBUTE array, is before it."""

    __slots__ = ("_layouts", "_lengths", "_octets", "_rows", "_values", "asked", "attributes", "count", "head")

    def __init__(self, rooms: Mapping[Attribute, int]) -> None:
        self._rows, end = [], 0
        for kind, room in rooms.items():
            self._rows.append((kind, end, room))
            end += -(-room // _CK_ULONG) * _CK_ULONG
        self._values = ffi.new("unsigned char[]", end)
        self.attributes = ffi.new(
            "CK_ATTRIBUTE[]", [(int(kind), self._values + start, room) for kind, start, room in self._rows]
        )
        self.count = len(rooms)
        self._octets = ffi.buffer(self._values)
        self.head = ffi.buffer(self.attributes)
        self.asked = self.head[:]
        self._lengths = struct.Struct("=" + _LENGTH * len(rooms))
        self._layouts: dict[bytes, tuple[list[Attribute], list[slice]]] = {}

    def told(self) -> dict[Attribute, bytes]:
        head = self.head[:]
        kinds, places = self._layouts.get(head) or self._layout(head)
        return dict(zip(kinds, map(self._octets.__getitem__, places)))  # noqa: B905 - both are of one layout

    def _layout(self, head: bytes) -> tuple[list[Attribute], list[slice]]:
        """Which values are there, and where."""
        said = [
            (kind, slice(start, start + length))
            for (kind, start, room), length in zip(self._rows, self._lengths.unpack(head), strict=True)
            if length <= room
        ]
        if len(self._layouts) >= _LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[head] = [kind for kind, _ in said], [place for _, place in said]
        return layout

"""Reading a set of attributes of one object after another (PKCS#11 3.2, section 5.7.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from pkcs11 import Attribute

from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.operations import Session

__all__ = ["AttributeReader", "Named"]

T = TypeVar("T")
Named: TypeAlias = tuple[bytes, bytes, Mapping[Attribute, bytes]]
"""CKA_LABEL and CKA_ID, empty where there is none, and the other values: one mapping of many objects that are alike."""

_TOLD = frozenset({CKR.OK, CKR.ATTRIBUTE_TYPE_INVALID, CKR.ATTRIBUTE_SENSITIVE, CKR.BUFFER_TOO_SMALL})
_CK_ULONG = 8
# Of CK_ATTRIBUTE: type and pValue, which stay, and ulValueLen.
_LENGTH = "16xQ"
_LAYOUTS = 256
"""Patterns of lengths, and of values that are short, that are kept: a token's keys have few."""
_TOGETHER = 64
"""Objects that are read in one session before others get it."""
_NAMES = (Attribute.LABEL, Attribute.ID)
_NOTHING = slice(0, 0)


class AttributeReader:
    """One C_GetAttributeValue for each object, into memory that is kept. rooms: the most octets that each value has.

    Any number of threads may use one.
    """

    def __init__(self, rooms: Mapping[Attribute, int]) -> None:
        self._rooms = rooms
        self._free: list[_Memory] = []

    def read(self, connection: Connection, handle: int) -> dict[Attribute, bytes] | None:
        """None where there is no such object. What the token does not say, or has no room here, is left out."""
        return self._read_together(connection, (handle,), _Memory.told)[0]

    def read_each(self, connection: Connection, handles: Sequence[int]) -> Iterator[Named | None]:
        """`read` of each, many of them in one session."""
        for start in range(0, len(handles), _TOGETHER):
            yield from self._read_together(connection, handles[start : start + _TOGETHER], _Memory.named)

    def _read_together(
        self, connection: Connection, handles: Sequence[int], tell: Callable[[_Memory], T]
    ) -> list[T | None]:
        found: list[T | None] = []
        get = connection.cryptoki.C_GetAttributeValue
        try:
            memory = self._free.pop()
        except IndexError:
            memory = _Memory(self._rooms)
        head, asked, attributes, count = memory.head, memory.asked, memory.attributes, memory.count

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
                    found.append(tell(memory))
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


class _Alike(NamedTuple):
    """Where the names of objects are that are alike in all else, and that; None where it is not kept."""

    label: slice
    identifier: slice
    values: dict[Attribute, bytes] | None


class _Memory:
    """Where one C_GetAttributeValue writes. asked: what `head`, its CK_ATTRIBUTE array, is before it."""

    __slots__ = (
        "_alike",
        "_front",
        "_known",
        "_last",
        "_layouts",
        "_lengths",
        "_octets",
        "_rows",
        "_short",
        "_values",
        "asked",
        "attributes",
        "count",
        "head",
    )

    def __init__(self, rooms: Mapping[Attribute, int]) -> None:
        self.count = len(rooms)
        starts, end = {}, self.count * ffi.sizeof("CK_ATTRIBUTE")
        self._short = end
        # What is as long in all objects lies behind the array, so that one look tells whether two are alike.
        for kind, room in sorted(rooms.items(), key=lambda row: row[1]):
            starts[kind] = end
            end += -(-room // _CK_ULONG) * _CK_ULONG
            if room <= _CK_ULONG:
                self._short = end
        self._rows = [(kind, starts[kind], room) for kind, room in rooms.items()]
        self._values = ffi.new("unsigned char[]", end)
        self.attributes = ffi.cast("CK_ATTRIBUTE *", self._values)
        for index, (kind, start, room) in enumerate(self._rows):
            self.attributes[index] = (int(kind), self._values + start, room)
        self._octets = ffi.buffer(self._values)
        self._front = ffi.buffer(self._values, self._short)
        self.head = ffi.buffer(self._values, self.count * ffi.sizeof("CK_ATTRIBUTE"))
        self.asked = self.head[:]
        self._lengths = struct.Struct("=" + _LENGTH * len(rooms))
        self._layouts: dict[bytes, tuple[list[Attribute], list[slice]]] = {}
        self._known: dict[bytes, _Alike] = {}
        self._last, self._alike = b"", _Alike(_NOTHING, _NOTHING, None)

    def told(self) -> dict[Attribute, bytes]:
        head = self.head[:]
        kinds, places = self._layouts.get(head) or self._layout(head)
        return dict(zip(kinds, map(self._octets.__getitem__, places)))  # noqa: B905 - both are of one layout

    def named(self) -> Named:
        front, octets = self._front[:], self._octets
        if front != self._last:
            self._last, self._alike = front, self._known.get(front) or self._learn(front)
        label, identifier, values = self._alike
        return octets[label], octets[identifier], self._others() if values is None else values

    def _others(self) -> dict[Attribute, bytes]:
        return {kind: value for kind, value in self.told().items() if kind not in _NAMES}

    def _learn(self, front: bytes) -> _Alike:
        kinds, places = self._layout(self.head[:])
        where = dict(zip(kinds, places, strict=True))
        label, identifier = (where.pop(kind, _NOTHING) for kind in _NAMES)
        short = all(place.stop <= self._short for place in where.values())
        if len(self._known) >= _LAYOUTS:
            self._known.clear()
        alike = self._known[front] = _Alike(label, identifier, self._others() if short else None)
        return alike

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

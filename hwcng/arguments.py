"""What every documented function checks of a caller's arguments (windef.h and bcrypt.h: DWORD, LPCWSTR, PUCHAR).

Whatever a caller hands over ends in a value of exactly the type that the layers below take, or in CngError. Its status
is an NTSTATUS unless a function says another; the faces of ncrypt.h and wincrypt.h translate it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TypeAlias, cast

from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error, invalid_parameter, told
from hwcng.headers.records import BCryptBuffer, BCryptBufferDesc

__all__ = [
    "LARGEST_DWORD",
    "LARGEST_RANDOM",
    "LONGEST_STRING",
    "Octets",
    "authorization",
    "dword",
    "flags",
    "holding",
    "message",
    "number",
    "octets",
    "optional_octets",
    "pairs",
    "random_length",
    "reserved",
    "string",
    "text",
]

Octets: TypeAlias = bytes | bytearray | memoryview
"""What a caller's buffer may be."""

Status: TypeAlias = NTSTATUS | HRESULT | Win32Error

LARGEST_DWORD = 0xFFFFFFFF
DWORD_SIZE = 4
LARGEST_RANDOM = 1 << 28
"""Bytes of one call: seconds of a software token, hours of a TPM, and no key or nonce has so many."""
LONGEST_STRING = 32767
"""UTF-16 units of a UNICODE_STRING (ntdef.h)."""

_BUFFERS = (bytes, bytearray, memoryview)
_LARGE = 1 << 16
_INVALID = NTSTATUS.STATUS_INVALID_PARAMETER


def octets(value: object, name: str) -> bytes:
    """A caller's buffer as bytes.

    Raises STATUS_INVALID_PARAMETER for None, for what is no buffer of bytes, for a memoryview that is released and for
    more than a ULONG counts.
    """
    if type(value) is bytes and len(value) <= LARGEST_DWORD:
        return value
    if not isinstance(value, _BUFFERS):
        raise invalid_parameter(f"{name} must be bytes, bytearray or memoryview, not {type(value).__name__}")
    try:
        view = memoryview(value)
    except ValueError:
        raise invalid_parameter(f"{name} is a memoryview that is released") from None
    if view.nbytes > LARGEST_DWORD:
        raise invalid_parameter(f"{name} has {view.nbytes} bytes, one call takes {LARGEST_DWORD} at most")
    return view.tobytes()


def optional_octets(value: object, name: str) -> bytes:
    """As `octets`, b"" for None."""
    if type(value) is bytes and len(value) <= LARGEST_DWORD:
        return value
    return b"" if value is None else octets(value, name)


def message(value: object, name: str) -> bytes | memoryview:
    """As `optional_octets`; a large buffer in one piece is a view of bytes, which its user releases, and no copy."""
    if type(value) is bytes and len(value) <= LARGEST_DWORD:
        return value
    if isinstance(value, _BUFFERS):
        with suppress(ValueError):
            view = memoryview(value)
            if view.c_contiguous and _LARGE <= view.nbytes <= LARGEST_DWORD:
                return view.cast("B")
    return optional_octets(value, name)


def number(value: object, name: str, *, largest: int = LARGEST_DWORD, refused: Status = _INVALID) -> int:
    """An unsigned number, a DWORD unless `largest` says otherwise. Raises `refused` for anything else."""
    if type(value) is int and 0 <= value <= largest:
        return value
    # Of a subclass, which may have operators of its own, the plain number.
    if isinstance(value, int) and 0 <= (plain := int.__index__(value)) <= largest:
        return plain
    raise CngError(refused, f"{name} is a number of 0 to {largest:#x}, not {told(value)}")


def random_length(value: object, name: str) -> int:
    """Bytes of random numbers. Raises STATUS_INVALID_PARAMETER for more than LARGEST_RANDOM, before any are made."""
    if type(value) is int and 0 <= value <= LARGEST_RANDOM:
        return value
    return number(value, name, largest=LARGEST_RANDOM)


def dword(value: object, name: str) -> int:
    """A DWORD of a property: a number, or its four little-endian bytes."""
    if not isinstance(value, _BUFFERS):
        return number(value, name)
    given = octets(value, name)
    if len(given) < DWORD_SIZE:
        raise invalid_parameter(f"{name} is a DWORD of {DWORD_SIZE} bytes, {len(given)} given")
    return int.from_bytes(given[:DWORD_SIZE], "little")


def flags(value: object, known: int = 0, *, name: str = "dwFlags", refused: Status = _INVALID) -> int:
    """Flags of which all are among `known`. Raises `refused` for any other and for what is no number."""
    if type(value) is int and not value:
        return 0
    if isinstance(value, int):
        plain = value if type(value) is int else int.__index__(value)
        # As an int: the complement of an IntFlag has no undefined bits.
        if not plain or not plain & ~int(known):
            return plain
    if not known:
        raise CngError(refused, f"{name} must be 0, not {told(value)}")
    raise CngError(refused, f"{name} {told(value)} has undefined bits")


def string(value: object, name: str, *, refused: Status = _INVALID) -> str:
    """A string. Raises `refused` for what is none, for half a surrogate pair and for more than LONGEST_STRING units."""
    if not isinstance(value, str):
        raise CngError(refused, f"{name} must be a string, not {type(value).__name__}")
    plain = value if type(value) is str else str.__str__(value)
    if len(plain) > LONGEST_STRING:
        raise CngError(refused, f"{name} has {len(plain)} characters, {LONGEST_STRING} are the most")
    if not plain.isascii() and any("\ud800" <= character <= "\udfff" for character in plain):
        raise CngError(refused, f"{name} has half of a surrogate pair")
    return plain


def text(value: object, name: str) -> str:
    """A string of a property or a parameter list, as str or as UTF-16, up to its NUL."""
    if isinstance(value, _BUFFERS):
        value = octets(value, name).decode("utf-16-le", "replace")
    return string(value, name).split("\0")[0]


def authorization(value: object, name: str) -> bytes:
    """A PIN: text as UTF-8, without the NUL that ends a string of Windows, or octets as they are.

    Raises STATUS_INVALID_PARAMETER, which shows nothing of it, for anything else and for half a surrogate pair.
    """
    return string(value, name).rstrip("\0").encode() if isinstance(value, str) else octets(value, name)


def pairs(value: object, name: str = "pParameterList") -> list[tuple[int, object]]:
    """A parameter list: (buffer type, value) pairs or BCryptBuffers, or a BCryptBufferDesc of them; none for None.

    Raises STATUS_INVALID_PARAMETER for what is no list or tuple of pairs that begin with a number.
    """
    if value is None:
        return []
    if isinstance(value, BCryptBufferDesc):
        value = _counted(value, name)
    if not isinstance(value, (list, tuple)):
        raise invalid_parameter(f"{name} is a list of (buffer type, value) pairs, not {type(value).__name__}")
    found = []
    for entry in value:
        if isinstance(entry, BCryptBuffer):
            entry = (entry.BufferType, _contents(entry, name))
        if not isinstance(entry, (list, tuple)) or len(entry) != 2:
            raise invalid_parameter(f"{name} is a list of (buffer type, value) pairs")
        found.append((number(entry[0], f"a buffer type of {name}"), entry[1]))
    return found


def _counted(description: BCryptBufferDesc, name: str) -> list[BCryptBuffer]:
    """The buffers of a BCryptBufferDesc."""
    if number(description.ulVersion, f"ulVersion of {name}"):
        raise invalid_parameter(f"ulVersion of {name} is BCRYPTBUFFER_VERSION, not {told(description.ulVersion)}")
    if not isinstance(description.pBuffers, (list, tuple)):
        raise invalid_parameter(f"pBuffers of {name} is a list, not {type(description.pBuffers).__name__}")
    buffers = list(description.pBuffers)
    if description.cBuffers is None:
        return buffers
    return buffers[: number(description.cBuffers, f"cBuffers of {name}", largest=len(buffers))]


def _contents(buffer: BCryptBuffer, name: str) -> object:
    """The value of a BCryptBuffer: of octets as many as cbBuffer says."""
    value = b"" if buffer.pvBuffer is None else buffer.pvBuffer
    if buffer.cbBuffer is None or not isinstance(value, _BUFFERS):
        return value
    given = octets(value, f"pvBuffer of {name}")
    return given[: number(buffer.cbBuffer, f"cbBuffer of {name}", largest=len(given))]


def reserved(value: object, name: str) -> None:
    """Raises STATUS_INVALID_PARAMETER for a reserved parameter that is neither None nor 0."""
    if value is not None and (type(value) is not int or value):
        raise invalid_parameter(f"{name} must be None")


_NOTHING_HELD = nullcontext()


def holding(buffer: object, required: int, name: str) -> AbstractContextManager[memoryview | None]:
    """Checks a caller-supplied object and exports it, so that it cannot be resized while it is held.

    required: bytes, the ObjectLength. Nothing is ever written to it. The new handle holds it after the block; a block
    that fails lets go of it. Raises STATUS_BUFFER_TOO_SMALL where it is shorter, STATUS_INVALID_PARAMETER where it is
    no writable buffer.
    """
    return _NOTHING_HELD if buffer is None else _held(buffer, required, name)


@contextmanager
def _held(buffer: object, required: int, name: str) -> Iterator[memoryview]:
    view = _writable_view(buffer, required, name)
    try:
        yield view
    except BaseException:
        # The error's traceback would hold the buffer for as long as somebody keeps the error.
        view.release()
        raise


def _writable_view(buffer: object, required: int, name: str) -> memoryview:
    try:
        view = memoryview(cast(Octets, buffer))
    except (TypeError, ValueError, BufferError):
        raise invalid_parameter(f"{name} must be a writable buffer, not {type(buffer).__name__}") from None
    if view.readonly:
        raise invalid_parameter(f"{name} must be a writable buffer, not a read-only one")
    if view.nbytes < required:
        raise CngError(
            NTSTATUS.STATUS_BUFFER_TOO_SMALL,
            f"{name} has {view.nbytes} bytes, the algorithm's ObjectLength is {required}",
        )
    return view

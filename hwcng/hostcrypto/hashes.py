"""All hashes of CNG that need no key: they are the host's.

Standards: those of hwcng.standards.hashes, and RFC 1319 (MD2), RFC 1320 (MD4), FIPS 202, section 6.2 (SHAKE),
SP 800-185, section 3 (cSHAKE). MD2 and MD4 are hashlib's where its OpenSSL has them; else, and for cSHAKE, they are
pycryptodome's.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Protocol, cast

from hwcng.errors import NTSTATUS, CngError
from hwcng.standards.hashes import HASHES, HashFunction, RunningHash

__all__ = ["HOST_HASHES", "ExtendableFunction", "OldHash", "RunningExtendable"]

_PACKAGE = "Crypto"
_INSTALL = "pip install 'hwcng[hashes]'"


def _in_hashlib(name: str) -> bool:
    try:
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return False
    return True


def _module(name: str, wanted_for: str) -> object:
    """A module of pycryptodome. Raises STATUS_NOT_FOUND where it is not installed."""
    try:
        return importlib.import_module(f"{_PACKAGE}.Hash.{name}")
    except ModuleNotFoundError:
        raise CngError(
            NTSTATUS.STATUS_NOT_FOUND,
            f"{wanted_for} needs the package pycryptodome, which is not installed: {_INSTALL}",
        ) from None


class _HashModule(Protocol):
    def new(self, data: bytes) -> RunningHash: ...


@dataclass(frozen=True, slots=True)
class OldHash(HashFunction):
    """MD2 or MD4, which no token has and newer hosts leave out."""

    @property
    def available(self) -> bool:
        return _in_hashlib(self.hashlib_name) or find_spec(_PACKAGE) is not None

    def new(self, data: bytes = b"") -> RunningHash:
        """Raises STATUS_NOT_FOUND where neither hashlib nor pycryptodome has it."""
        if _in_hashlib(self.hashlib_name):
            return hashlib.new(self.hashlib_name, data, usedforsecurity=False)
        return cast(_HashModule, _module(self.name, self.name)).new(data)

    @property
    def keyed(self) -> bool:
        return False


class RunningExtendable(Protocol):
    """A running hash whose digest has `length` bytes."""

    length: int

    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...
    def copy(self) -> RunningExtendable: ...


class _Squeezed(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self, length: int, /) -> bytes: ...
    def copy(self) -> _Squeezed: ...


class _Shake:
    def __init__(self, state: _Squeezed, length: int) -> None:
        self._state = state
        self.length = length

    def update(self, data: bytes, /) -> None:
        self._state.update(data)

    def digest(self) -> bytes:
        return self._state.digest(self.length)

    def copy(self) -> _Shake:
        return _Shake(self._state.copy(), self.length)


class _Sponge(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def read(self, length: int, /) -> bytes: ...


class _SpongeMaker(Protocol):
    def __call__(self, data: bytes | None, custom: bytes, capacity: int, function: bytes, /) -> _Sponge: ...


class _Cshake:
    """Keeps its data: the library's state is not copied."""

    def __init__(self, make: _SpongeMaker, capacity: int, strings: tuple[bytes, bytes], length: int) -> None:
        self._make, self._capacity, self._strings = make, capacity, strings
        self._data: list[bytes] = []
        self.length = length

    def update(self, data: bytes, /) -> None:
        self._data.append(data)

    def digest(self) -> bytes:
        name, customization = self._strings
        return self._make(b"".join(self._data), customization, self._capacity, name).read(self.length)

    def copy(self) -> _Cshake:
        made = _Cshake(self._make, self._capacity, self._strings, self.length)
        made._data = list(self._data)
        return made


@dataclass(frozen=True, slots=True)
class ExtendableFunction(HashFunction):
    """digest_size: bytes of output where nobody asks for another number. customizable: whether it has the strings N and
    S of SP 800-185.
    """

    customizable: bool = False

    @property
    def keyed(self) -> bool:
        return False

    def running(self, length: int, function_name: bytes = b"", customization: bytes = b"") -> RunningExtendable:
        """Raises STATUS_NOT_FOUND for strings of cSHAKE where pycryptodome is not installed."""
        if not function_name and not customization:
            return _Shake(cast(_Squeezed, hashlib.new(self.hashlib_name, usedforsecurity=False)), length)
        bits = self.name.removeprefix("CSHAKE")
        module = _module(f"cSHAKE{bits}", f"{self.name} with strings")
        # The module's own `new` has no function name.
        make = cast(_SpongeMaker, getattr(module, "cSHAKE_XOF"))  # noqa: B009 - no part of the package's typed names
        return _Cshake(make, 2 * int(bits), (function_name, customization), length)


def _old(name: str, block_size: int, prefix: str) -> OldHash:
    return OldHash(name, name.lower(), 16, block_size, bytes.fromhex(prefix))


def _extendable(name: str, bits: int, block_size: int) -> ExtendableFunction:
    return ExtendableFunction(name, f"shake_{bits}", bits // 4, block_size, b"", name.startswith("CSHAKE"))


HOST_HASHES: Mapping[str, HashFunction] = MappingProxyType(
    {
        row.name: row
        for row in (
            *HASHES.values(),
            _old("MD2", 16, "3020300c06082a864886f70d020205000410"),
            _old("MD4", 64, "3020300c06082a864886f70d020405000410"),
            _extendable("SHAKE128", 128, 168),
            _extendable("SHAKE256", 256, 136),
            _extendable("CSHAKE128", 128, 168),
            _extendable("CSHAKE256", 256, 136),
        )
    }
)

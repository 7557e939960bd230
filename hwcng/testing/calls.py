"""Counts the C_ calls that a PKCS#11 provider makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from hwcng.testing.instrumenting import RecordsNames

__all__ = ["CFunction", "CallCounter", "Instrument", "Instrumentable", "InstrumentedProvider"]

CFunction: TypeAlias = Callable[..., int]
Instrument: TypeAlias = Callable[[str, CFunction], CFunction]

_SECOND_ARGUMENT_IS_MECHANISM = frozenset(
    {
        "C_DecapsulateKey",
        "C_DecryptInit",
        "C_DeriveKey",
        "C_DigestInit",
        "C_EncapsulateKey",
        "C_EncryptInit",
        "C_GenerateKey",
        "C_GenerateKeyPair",
        "C_MessageDecryptInit",
        "C_MessageEncryptInit",
        "C_MessageSignInit",
        "C_MessageVerifyInit",
        "C_SignInit",
        "C_SignRecoverInit",
        "C_UnwrapKey",
        "C_UnwrapKeyAuthenticated",
        "C_VerifyInit",
        "C_VerifyRecoverInit",
        "C_VerifySignatureInit",
        "C_WrapKey",
        "C_WrapKeyAuthenticated",
    }
)

_OF_THE_POOL = frozenset({"C_CloseSession", "C_OpenSession"})


class Instrumentable(Protocol):
    """The raw calls of a PKCS#11 module, round which a test can put something of its own."""

    def instrument(self, instrument: Instrument, /) -> Callable[[], None]:
        """`instrument` gets each function's name and the function, and returns its replacement. Returns the undoing."""


class InstrumentedProvider(Protocol):
    """A provider that shows its raw calls."""

    @property
    def cryptoki(self) -> Instrumentable: ...


class CallCounter(RecordsNames):
    """A context manager that records every C_ call of a provider's module, of all threads, in the order of their start.

    names: the functions; asked: those beside the opening and closing of sessions; mechanisms: the CKM values that were
    handed over. All stay readable after the context's end.
    """

    def __init__(self, provider: InstrumentedProvider) -> None:
        super().__init__()
        self._provider = provider
        self._mechanisms: list[int] = []

    @property
    def asked(self) -> list[str]:
        """A session is opened where none is free, which depends on what was done before and by whom."""
        return [name for name in self.names if name not in _OF_THE_POOL]

    @property
    def mechanisms(self) -> list[int]:
        with self._lock:
            return list(self._mechanisms)

    def clear(self) -> None:
        super().clear()
        with self._lock:
            self._mechanisms.clear()

    def _install(self) -> Callable[[], None]:
        return self._provider.cryptoki.instrument(self._counted)

    def _counted(self, name: str, function: CFunction) -> CFunction:
        names_mechanism = name in _SECOND_ARGUMENT_IS_MECHANISM

        def counted(*args: Any) -> int:
            # A null pointer there cancels an operation (PKCS#11 v3.0, section 5.8).
            mechanism = int(args[1].mechanism) if names_mechanism and len(args) > 1 and args[1] else None
            with self._lock:
                self._names.append(name)
                if mechanism is not None:
                    self._mechanisms.append(mechanism)
            return function(*args)

        return counted

"""Counts and records the commands that a TPM 2.0 provider sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hwcng.providers.tpm2.wire.constants import command_name
from hwcng.providers.tpm2.wire.marshal import Exchange
from hwcng.testing.instrumenting import RecordsNames

__all__ = ["CommandCounter", "InstrumentedTpm"]


class _Instrumentable(Protocol):
    def instrument(self, instrument: Callable[[Exchange], Exchange], /) -> Callable[[], None]: ...


class InstrumentedTpm(Protocol):
    """A provider that shows the line to its TPM."""

    @property
    def connection(self) -> _Instrumentable: ...


class CommandCounter(RecordsNames):
    """A context manager that records every command of a provider's connection, of all threads, in their order.

    names: such as "TPM2_Sign"; octets: every byte that went over the line, both ways, where record is True.
    """

    def __init__(self, provider: InstrumentedTpm, *, record: bool = False) -> None:
        super().__init__()
        self._provider = provider
        self._record = record
        self._octets: list[bytes] = []

    @property
    def octets(self) -> list[bytes]:
        """Commands and responses in turn."""
        with self._lock:
            return list(self._octets)

    def clear(self) -> None:
        super().clear()
        with self._lock:
            self._octets.clear()

    def _install(self) -> Callable[[], None]:
        return self._provider.connection.instrument(self._counted)

    def _counted(self, exchange: Exchange) -> Exchange:
        def counted(command: bytes) -> bytes:
            with self._lock:
                self._names.append(command_name(int.from_bytes(command[6:10], "big")))
            response = exchange(command)
            if self._record:
                with self._lock:
                    self._octets += command, response
            return response

        return counted

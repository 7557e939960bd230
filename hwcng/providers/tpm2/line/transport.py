"""How a command reaches the TPM and its response comes back: TCG TSS 2.0 TCTI; swtpm's data channel; Linux /dev/tpm*.

swtpm and device nodes are spoken to directly, because libtss2's TCTIs wait for ever; every other TCTI string goes
through libtss2's loader, in a thread of its own where it has a deadline.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwcng.errors import NTSTATUS, CngError
from hwcng.lost_calls import Call, Deadlines
from hwcng.providers.tpm2.wire.constants import CC, RC, ST
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.marshal import Exchange, u16, u32

__all__ = ["DEFAULT_TIMEOUT", "TAGS", "Transport", "check_response", "open_transport"]

_LOADED = Deadlines("libtss2's TCTIs")

DEFAULT_TIMEOUT = 120.0
"""Seconds a TPM may take for a command, as in Linux' TPM driver; making a key may take `_LONG` times as long."""

_LONG = 2.5
_LONGER: Mapping[bytes, float] = MappingProxyType(
    {u32(code): _LONG * DEFAULT_TIMEOUT for code in (CC.Create, CC.CreatePrimary, CC.SelfTest, CC.Clear)}
)
"""Seconds that a TPM may take for these, by the code as a command has it."""
# TPMs have 4,096 octets at most today; a longer response comes in pieces, or not at all from a device.
_MAX_RESPONSE = 16384
_HEADER = 10
# The last one is TPM 1.2's, by which a TPM 2.0 answers what it does not understand.
TAGS = frozenset(u16(tag) for tag in (ST.NO_SESSIONS, ST.SESSIONS, 0x00C4))
# The resource manager layer of TSS2, where the kernel's ENOMEM belongs.
_RESOURCE_MANAGER_LAYER = 0x000B0000


class Transport(ABC):
    """shared: whether others use the TPM beside us through a resource manager that keeps our objects apart."""

    shared: bool

    def __init__(self, timeout: float | None) -> None:
        """timeout: seconds for any command, None for those of Linux' driver."""
        self._timeout = timeout

    @abstractmethod
    def exchange(self, command: bytes) -> bytes:
        """Raises TransportError where the TPM is not reached, hangs up or does not answer in time."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def after_fork_in_child(self) -> None:
        """Gives up what the child shares with its parent, without a word to the TPM."""


class SwtpmTransport(Transport):
    """swtpm's data channel. One connection per command, because swtpm serves one client at a time."""

    shared = False

    def __init__(
        self, timeout: float | None, *, path: str | None = None, host: str = "localhost", port: int = 2321
    ) -> None:
        super().__init__(timeout)
        self._path, self._host, self._port = path, host, port
        self._where = f"swtpm at {path or f'{host}:{port}'}"
        # Looked up once, because there is a connection for each command.
        self._address: tuple[int, str | tuple[str | int, ...]] | None = (
            (socket.AF_UNIX, path) if path is not None else None
        )

    def _connect(self, seconds: float) -> socket.SocketType:
        if self._address is None:
            found = socket.create_connection((self._host, self._port), timeout=seconds)
            self._address = found.family, found.getpeername()
            return found
        family, address = self._address
        # Not Python's class around it, which costs a third more: there is a connection for each command.
        channel = socket.SocketType(family, socket.SOCK_STREAM)
        try:
            channel.settimeout(seconds)
            try:
                channel.connect(address)
            except BlockingIOError:
                _connect_in_turn(channel, address, seconds)
        except BaseException:
            channel.close()
            raise
        return channel

    def exchange(self, command: bytes) -> bytes:
        where, seconds, began, sent = (
            self._where,
            self._timeout or _LONGER.get(command[6:10], DEFAULT_TIMEOUT),
            time.monotonic(),
            False,
        )
        try:
            channel = self._connect(seconds)
            try:
                sent = True
                channel.sendall(command)
                response = channel.recv(_MAX_RESPONSE)
                while len(response) < _HEADER or len(response) < int.from_bytes(response[2:6], "big"):
                    channel.settimeout(_left(began + seconds))
                    piece = channel.recv(_MAX_RESPONSE)
                    if not piece:
                        raise TransportError(f"{where} hung up")
                    response += piece
                return response
            finally:
                channel.close()
        except TimeoutError as error:
            raise TransportError(f"{where} did not answer in time", timed_out=True, sent=sent) from error
        except OSError as error:
            reason = f"cannot reach {where}: {error.strerror or error}; is it running?"
            raise TransportError(reason, sent=sent) from error

    def close(self) -> None:
        """Nothing stays open between commands. The next one looks the host up again."""
        if self._path is None:
            self._address = None

    after_fork_in_child = close


def _connect_in_turn(channel: socket.SocketType, address: str | tuple[str | int, ...], seconds: float) -> None:
    """Where as many clients wait as a Unix socket's server allows, a connect without a wait is refused at once."""
    channel.setblocking(True)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))
    try:
        channel.connect(address)
    except BlockingIOError as error:
        raise TimeoutError from error
    channel.settimeout(seconds)


def _timeval(seconds: float) -> bytes:
    """A struct timeval; zero would be no limit."""
    whole, part = divmod(max(1, round(seconds * 1e6)), 1_000_000)
    return struct.pack("@ll", whole, part)


class DeviceTransport(Transport):
    """A character device of the kernel; /dev/tpmrm* has a resource manager in it."""

    def __init__(self, timeout: float | None, path: str) -> None:
        super().__init__(timeout)
        self._path = path
        self.shared = os.path.basename(path).startswith("tpmrm")
        self._descriptor = -1

    def _open(self) -> int:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        return self._descriptor

    def exchange(self, command: bytes) -> bytes:
        deadline = time.monotonic() + (self._timeout or _LONGER.get(command[6:10], DEFAULT_TIMEOUT))
        sent = False
        try:
            descriptor = self._open()
            os.write(descriptor, command)
            sent = True
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            if not poller.poll(_left(deadline) * 1000):
                # Only a new descriptor is sure not to get this command's late answer.
                self.close()
                raise TransportError(f"{self._path} did not answer in time", timed_out=True)
            response = os.read(descriptor, _MAX_RESPONSE)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                # The kernel's resource manager has no slot left: what a TPM says as a code.
                return u16(ST.NO_SESSIONS) + u32(_HEADER) + u32(_RESOURCE_MANAGER_LAYER | RC.OBJECT_MEMORY)
            self.close()
            raise TransportError(f"{self._path}: {_advice(error, self._path)}", sent=sent) from error
        return response

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def after_fork_in_child(self) -> None:
        self.close()


class _Loaded:
    """A TCTI that libtss2's loader finds, opened at the first command. tcti: None for libtss2's default."""

    def __init__(self, tcti: str | None) -> None:
        self._tcti = tcti
        self._channel: Exchange | None = None
        self._close: Callable[[], None] | None = None

    def exchange(self, command: bytes) -> bytes:
        from hwcng.providers.tpm2.line import esys

        if self._channel is None:
            self._channel, self._close = esys.load_tcti(self._tcti)
        return self._channel(command)

    def close(self) -> None:
        close, self._channel, self._close = self._close, None, None
        if close is not None:
            close()


class LoaderTransport(Transport):
    """Any TCTI that libtss2's loader finds. Its `receive` cannot be interrupted: with a deadline another thread waits
    for it, which has the TCTI to itself from then on and closes it if it ever can.
    """

    def __init__(self, timeout: float | None, tcti: str | None) -> None:
        super().__init__(timeout)
        self._tcti = tcti
        name = (tcti or "").partition(":")[0]
        # Unless it is known to reach a bare TPM, others may have objects in it.
        self.shared = name not in ("mssim", "libtpms", "pcap")
        self._loaded = _Loaded(tcti)

    def exchange(self, command: bytes) -> bytes:
        loaded = self._loaded
        try:
            if self._timeout is None:
                return loaded.exchange(command)
            return _LOADED.call(
                self._timeout,
                f"a command to {self._tcti or 'the TPM'}",
                loaded.exchange,
                command,
                when_lost=lambda lost: self._lose(lost, loaded),
            )
        except TransportError:
            loaded.close()
            raise
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_IO_TIMEOUT:
                raise
            raise TransportError(error.message, timed_out=True) from error

    def _lose(self, lost: Call, loaded: _Loaded) -> None:
        self._loaded = _Loaded(self._tcti)
        lost.then.append(lambda _response: loaded.close())

    def close(self) -> None:
        self._loaded.close()

    def after_fork_in_child(self) -> None:
        # Finalizing would talk to the parent's resource manager.
        self._loaded = _Loaded(self._tcti)


def check_response(response: bytes) -> bytes:
    """`response`, where it has the header of one. Raises TransportError."""
    size = int.from_bytes(response[2:6], "big")
    if response[:2] not in TAGS or size != len(response) or size < _HEADER:
        raise TransportError("what answers there is no TPM 2.0")
    return response


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _advice(error: OSError, path: str) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{error.strerror}; the user must be in the group that owns {path}, usually tss"
    if error.errno == errno.EBUSY:
        return f"{error.strerror}; another process has it open: use device:/dev/tpmrm0"
    return error.strerror or str(error)


def _settings(tcti: str, conf: str, known: frozenset[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for item in conf.split(",") if conf else ():
        name, equals, value = item.partition("=")
        if name not in known or not equals or not value:
            expected = ", ".join(f"{name}=..." for name in sorted(known))
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"TCTI {tcti!r}: {item!r} is none of {expected}")
        settings[name] = value
    return settings


def open_transport(tcti: str | None, timeout: float | None = None) -> Transport:
    """The transport that a TCTI string means; None: libtss2's default. Nothing is sent yet. timeout: seconds.

    Raises CngError (STATUS_INVALID_PARAMETER) for a malformed string.
    """
    name, _, conf = (tcti or "").partition(":")
    if tcti is not None and name == "swtpm":
        settings = _settings(tcti, conf, frozenset({"host", "port", "path"}))
        port = settings.get("port", "2321")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"TCTI {tcti!r}: {port!r} is no port")
        return SwtpmTransport(
            timeout, path=settings.get("path"), host=settings.get("host", "localhost"), port=int(port)
        )
    if tcti is not None and name == "device":
        return DeviceTransport(timeout, conf or "/dev/tpmrm0")
    return LoaderTransport(timeout, tcti)
